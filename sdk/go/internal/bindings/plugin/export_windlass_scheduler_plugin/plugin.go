//go:build wasip1

// Package export_windlass_scheduler_plugin is what a scheduler plugin's exports call.
package export_windlass_scheduler_plugin

import (
	types "github.com/windlass-dev/windlass/sdk/go/internal/bindings/plugin/windlass_scheduler_types"
	runtime "github.com/windlass-dev/windlass/sdk/go/internal/wit/runtime"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

// Plugin is a plugin as the contract sees it.
type Plugin interface {
	Describe() types.Description
	Start(args []byte) wit.Result[wit.Unit, string]
	UpdateNodes(nodes []types.Node)
	Evaluate(cycle uint64, pod wit.Option[[]byte], nodes []uint32, asked uint8) wit.Result[types.Evaluation, types.HookError]
	Reserve(cycle uint64, node uint32) wit.Result[wit.Unit, string]
	Unreserve(cycle uint64, node uint32)
	EndCycle(cycle uint64)
}

// Registered is the plugin of this component. It is set by an init function.
var Registered Plugin

// Describe is called first.
func Describe() types.Description {
	runtime.Enter()
	defer runtime.Leave()
	return Registered.Describe()
}

// Start is called once.
func Start(args []byte) wit.Result[wit.Unit, string] {
	runtime.Enter()
	defer runtime.Leave()
	return Registered.Start(args)
}

// UpdateNodes is called before nodes are asked about.
func UpdateNodes(nodes []types.Node) {
	runtime.Enter()
	defer runtime.Leave()
	Registered.UpdateNodes(nodes)
}

// Evaluate is called for each pod.
func Evaluate(cycle uint64, pod wit.Option[[]byte], nodes []uint32, asked uint8) wit.Result[types.Evaluation, types.HookError] {
	runtime.Enter()
	defer runtime.Leave()
	return Registered.Evaluate(cycle, pod, nodes, asked)
}

// Reserve is called when a node was chosen.
func Reserve(cycle uint64, node uint32) wit.Result[wit.Unit, string] {
	runtime.Enter()
	defer runtime.Leave()
	return Registered.Reserve(cycle, node)
}

// Unreserve is called when nothing came of it.
func Unreserve(cycle uint64, node uint32) {
	runtime.Enter()
	defer runtime.Leave()
	Registered.Unreserve(cycle, node)
}

// EndCycle is called last.
func EndCycle(cycle uint64) {
	runtime.Enter()
	defer runtime.Leave()
	Registered.EndCycle(cycle)
}
