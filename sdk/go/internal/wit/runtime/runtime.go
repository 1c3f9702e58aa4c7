// Package wit_runtime is the memory through which a guest and its host pass values. Its
// names are those that generated bindings use.
//
// What the host passes in is allocated by realloc, which the host calls in the middle of
// a call. It stays pinned until the bindings have made Go values of it (Unpin), and from
// then on it is garbage like any other.
//
// While realloc runs no import may be called, yet a garbage collection that begins there
// asks for the time. The adapter between Go's WASI and the component answers from memory
// while its clock is paused.
package wit_runtime

import (
	"runtime"
	"unsafe"
)

// Allocate is memory that stays where it is until the pinner is unpinned.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	memory := allocate(size, align)
	pinner.Pin(memory)
	return memory
}

// Memory of a type whose alignment is at least this one.
func allocate(size, align uintptr) unsafe.Pointer {
	switch align {
	case 1:
		return unsafe.Pointer(unsafe.SliceData(make([]byte, size)))
	case 2, 4, 8:
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	default:
		panic("windlass: memory of an unknown alignment")
	}
}

// What the host passes in during one call.
var incoming runtime.Pinner

// Unpin hands what the host passed in over to the garbage collector.
func Unpin() { incoming.Unpin() }

// Whether Go's runtime is there. The adapter allocates before it is.
var started bool

func init() { started = true }
