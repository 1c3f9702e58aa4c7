//go:build wasip1

// Package export_windlass_controller_observer is what the observer's export calls.
package export_windlass_controller_observer

import (
	"github.com/windlass-dev/windlass/sdk/go/internal/bindings/observer/windlass_controller_observer"
	runtime "github.com/windlass-dev/windlass/sdk/go/internal/wit/runtime"
)

// Registered takes the deltas of this guest. It is set by an init function.
var Registered func(batches []windlass_controller_observer.Batch)

// Observe is called with deltas in order.
func Observe(batches []windlass_controller_observer.Batch) {
	runtime.Enter()
	defer runtime.Leave()
	Registered(batches)
}
