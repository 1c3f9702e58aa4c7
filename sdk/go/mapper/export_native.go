//go:build !wasip1

package mapper

import windlass "github.com/windlass-dev/windlass/sdk/go"

// export has nothing to export to; a test calls the controller's KeysFor.
func export(windlass.Mapper) {}
