// Lets realloc_wasm.go declare functions without a body.
