package windlass

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Item is a key for the controller's own queue.
type Item struct {
	// Key to be synced.
	Key Key
	// After is how long it waits at least; 0: now. It is rounded up to whole milliseconds.
	After time.Duration
	// Priority: higher goes first; waiting raises it slowly, so nothing starves. Initial
	// lists and resyncs come at -100.
	Priority int32
}

// Enqueue adds keys to the controller's own queue. A key that is there is not added twice;
// one that is being synced is synced once more afterwards. Past the module's limit on the
// queue the surplus is dropped, logged and counted.
func Enqueue(items ...Item) { host().Enqueue(items) }

// Mapping is what discovery knows of a kind.
type Mapping struct {
	// Resource that serves it.
	Resource Resource
	// Namespaced tells whether its objects live in namespaces.
	Namespaced bool
}

// Resolve is the resource that serves a kind, and whether discovery knows one. It never
// waits.
func Resolve(group, version, kind string) (Mapping, bool) {
	return host().Resolve(group, version, kind)
}

// DecodeConfig reads the module's configuration, as the operator wrote it, into a pointer
// to the author's type. What the configuration does not mention stays, so put defaults
// there first. A field that the type does not declare is an error.
func DecodeConfig(into any) error {
	decoder := json.NewDecoder(bytes.NewReader(host().Config()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the module's configuration does not parse: %w", err)
	}
	return nil
}

// Now is the wall clock, which may jump; in a test the fake's. time.Now is the same in a
// component.
func Now() time.Time { return host().Now() }

// Monotonic is the time since an arbitrary start; it never goes back.
func Monotonic() time.Duration { return host().Monotonic() }

// Random is 64 random bits, good enough for names and jitter, not for secrets.
func Random() uint64 { return host().Random() }
