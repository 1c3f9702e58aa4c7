// What makes the reference of sdk/go, of the standard library alone.
module windlass.dev/xtask/references

go 1.24
