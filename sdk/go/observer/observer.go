// Package observer exports what takes the deltas of watches with Observe set. A component
// exports it if its program imports this package, so it must be imported by controllers
// that need it alone.
package observer

import windlass "github.com/windlass-dev/windlass/sdk/go"

// Register makes this the component's observer. It is called in an init function, besides
// windlass.Register and with the same controller.
func Register(observer windlass.Observer) { export(observer) }
