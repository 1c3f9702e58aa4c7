//go:build !wasip1

package windlass

var installed Host

// SetHost makes this the host of whatever controller code runs in this process, and
// returns the one before. Package windlasstest calls it; there is none in a component.
func SetHost(host Host) (previous Host) {
	previous, installed = installed, host
	return previous
}

func host() Host {
	if installed == nil {
		panic("windlass: outside of a component there is no host; a test makes one with windlasstest.New")
	}
	return installed
}

// export has nothing to export to.
func export(Controller) {}
