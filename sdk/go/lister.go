package windlass

import "fmt"

// Lister reads the objects of one watch from the host's shared caches: no I/O, no waiting,
// and nothing older than what earlier syncs of the same key wrote. Order is unspecified.
// Each call parses, so keep what it returns while a sync lasts.
//
// An object that does not parse as T is a terminal error.
type Lister[T Object] struct{ watch uint32 }

// NewLister reads the watch at this position in the manifest. T is the watch's type, or
// another one that declares other fields of the same objects.
func NewLister[T Object](watch int) Lister[T] { return Lister[T]{watch: uint32(watch)} }

// Get is one object, and whether it is there.
func (l Lister[T]) Get(key Key) (object T, found bool, err error) {
	body, found := host().ListerGet(l.watch, key)
	if !found {
		return object, false, nil
	}
	object, err = l.parse(body)
	return object, err == nil, err
}

// List is the objects of a namespace (empty: of all) that match a label selector in its
// string form (empty: every object).
func (l Lister[T]) List(namespace, labelSelector string) ([]T, error) {
	bodies, err := host().ListerList(l.watch, namespace, labelSelector)
	return l.parseAll(bodies, err)
}

// ByIndex is the objects with this value under an index of the watch.
func (l Lister[T]) ByIndex(index, value string) ([]T, error) {
	bodies, err := host().ListerByIndex(l.watch, index, value)
	return l.parseAll(bodies, err)
}

// ByOwner is the objects whose controlling owner this is, by UID.
func (l Lister[T]) ByOwner(owner Object) ([]T, error) {
	return l.parseAll(host().ListerByOwner(l.watch, owner.Meta().UID), nil)
}

// Orphans is the objects of a namespace without a controlling owner.
func (l Lister[T]) Orphans(namespace string) ([]T, error) {
	return l.parseAll(host().ListerOrphans(l.watch, namespace), nil)
}

func (l Lister[T]) parseAll(bodies [][]byte, err error) ([]T, error) {
	if err != nil {
		return nil, TerminalError(fmt.Errorf("watch %d: %w", l.watch, err))
	}
	objects := make([]T, 0, len(bodies))
	for _, body := range bodies {
		object, err := l.parse(body)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func (l Lister[T]) parse(body []byte) (T, error) {
	object, err := Decode[T](body)
	if err != nil {
		return object, TerminalError(fmt.Errorf("watch %d: %w", l.watch, err))
	}
	return object, nil
}
