package plugin

import (
	"errors"
	"fmt"

	bindings "github.com/windlass-dev/windlass/sdk/go/internal/bindings/plugin/export_windlass_scheduler_plugin"
	logging "github.com/windlass-dev/windlass/sdk/go/internal/bindings/plugin/windlass_controller_logging"
	metrics "github.com/windlass-dev/windlass/sdk/go/internal/bindings/plugin/windlass_controller_metrics"
	types "github.com/windlass-dev/windlass/sdk/go/internal/bindings/plugin/windlass_scheduler_types"
	// The exports themselves.
	_ "github.com/windlass-dev/windlass/sdk/go/internal/bindings/plugin/wit_exports"
	runtime "github.com/windlass-dev/windlass/sdk/go/internal/wit/runtime"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

// exported is a plugin as the contract sees it.
type exported struct {
	description Description
	create      func(args []byte) (judge, error)
	judge       judge
}

func export(description Description, create func([]byte) (judge, error)) {
	bindings.Registered = &exported{description: description, create: create}
}

func (e *exported) Describe() types.Description {
	return types.Description{
		Hooks:      uint8(e.description.Hooks),
		Normalize:  uint8(e.description.Normalize),
		NodeFields: e.description.NodeFields,
		PodFields:  e.description.PodFields,
	}
}

func (e *exported) Start(args []byte) wit.Result[wit.Unit, string] {
	judge, err := e.create(args)
	if err != nil {
		return wit.Err[wit.Unit, string](err.Error())
	}
	e.judge = judge
	return wit.Ok[wit.Unit, string](wit.Unit{})
}

func (e *exported) UpdateNodes(nodes []types.Node) {
	updates := make([]nodeUpdate, len(nodes))
	for i, node := range nodes {
		body, _ := node.Body.Get()
		updates[i] = nodeUpdate{index: node.Index, name: node.Name, body: body}
	}
	e.judge.updateNodes(updates)
}

func (e *exported) Evaluate(cycle uint64, pod wit.Option[[]byte], nodes []uint32, asked uint8) wit.Result[types.Evaluation, types.HookError] {
	body, _ := pod.Get()
	result, err := e.judge.evaluate(cycle, body, nodes, Hooks(asked))
	if err != nil {
		return wit.Err[types.Evaluation](types.HookError{Hook: first(Hooks(asked)), Message: err.Error()})
	}
	rejection := wit.None[string]()
	if result.rejection != "" {
		rejection = wit.Some(result.rejection)
	}
	return wit.Ok[types.Evaluation, types.HookError](types.Evaluation{
		Rejection: rejection, Verdicts: result.verdicts, Reasons: result.reasons, Scores: result.scores,
	})
}

// first is the hook at which an attempt begins.
func first(asked Hooks) uint8 {
	switch {
	case asked&PreFilter != 0:
		return types.HookPreFilter
	case asked&Filter != 0:
		return types.HookFilter
	case asked&Score != 0:
		return types.HookScore
	default:
		return types.HookReserve
	}
}

func (e *exported) Reserve(cycle uint64, node uint32) wit.Result[wit.Unit, string] {
	if err := e.judge.reserve(cycle, node); err != nil {
		return wit.Err[wit.Unit, string](err.Error())
	}
	return wit.Ok[wit.Unit, string](wit.Unit{})
}

func (e *exported) Unreserve(cycle uint64, node uint32) { e.judge.unreserve(cycle, node) }

func (e *exported) EndCycle(cycle uint64) { e.judge.endCycle(cycle) }

func warn(message string, fields ...any) {
	sent := make([]wit.Tuple2[string, string], 0, len(fields)/2)
	for i := 0; i+1 < len(fields); i += 2 {
		field := wit.Tuple2[string, string]{F0: fmt.Sprint(fields[i]), F1: fmt.Sprint(fields[i+1])}
		sent = append(sent, field)
	}
	logging.Log(logging.LevelWarn, message, sent)
}

func declareGauge(name, help string) (uint32, error) {
	result := runtime.Receive(func() wit.Result[uint32, string] {
		return metrics.Declare(metrics.Metric{Name: name, Help: help, Kind: metrics.MakeMetricKindGauge()})
	})
	if result.IsErr() {
		return 0, errors.New(result.Err())
	}
	return result.Ok(), nil
}

func addMetric(metric uint32, value float64) { metrics.Add(metric, nil, value) }
