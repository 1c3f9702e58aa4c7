// Package plugin makes plugins of the scheduler, in terms of one node at a time: the
// batches, the numbers of nodes and the bookkeeping of attempts are this package's.
//
// A program that imports it is a plugin, and not a controller: it must not import the
// package windlass.
package plugin

// Hooks is what a plugin has a say in.
type Hooks uint8

// The hooks, as in the contract.
const (
	// PreFilter is whether the pod can be scheduled at all.
	PreFilter Hooks = 1 << iota
	// Filter is which nodes it can go to.
	Filter
	// Score is which of them suit it best.
	Score
	// Reserve is taking note of the node that was chosen, or objecting to it.
	Reserve
)

// Normalize is how raw scores become scores from 0 to 100.
type Normalize uint8

// The ways, as in the contract.
const (
	// NotNormalized scores are from 0 to 100 already.
	NotNormalized Normalize = iota
	// HighestIsBest scores are scaled so that the highest becomes 100.
	HighestIsBest
	// LowestIsBest scores are scaled so that the highest becomes 0.
	LowestIsBest
)

// Description is what a plugin is.
type Description struct {
	// Hooks that it has.
	Hooks Hooks
	// Normalize is how its scores are to be scaled.
	Normalize Normalize
	// NodeFields is what of a node's spec and status it reads.
	NodeFields []string
	// PodFields is the same of pods.
	PodFields []string
}

// Plugin judges nodes for pods. Only the hooks of its description are called. It keeps a
// Node of each node and an Attempt of each attempt to schedule a pod. Everything is
// computing: there is nothing to wait for.
type Plugin[Node, Attempt any] interface {
	// Node reads a node that came or changed; before is what was kept of it, or nil. A node
	// that cannot be read suits no pod, and the log says why.
	Node(name string, body []byte, before *Node) (*Node, error)
	// Attempt reads the pod that an attempt is about. An error is the plugin's failure.
	Attempt(pod []byte) (*Attempt, error)
	// PreFilter is empty, or why the pod can go nowhere.
	PreFilter(attempt *Attempt) string
	// Filter is empty, or why the pod cannot go to the node: few different texts, because
	// they are counted.
	Filter(attempt *Attempt, node *Node) string
	// Score is how well the node suits the pod, in the terms of the description.
	Score(attempt *Attempt, node *Node) int64
	// Reserve takes note of the node that was chosen; an error is an objection.
	Reserve(attempt *Attempt, node *Node) error
	// Unreserve undoes that. It is also called when another plugin objected before this one
	// was asked.
	Unreserve(attempt *Attempt, node *Node)
	// End is called when the attempt is over, with the node that the pod was bound to if
	// it was and the plugin reserved it.
	End(attempt *Attempt, node *Node)
}

// Register makes this the component's plugin. It is called in an init function; create
// gets the arguments of the profile's pluginConfig, a JSON object.
func Register[Node, Attempt any](description Description, create func(args []byte) (Plugin[Node, Attempt], error)) {
	export(description, func(args []byte) (judge, error) {
		plugin, err := create(args)
		if err != nil {
			return nil, err
		}
		return newBench(plugin), nil
	})
}
