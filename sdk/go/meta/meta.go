// Package meta has the parts that Kubernetes objects share: metadata, owners, conditions,
// label selectors, and the scalar types of their fields. Names and JSON forms are those of
// Kubernetes' own API, cut down to what controllers read and write.
package meta

import (
	"slices"
	"time"
)

// ObjectMeta is the metadata of an object. A type of the author's own embeds it:
//
//	type ConfigMap struct {
//		meta.ObjectMeta `json:"metadata"`
//		Data map[string]string `json:"data,omitempty"`
//	}
type ObjectMeta struct {
	// Name is unique in its namespace and collection.
	Name string `json:"name,omitempty"`
	// GenerateName is what the server makes a name of when there is none.
	GenerateName string `json:"generateName,omitempty"`
	// Namespace is empty for cluster-scoped objects.
	Namespace string `json:"namespace,omitempty"`
	// UID is unique in time and space.
	UID string `json:"uid,omitempty"`
	// ResourceVersion changes with every write.
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// Generation changes with every change of what is wanted.
	Generation int64 `json:"generation,omitempty"`
	// CreationTimestamp is when the server created the object.
	CreationTimestamp *Time `json:"creationTimestamp,omitempty"`
	// DeletionTimestamp is set when the deletion was asked for and something holds it up.
	DeletionTimestamp *Time `json:"deletionTimestamp,omitempty"`
	// DeletionGracePeriodSeconds is how long the object has to go.
	DeletionGracePeriodSeconds *int64 `json:"deletionGracePeriodSeconds,omitempty"`
	// Labels are what selectors select by.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations are what everybody else may note.
	Annotations map[string]string `json:"annotations,omitempty"`
	// OwnerReferences name the object's owners, the controlling one among them.
	OwnerReferences []OwnerReference `json:"ownerReferences,omitempty"`
	// Finalizers are what must happen before the object can go.
	Finalizers []string `json:"finalizers,omitempty"`
}

// Meta is the metadata itself: it makes any type that embeds ObjectMeta half an Object.
func (m *ObjectMeta) Meta() *ObjectMeta { return m }

// Controller is the reference to the owner that manages the object, or nil.
func (m *ObjectMeta) Controller() *OwnerReference {
	for i := range m.OwnerReferences {
		if m.OwnerReferences[i].Controller {
			return &m.OwnerReferences[i]
		}
	}
	return nil
}

// IsControlledBy tells whether the controlling owner is this one, by UID.
func (m *ObjectMeta) IsControlledBy(owner *ObjectMeta) bool {
	controller := m.Controller()
	return controller != nil && controller.UID == owner.UID
}

// IsDeleting tells whether the object's deletion was asked for.
func (m *ObjectMeta) IsDeleting() bool { return m.DeletionTimestamp != nil }

// HasFinalizer tells whether the finalizer is on the object.
func (m *ObjectMeta) HasFinalizer(name string) bool { return slices.Contains(m.Finalizers, name) }

// OwnerReference names one owner of an object.
type OwnerReference struct {
	// APIVersion such as apps/v1.
	APIVersion string `json:"apiVersion"`
	// Kind such as ReplicaSet.
	Kind string `json:"kind"`
	// Name of the owner, which lives in the object's namespace or in none.
	Name string `json:"name"`
	// UID of the owner.
	UID string `json:"uid"`
	// Controller tells whether this owner manages the object.
	Controller bool `json:"controller,omitempty"`
	// BlockOwnerDeletion tells whether foreground deletion of the owner waits for the object.
	BlockOwnerDeletion bool `json:"blockOwnerDeletion,omitempty"`
}

// Time is a point in time as Kubernetes writes it: RFC 3339, UTC, whole seconds.
type Time struct{ time.Time }

// MarshalJSON writes whole seconds in UTC, and null for the zero value.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(t.UTC().Format(`"` + time.RFC3339 + `"`)), nil
}
