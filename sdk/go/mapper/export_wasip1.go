package mapper

import (
	windlass "github.com/windlass-dev/windlass/sdk/go"
	bindings "github.com/windlass-dev/windlass/sdk/go/internal/bindings/mapper/export_windlass_controller_mapper"
	types "github.com/windlass-dev/windlass/sdk/go/internal/bindings/mapper/windlass_controller_types"
	// The export itself.
	_ "github.com/windlass-dev/windlass/sdk/go/internal/bindings/mapper/wit_exports"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

func export(mapper windlass.Mapper) {
	bindings.Registered = func(
		watch uint32, key types.ObjectKey, body []byte, old wit.Option[[]byte],
	) []types.ObjectKey {
		previous, _ := old.Get()
		keys := mapper.KeysFor(windlass.Event{
			Watch: int(watch), Key: windlass.Key(key), Body: body, Old: previous,
		})
		sent := make([]types.ObjectKey, len(keys))
		for i, key := range keys {
			sent[i] = types.ObjectKey(key)
		}
		return sent
	}
}
