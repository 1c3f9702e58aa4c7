package windlass

import (
	"context"
	"errors"
	"time"
)

// Controller is what an author writes. [Register] makes it a component's.
type Controller interface {
	// Manifest says what it watches and needs. It is called once, before anything else,
	// and must not depend on anything but the module's configuration.
	Manifest() Manifest
	// SyncHandler is one level-triggered pass for one key. The object may be gone. The
	// context belongs to this sync and must be passed to API calls, so that the next sync
	// of the key sees in the caches what this one wrote.
	//
	// An error is logged, and the key is tried again with exponential back-off (5 ms to
	// 1000 s), unless it is a [TerminalError].
	SyncHandler(ctx context.Context, key Key) (Result, error)
}

// Starter is a controller that has something to do before the first sync.
type Starter interface {
	Controller
	// Start is called once per instance, after the caches have synced and the initial
	// content was observed. An error is a failed start: back-off, then a new instance.
	Start(ctx context.Context) error
}

// Observer is a controller that keeps a model of its own, fed by the watches with Observe
// set. Besides [Register] it needs Register of package observer.
type Observer interface {
	Controller
	// Observe takes every delta in order, the initial content first, and before any sync
	// that could depend on it. It must not call the API server.
	Observe(batches []Batch)
}

// Mapper is a controller some of whose watches become keys in a way that the host cannot
// derive. Besides [Register] it needs Register of package mapper.
type Mapper interface {
	Controller
	// KeysFor is the keys that an event on a watch with [EnqueueMapped] concerns. It may
	// read listers and must not call the API server.
	KeysFor(event Event) []Key
}

// Event is what happened to an object of a watch with [EnqueueMapped].
type Event struct {
	// Watch is the watch's position in the manifest.
	Watch int
	// Key of the object.
	Key Key
	// Body is the object; of a deleted one its last known state. See [Decode].
	Body []byte
	// Old is the previous body, if the watch asks for it and there is one; else nil.
	Old []byte
}

// Batch is consecutive deltas of one resource.
type Batch struct {
	// Watch is the watch's position in the manifest.
	Watch int
	// Resource that the objects are of.
	Resource Resource
	// Namespaced tells whether the objects live in namespaces.
	Namespaced bool
	// Deltas in the order in which they happened.
	Deltas []Delta
}

// DeltaKind is what happened to an object.
type DeltaKind uint8

// The kinds of deltas.
const (
	// DeltaAdded: the object is new to the watch.
	DeltaAdded DeltaKind = iota
	// DeltaUpdated: the object changed.
	DeltaUpdated
	// DeltaDeleted: the object is gone, or the watch's selector no longer matches it.
	DeltaDeleted
)

// Delta is one change of an object.
type Delta struct {
	// Kind of the change.
	Kind DeltaKind
	// Key of the object.
	Key Key
	// Initial tells whether this is part of the initial list, of a relist, or of a late
	// subscription.
	Initial bool
	// Body is the object; of a deleted one its last known state. See [Decode].
	Body []byte
	// Old is the previous body of an updated object, if the watch asks for it; else nil.
	Old []byte
}

// Result is how a sync ended well. The zero value: nothing more to do until something
// changes.
type Result struct {
	// RequeueAfter, if above zero, has the key synced again after this long, unless an
	// event comes first. It is rounded up to whole milliseconds.
	RequeueAfter time.Duration
}

// TerminalError is a failure for which trying again is pointless: the host logs it and
// waits for the next change. It is nil if err is.
func TerminalError(err error) error {
	if err == nil {
		return nil
	}
	return &terminalError{err}
}

// IsTerminal tells whether an error is a [TerminalError], or wraps one.
func IsTerminal(err error) bool {
	var terminal *terminalError
	return errors.As(err, &terminal)
}

type terminalError struct{ err error }

func (e *terminalError) Error() string { return e.err.Error() }

func (e *terminalError) Unwrap() error { return e.err }

// The sync that a context belongs to.
type syncKey struct{}

// WithSync is a context for the sync of this number, in whose name API calls are made.
// Controllers have no use for it: the SDK makes the context of each sync.
func WithSync(ctx context.Context, sync uint64) context.Context {
	return context.WithValue(ctx, syncKey{}, sync)
}

// syncOf is the number of the sync that a context belongs to; 0 outside of syncs.
func syncOf(ctx context.Context) uint64 {
	sync, _ := ctx.Value(syncKey{}).(uint64)
	return sync
}

var registered Controller

// Register makes this the controller of the component. It is called once, in an init
// function, since nobody calls main in a component. A second call panics.
func Register(controller Controller) {
	if registered != nil {
		panic("windlass: a component has one controller")
	}
	registered = controller
	export(controller)
}

// Start runs what comes before the first sync: it declares the metrics, and calls the
// controller's Start if it is a [Starter]. The host calls it, and windlasstest.
func Start(ctx context.Context, controller Controller) error {
	if err := declareMetrics(); err != nil {
		return err
	}
	if starter, ok := controller.(Starter); ok {
		return starter.Start(ctx)
	}
	return nil
}

// milliseconds rounds up: a key that is due in a while is never due now.
func milliseconds(duration time.Duration) uint64 {
	if duration <= 0 {
		return 0
	}
	whole := uint64(duration / time.Millisecond)
	if duration%time.Millisecond != 0 {
		whole++
	}
	return whole
}
