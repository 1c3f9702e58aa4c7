package windlass

import "time"

// Host is what the SDK asks of the host: the imports of the contract in a component, the
// fake of package windlasstest in a native test.
type Host interface {
	// ListerGet is one object of a watch, and whether it is there.
	ListerGet(watch uint32, key Key) ([]byte, bool)
	// ListerList is the objects of a namespace, or with an empty one of all.
	ListerList(watch uint32, namespace, labelSelector string) ([][]byte, error)
	// ListerByIndex is the objects with this value under a declared index.
	ListerByIndex(watch uint32, index, value string) ([][]byte, error)
	// ListerByOwner is the objects whose controlling owner has this UID.
	ListerByOwner(watch uint32, uid string) [][]byte
	// ListerOrphans is the objects of a namespace without a controlling owner.
	ListerOrphans(watch uint32, namespace string) [][]byte
	// Call asks the API server; the error is an *APIError.
	Call(call Call) ([]byte, error)
	// Resolve is the resource that serves a kind, and whether there is one.
	Resolve(group, version, kind string) (Mapping, bool)
	// Enqueue adds keys to the controller's own queue.
	Enqueue(items []Item)
	// Record sends an event.
	Record(event RecordedEvent)
	// Log writes a line into the host's log.
	Log(level LogLevel, message string, fields []LogField)
	// LogEnabled tells whether a line of this level would be written.
	LogEnabled(level LogLevel) bool
	// DeclareMetric declares a metric and returns what the other calls name it by.
	DeclareMetric(metric Metric) (uint32, error)
	// AddMetric adds to a counter or a gauge.
	AddMetric(metric uint32, labels []string, value float64)
	// SetMetric sets a gauge.
	SetMetric(metric uint32, labels []string, value float64)
	// ObserveMetric adds an observation to a histogram.
	ObserveMetric(metric uint32, labels []string, value float64)
	// Now is the wall clock.
	Now() time.Time
	// Monotonic is the time since an arbitrary start; it never goes back.
	Monotonic() time.Duration
	// Random is 64 bits, not for secrets.
	Random() uint64
	// Config is the module's configuration, a JSON object.
	Config() []byte
}

// Verb is what a [Call] does.
type Verb uint8

// The verbs of the contract.
const (
	// VerbGet reads an object.
	VerbGet Verb = iota
	// VerbList reads a page of a list.
	VerbList
	// VerbCreate posts a body.
	VerbCreate
	// VerbUpdate puts a body.
	VerbUpdate
	// VerbPatch patches an object.
	VerbPatch
	// VerbDelete deletes an object.
	VerbDelete
)

// Call is one API call, as a [Host] carries it.
type Call struct {
	// Sync that the call is made for; 0 outside of syncs.
	Sync uint64
	// Verb of the call.
	Verb Verb
	// Resource that it is about; Kind may be empty.
	Resource Resource
	// Key of the object; without a name for lists and creations.
	Key Key
	// Subresource such as status; empty for the object itself.
	Subresource string
	// Body of a creation, an update or a patch.
	Body []byte
	// PatchType of a patch.
	PatchType PatchType
	// List is the options of a list.
	List ListOptions
	// Delete is the options of a deletion.
	Delete DeleteOptions
}
