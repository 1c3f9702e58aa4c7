//go:build wasip1

// Package export_windlass_controller_mapper is what the mapper's export calls.
package export_windlass_controller_mapper

import (
	"github.com/windlass-dev/windlass/sdk/go/internal/bindings/mapper/windlass_controller_types"
	runtime "github.com/windlass-dev/windlass/sdk/go/internal/wit/runtime"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

// Mapper turns an event on an object into keys.
type Mapper func(
	watch uint32, key windlass_controller_types.ObjectKey, body []byte, old wit.Option[[]byte],
) []windlass_controller_types.ObjectKey

// Registered is the mapper of this guest. It is set by an init function.
var Registered Mapper

// KeysFor is called for each event of a watch with the enqueue rule mapper.
func KeysFor(
	watch uint32, key windlass_controller_types.ObjectKey, body []byte, old wit.Option[[]byte],
) []windlass_controller_types.ObjectKey {
	runtime.Enter()
	defer runtime.Leave()
	return Registered(watch, key, body, old)
}
