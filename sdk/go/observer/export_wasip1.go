package observer

import (
	windlass "github.com/windlass-dev/windlass/sdk/go"
	bindings "github.com/windlass-dev/windlass/sdk/go/internal/bindings/observer/export_windlass_controller_observer"
	types "github.com/windlass-dev/windlass/sdk/go/internal/bindings/observer/windlass_controller_observer"
	// The export itself.
	_ "github.com/windlass-dev/windlass/sdk/go/internal/bindings/observer/wit_exports"
)

func export(observer windlass.Observer) {
	bindings.Registered = func(batches []types.Batch) {
		taken := make([]windlass.Batch, len(batches))
		for i, batch := range batches {
			taken[i] = fromWit(batch)
		}
		observer.Observe(taken)
	}
}

func fromWit(batch types.Batch) windlass.Batch {
	deltas := make([]windlass.Delta, len(batch.Deltas))
	for i, delta := range batch.Deltas {
		old, _ := delta.Old.Get()
		deltas[i] = windlass.Delta{
			Kind:    windlass.DeltaKind(delta.Kind),
			Key:     windlass.Key(delta.Key),
			Initial: delta.Initial,
			Body:    delta.Body,
			Old:     old,
		}
	}
	return windlass.Batch{
		Watch: int(batch.Watch),
		Resource: windlass.Resource{
			Group: batch.Resource.Group, Version: batch.Resource.Version,
			Kind: batch.Kind, Plural: batch.Resource.Plural,
		},
		Namespaced: batch.Namespaced,
		Deltas:     deltas,
	}
}
