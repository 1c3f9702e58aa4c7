// Package wit_runtime is the memory through which a guest and its host pass values. Its
// names are those that generated bindings use.
//
// What the host passes in is allocated by realloc, which the host calls in the middle of
// a call. It stays pinned until the bindings have made Go values of it (Unpin), and from
// then on it is garbage like any other.
//
// While realloc runs no import may be called, yet a garbage collection asks for the time
// when it begins and when it ends, and an allocation may be what ends it. So there is none
// while the host may call realloc: Receive holds collections off during a call of the
// host, Enter and Leave do between the exports' calls. What else asks for the monotonic
// clock gets an answer from the adapter between Go's WASI and the component, which answers
// from memory while its clock is paused; it does not do so for the wall clock.
package wit_runtime

import (
	"runtime"
	"runtime/debug"
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

// How many reasons there are to expect the host to pass something in. The first is that no
// export is running; goroutines of one that runs may each have their own.
var expecting = 1

func init() {
	debug.SetGCPercent(noCollections)
	started = true
}

const (
	noCollections = -1
	// Go's default: a collection each time that the heap has doubled.
	collections = 100
)

// Receive makes a call of the host that may pass something in. What it passed in is Go's
// own afterwards. Every call of an import with a result of variable size has to go through
// here.
func Receive[T any](call func() T) T {
	expect()
	defer func() {
		incoming.Unpin()
		stopExpecting()
	}()
	return call()
}

// Enter is called by each export once its arguments are Go values.
func Enter() { stopExpecting() }

// Leave is called by each export before it returns.
func Leave() { expect() }

// expect waits for the collection that is running, if one is: SetGCPercent does when it
// turns them off (Go, runtime/mgcpacer.go). Other goroutines may run meanwhile, and must
// not allow the next one.
func expect() {
	expecting++
	debug.SetGCPercent(noCollections)
}

func stopExpecting() {
	if expecting--; expecting == 0 {
		debug.SetGCPercent(collections)
	}
}
