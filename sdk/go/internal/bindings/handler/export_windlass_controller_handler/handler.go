//go:build wasip1

// Package export_windlass_controller_handler is what the handler's exports call.
package export_windlass_controller_handler

import (
	"github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_manifest"
	"github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_types"
	runtime "github.com/windlass-dev/windlass/sdk/go/internal/wit/runtime"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

// Handler is a controller as the contract sees it.
type Handler interface {
	Describe() windlass_controller_manifest.Manifest
	Start() wit.Result[wit.Unit, string]
	SyncHandler(sync uint64, key windlass_controller_types.ObjectKey) SyncResult
}

// SyncResult is what a sync comes to.
type SyncResult = wit.Result[windlass_controller_types.Outcome, windlass_controller_types.SyncError]

// Registered is the controller of this guest. It is set by an init function, since
// nobody calls main.
var Registered Handler

// Describe is called first.
func Describe() windlass_controller_manifest.Manifest {
	runtime.Enter()
	defer runtime.Leave()
	return Registered.Describe()
}

// Start is called once.
func Start() wit.Result[wit.Unit, string] {
	runtime.Enter()
	defer runtime.Leave()
	return Registered.Start()
}

// SyncHandler is called with one key at a time.
func SyncHandler(sync uint64, key windlass_controller_types.ObjectKey) SyncResult {
	runtime.Enter()
	defer runtime.Leave()
	return Registered.SyncHandler(sync, key)
}
