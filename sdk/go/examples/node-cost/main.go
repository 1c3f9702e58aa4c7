// A plugin of the scheduler that goes by what nodes say of themselves: pods stay off
// nodes with the annotation node-cost.windlass.dev/maintenance: "true", prefer a low
// node-cost.windlass.dev/cost, and with the argument maxReserved a node never has more
// pods on their way to it than that.
//
// A pod with the annotation node-cost.windlass.dev/hold: "true" is not scheduled at all.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/windlass-dev/windlass/sdk/go/plugin"
)

const (
	maintenance = "node-cost.windlass.dev/maintenance"
	cost        = "node-cost.windlass.dev/cost"
	hold        = "node-cost.windlass.dev/hold"
)

var onTheirWay = plugin.NewGauge("node_cost_reserved_pods",
	"Pods that a node is reserved for and that are not bound yet.")

type arguments struct {
	// What a node costs that does not say.
	DefaultCost int64 `json:"defaultCost"`
	// Pods that may be on their way to a node at once; 0 is any number.
	MaxReserved int `json:"maxReserved"`
}

type node struct {
	underMaintenance bool
	cost             int64
	// Pods on their way to it.
	reserved int
}

type attempt struct {
	onHold      bool
	hasReserved bool
}

type nodeCost struct{ arguments }

func create(args []byte) (plugin.Plugin[node, attempt], error) {
	var read arguments
	decoder := json.NewDecoder(bytes.NewReader(args))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return nil, err
	}
	if read.DefaultCost < 0 {
		return nil, errors.New("defaultCost must not be below 0")
	}
	return nodeCost{read}, nil
}

func annotations(body []byte) (map[string]string, error) {
	var object struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	err := json.Unmarshal(body, &object)
	return object.Metadata.Annotations, err
}

func (p nodeCost) Node(_ string, body []byte, before *node) (*node, error) {
	says, err := annotations(body)
	if err != nil {
		return nil, err
	}
	now := &node{underMaintenance: says[maintenance] == "true", cost: p.DefaultCost}
	if cost, err := strconv.ParseInt(says[cost], 10, 64); err == nil && cost >= 0 {
		now.cost = cost
	}
	if before != nil {
		now.reserved = before.reserved
	}
	return now, nil
}

func (nodeCost) Attempt(pod []byte) (*attempt, error) {
	// Most pods do not say so, and decoding them all is what would take the most time.
	if !bytes.Contains(pod, []byte(hold)) {
		return &attempt{}, nil
	}
	says, err := annotations(pod)
	return &attempt{onHold: says[hold] == "true"}, err
}

func (nodeCost) PreFilter(attempt *attempt) string {
	if attempt.onHold {
		return "pod is on hold"
	}
	return ""
}

func (nodeCost) Filter(_ *attempt, node *node) string {
	if node.underMaintenance {
		return "node(s) were under maintenance"
	}
	return ""
}

func (nodeCost) Score(_ *attempt, node *node) int64 { return node.cost }

func (p nodeCost) Reserve(attempt *attempt, node *node) error {
	if p.MaxReserved > 0 && node.reserved >= p.MaxReserved {
		return errors.New("node(s) had too many pods on their way")
	}
	node.reserved++
	attempt.hasReserved = true
	onTheirWay.Add(1)
	return nil
}

func (nodeCost) Unreserve(attempt *attempt, node *node) {
	// Also called when another plugin objected before this one was asked.
	if attempt.hasReserved {
		attempt.hasReserved = false
		leave(node)
	}
}

func (nodeCost) End(_ *attempt, node *node) {
	if node != nil {
		leave(node)
	}
}

// leave is called when a pod is not on its way to the node any more.
func leave(node *node) {
	node.reserved = max(node.reserved-1, 0)
	onTheirWay.Add(-1)
}

func init() {
	plugin.Register(plugin.Description{
		Hooks:     plugin.PreFilter | plugin.Filter | plugin.Score | plugin.Reserve,
		Normalize: plugin.LowestIsBest,
	}, create)
}

// Nobody calls it; the compiler wants one.
func main() {}
