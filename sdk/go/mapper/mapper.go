// Package mapper exports what turns events into keys, for watches with
// windlass.EnqueueMapped. A component exports it if its program imports this package, so it
// must be imported by controllers that need it alone.
package mapper

import windlass "github.com/windlass-dev/windlass/sdk/go"

// Register makes this the component's mapper. It is called in an init function, besides
// windlass.Register and with the same controller.
func Register(mapper windlass.Mapper) { export(mapper) }
