package plugin

import "errors"

// gone is what a node is turned down for that went in the meantime.
const gone = "node(s) are gone"

// nodeUpdate is what is told of a node; Body is nil when it is gone.
type nodeUpdate struct {
	index uint32
	name  string
	body  []byte
}

// evaluation is as in the contract.
type evaluation struct {
	rejection string
	verdicts  []uint16
	reasons   []string
	scores    []int64
}

// judge is a plugin in the terms of the contract.
type judge interface {
	updateNodes(nodes []nodeUpdate)
	evaluate(cycle uint64, pod []byte, nodes []uint32, asked Hooks) (evaluation, error)
	reserve(cycle uint64, node uint32) error
	unreserve(cycle uint64, node uint32)
	endCycle(cycle uint64)
}

// bench is a plugin with the nodes that it knows and the attempts that are under way.
type bench[Node, Attempt any] struct {
	plugin   Plugin[Node, Attempt]
	nodes    []*Node
	attempts map[uint64]*attempt[Attempt]
}

type attempt[Attempt any] struct {
	kept     *Attempt
	node     uint32
	reserved bool
}

func newBench[Node, Attempt any](plugin Plugin[Node, Attempt]) *bench[Node, Attempt] {
	return &bench[Node, Attempt]{plugin: plugin, attempts: map[uint64]*attempt[Attempt]{}}
}

func (b *bench[Node, Attempt]) node(index uint32) *Node {
	if int(index) < len(b.nodes) {
		return b.nodes[index]
	}
	return nil
}

func (b *bench[Node, Attempt]) updateNodes(nodes []nodeUpdate) {
	for _, update := range nodes {
		for int(update.index) >= len(b.nodes) {
			b.nodes = append(b.nodes, nil)
		}
		before := b.nodes[update.index]
		b.nodes[update.index] = nil
		if update.body == nil {
			continue
		}
		node, err := b.plugin.Node(update.name, update.body, before)
		if err != nil {
			warn("a node cannot be read", "node", update.name, "error", err.Error())
			continue
		}
		b.nodes[update.index] = node
	}
}

func (b *bench[Node, Attempt]) evaluate(cycle uint64, pod []byte, nodes []uint32, asked Hooks) (evaluation, error) {
	var result evaluation
	if pod != nil {
		kept, err := b.plugin.Attempt(pod)
		if err != nil {
			return result, err
		}
		b.attempts[cycle] = &attempt[Attempt]{kept: kept}
	}
	known := b.attempts[cycle]
	if known == nil {
		return result, errors.New("the attempt is not known")
	}
	if asked&PreFilter != 0 {
		if result.rejection = b.plugin.PreFilter(known.kept); result.rejection != "" {
			return result, nil
		}
	}
	filters, scores := asked&Filter != 0, asked&Score != 0
	if filters {
		result.verdicts = make([]uint16, len(nodes))
	}
	if scores {
		result.scores = make([]int64, len(nodes))
	}
	if !filters && !scores {
		return result, nil
	}
	// Once over all nodes, without a call that is not the plugin's: calls are what costs
	// in a component.
	plugin, kept, all := b.plugin, known.kept, b.nodes
	for i, index := range nodes {
		var node *Node
		if int(index) < len(all) {
			node = all[index]
		}
		if node == nil {
			if filters {
				result.verdicts[i] = result.number(gone)
			}
			continue
		}
		if filters {
			if reason := plugin.Filter(kept, node); reason != "" {
				result.verdicts[i] = result.number(reason)
				continue
			}
		}
		if scores {
			result.scores[i] = plugin.Score(kept, node)
		}
	}
	return result, nil
}

// number is the verdict that stands for a reason, which is added if it is new.
func (e *evaluation) number(reason string) uint16 {
	for i, known := range e.reasons {
		if known == reason {
			return uint16(i + 1)
		}
	}
	e.reasons = append(e.reasons, reason)
	return uint16(len(e.reasons))
}

func (b *bench[Node, Attempt]) reserve(cycle uint64, index uint32) error {
	known, node := b.attempts[cycle], b.node(index)
	if known == nil || node == nil {
		return errors.New(gone)
	}
	if err := b.plugin.Reserve(known.kept, node); err != nil {
		return err
	}
	known.node, known.reserved = index, true
	return nil
}

func (b *bench[Node, Attempt]) unreserve(cycle uint64, index uint32) {
	known, node := b.attempts[cycle], b.node(index)
	if known != nil && node != nil {
		known.reserved = false
		b.plugin.Unreserve(known.kept, node)
	}
}

func (b *bench[Node, Attempt]) endCycle(cycle uint64) {
	known := b.attempts[cycle]
	if known == nil {
		return
	}
	delete(b.attempts, cycle)
	var node *Node
	if known.reserved {
		node = b.node(known.node)
	}
	b.plugin.End(known.kept, node)
}
