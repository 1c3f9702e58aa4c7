package windlass

// Manifest is what a controller declares about itself. The host acts on it natively, so
// that watching, indexing and turning events into keys never enters the guest.
type Manifest struct {
	// Name of the controller: lower-case letters, digits and dashes, at most 63. Queue,
	// metrics, event source and user agent carry it.
	Name string
	// Version of the guest, for people.
	Version string
	// Watches by position, which is how listers, deltas and events name them.
	Watches []Watch
	// Workers is how many syncs may be in flight at once; 0 counts as 1. An instance of a
	// Go guest runs one at a time whatever this says.
	Workers uint32
	// Permissions is what the guest needs beyond reading what it watches. The operator's
	// entry for the module decides what it gets.
	Permissions []Permission
	// APIQPS is the API calls per second that it expects to need; 0 leaves it to the host.
	APIQPS uint32
	// APIBurst is the calls at once that it expects to need; 0 leaves it to the host.
	APIBurst uint32
}

// Watch is which objects, how much of them, and which keys their events become. The zero
// value of everything but Resource means: whole objects, no keys, not observed.
type Watch struct {
	// Resource whose objects are watched; see [ResourceOf].
	Resource Resource
	// Discovered, in place of Resource, watches the metadata of every resource that
	// discovery finds with the verbs delete, list and watch.
	Discovered *Discovered
	// LabelSelector leaves only objects with matching labels; empty: all.
	LabelSelector string
	// View is how much of each object is wanted.
	View View
	// Enqueue is how an event becomes keys.
	Enqueue EnqueueRule
	// On is the kinds of event that Enqueue applies to; 0: all.
	On EventKinds
	// Observe delivers the deltas to the controller's Observe.
	Observe bool
	// OldBodies adds the previous body to what Observe or KeysFor gets.
	OldBodies bool
	// Indexes for [Lister.ByIndex].
	Indexes []Index
}

// Discovered is a watch of whatever can be deleted. Listers cannot read it.
type Discovered struct {
	// Except is resources that are left out, as group/plural, the core group as /plural.
	Except []string
}

// Index is a named index over a watch.
type Index struct {
	// Name that [Lister.ByIndex] is asked for.
	Name string
	// Path of the scalar that objects are found by, such as spec.nodeName; objects without
	// it are not in the index.
	Path string
}

// Permission is one rule of a Role: these verbs on these resources. The entry * is allowed
// in every list.
type Permission struct {
	// Groups of the API, the core group as the empty string.
	Groups []string
	// Resources such as pods or pods/status.
	Resources []string
	// Verbs such as get, list, create, update, patch and delete.
	Verbs []string
}

// View is how much of each object a watch wants. The zero value is the whole object. A
// cached object may hold more than was asked for, never less; metadata.managedFields is
// never there.
type View struct {
	// Kind of the view.
	Kind ViewKind
	// Paths of the fields, for ViewKindFields.
	Paths []string
}

// ViewKind tells the views apart.
type ViewKind uint8

// The kinds of views.
const (
	// ViewKindFull: the whole object.
	ViewKindFull ViewKind = iota
	// ViewKindFields: apiVersion, kind, metadata and some fields.
	ViewKindFields
	// ViewKindMetadata: apiVersion, kind and metadata.
	ViewKindMetadata
)

// Fields is apiVersion, kind, metadata and these fields. A path is written
// spec.template.metadata and keeps everything below it; lists are walked through
// (spec.containers.image).
func Fields(paths ...string) View { return View{Kind: ViewKindFields, Paths: paths} }

// MetadataOnly is apiVersion, kind and metadata.
func MetadataOnly() View { return View{Kind: ViewKindMetadata} }

// EnqueueRule is how an event on a watched object becomes keys. The zero value is none.
type EnqueueRule struct {
	// Kind of the rule.
	Kind EnqueueKind
	// Owner is the kind of the owner, for EnqueueKindOwner. Any version matches.
	Owner Resource
	// Orphans is what happens to objects without a controlling owner, for
	// EnqueueKindOwner.
	Orphans OrphanRule
}

// EnqueueKind tells the rules apart.
type EnqueueKind uint8

// The kinds of rules.
const (
	// EnqueueKindNone: no keys, for watches that are only read or observed.
	EnqueueKindNone EnqueueKind = iota
	// EnqueueKindItself: the object's own key.
	EnqueueKindItself
	// EnqueueKindOwner: the key of the controlling owner, in the object's namespace; when
	// it changed, of the old one too.
	EnqueueKindOwner
	// EnqueueKindMapped: what the controller's KeysFor says.
	EnqueueKindMapped
)

// OrphanRule is what to do with an object that should have a controlling owner and has
// none.
type OrphanRule uint8

// The rules for orphans.
const (
	// IgnoreOrphans: nothing.
	IgnoreOrphans OrphanRule = iota
	// MatchOrphans: every object of watch 0 in the same namespace is enqueued whose
	// spec.selector matches the orphan's labels, so that it can adopt it (see [Claim]).
	MatchOrphans
)

// EnqueueItself enqueues the object's own key.
func EnqueueItself() EnqueueRule { return EnqueueRule{Kind: EnqueueKindItself} }

// EnqueueOwner enqueues the controlling owner of this kind, such as
// EnqueueOwner[*ReplicaSet](MatchOrphans).
func EnqueueOwner[Owner Object](orphans OrphanRule) EnqueueRule {
	return EnqueueRule{Kind: EnqueueKindOwner, Owner: ResourceOf[Owner](), Orphans: orphans}
}

// EnqueueMapped asks the controller's [Mapper].
func EnqueueMapped() EnqueueRule { return EnqueueRule{Kind: EnqueueKindMapped} }

// EventKinds is a set of kinds of event.
type EventKinds uint8

// The kinds of event, to be joined with |.
const (
	// OnAdded: an object is new.
	OnAdded EventKinds = 1 << iota
	// OnUpdated: an object changed.
	OnUpdated
	// OnDeleted: an object is gone.
	OnDeleted
)
