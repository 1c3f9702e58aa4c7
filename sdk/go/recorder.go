package windlass

import "fmt"

// EventType tells news from trouble.
type EventType uint8

// The types of events.
const (
	// EventNormal: something went as it should.
	EventNormal EventType = iota
	// EventWarning: something may be wrong.
	EventWarning
)

// String is the type as Kubernetes writes it.
func (t EventType) String() string {
	if t == EventWarning {
		return "Warning"
	}
	return "Normal"
}

// ObjectReference is what an event is about.
type ObjectReference struct {
	// APIVersion such as apps/v1.
	APIVersion string
	// Kind such as Deployment.
	Kind string
	// Namespace is empty for cluster-scoped objects.
	Namespace string
	// Name of the object.
	Name string
	// UID of the object.
	UID string
	// ResourceVersion of the state that the event is about.
	ResourceVersion string
}

// RecordedEvent is a Kubernetes event with everything spelled out.
type RecordedEvent struct {
	// Regarding is what the event is about.
	Regarding ObjectReference
	// Type of the event.
	Type EventType
	// Reason in CamelCase, at most 128 characters.
	Reason string
	// Message of at most 1,024 bytes; the rest is cut.
	Message string
	// Action is what was being done, such as Binding. If it is set, the event goes through
	// events.k8s.io/v1, otherwise through core v1.
	Action string
}

// Eventf records a Kubernetes event about an object, whose source is the controller. Fire
// and forget: events are aggregated, rate-limited and sent in the background, and losing
// one is not an error.
func Eventf(about Object, eventType EventType, reason, format string, arguments ...any) {
	RecordEvent(RecordedEvent{
		Regarding: ReferenceTo(about),
		Type:      eventType,
		Reason:    reason,
		Message:   fmt.Sprintf(format, arguments...),
	})
}

// RecordEvent records a Kubernetes event as [Eventf] does.
func RecordEvent(event RecordedEvent) { host().Record(event) }

// ReferenceTo is what an event about an object refers to.
func ReferenceTo(object Object) ObjectReference {
	own := object.Meta()
	return ObjectReference{
		APIVersion:      object.Resource().APIVersion(),
		Kind:            object.Resource().Kind,
		Namespace:       own.Namespace,
		Name:            own.Name,
		UID:             own.UID,
		ResourceVersion: own.ResourceVersion,
	}
}
