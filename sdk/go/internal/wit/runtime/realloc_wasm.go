//go:build wasip1

package wit_runtime

import "unsafe"

//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if old != nil || oldSize != 0 {
		panic("windlass: the host never grows what it passed in")
	}
	if !started {
		return early(align, size)
	}
	pauseClock(true)
	memory := Allocate(&incoming, size, align)
	pauseClock(false)
	return memory
}

// What the adapter allocates before Go's runtime is there: its own state, and little more.
var (
	earlyMemory [4 << 16]byte
	earlyUsed   uintptr
)

// Memory that is never freed.
func early(align, size uintptr) unsafe.Pointer {
	base := uintptr(unsafe.Pointer(&earlyMemory))
	start := (base+earlyUsed+align-1)&^(align-1) - base
	if start+size > unsafe.Sizeof(earlyMemory) {
		panic("windlass: too much memory wanted before the start")
	}
	earlyUsed = start + size
	return unsafe.Add(unsafe.Pointer(&earlyMemory), start)
}
