//go:build !wasip1

package observer

import windlass "github.com/windlass-dev/windlass/sdk/go"

// export has nothing to export to; a test calls the controller's Observe.
func export(windlass.Observer) {}
