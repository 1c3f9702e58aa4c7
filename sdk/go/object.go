package windlass

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/windlass-dev/windlass/sdk/go/meta"
)

// Resource is a kind of object and where the API server serves it.
type Resource struct {
	// Group such as apps; empty for the core group.
	Group string
	// Version such as v1.
	Version string
	// Kind such as Deployment.
	Kind string
	// Plural is the collection's name in URLs, such as deployments.
	Plural string
}

// APIVersion is apps/v1, or v1 in the core group.
func (r Resource) APIVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

// Object is a kind of object as its author declares it: a pointer to a struct that embeds
// [meta.ObjectMeta] under the JSON name metadata and has the fields that are read. It has
// no fields for apiVersion and kind; the SDK writes them.
//
//	type ConfigMap struct {
//		meta.ObjectMeta `json:"metadata"`
//		Data map[string]string `json:"data,omitempty"`
//	}
//
//	func (*ConfigMap) Resource() windlass.Resource {
//		return windlass.Resource{Version: "v1", Kind: "ConfigMap", Plural: "configmaps"}
//	}
type Object interface {
	// Resource is the same for all objects of the type, and is asked of a nil one too.
	Resource() Resource
	// Meta is the metadata; embedding meta.ObjectMeta implements it.
	Meta() *meta.ObjectMeta
}

// ResourceOf is the resource of a type, such as ResourceOf[*ConfigMap]().
func ResourceOf[T Object]() Resource {
	var object T
	return object.Resource()
}

// Key names an object in a collection, and is what the work queue holds. A controller that
// enqueues keys itself may put anything in here.
type Key struct {
	// Namespace is empty for cluster-scoped objects.
	Namespace string
	// Name of the object.
	Name string
}

// KeyOf is the key of an object.
func KeyOf(object Object) Key {
	return Key{Namespace: object.Meta().Namespace, Name: object.Meta().Name}
}

// String is namespace/name, or the name alone.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// Decode reads an object from its JSON, such as the body of a delta.
func Decode[T Object](body []byte) (T, error) {
	var object T
	if err := json.Unmarshal(body, &object); err != nil {
		return object, fmt.Errorf("a %s does not parse: %w", ResourceOf[T]().Kind, err)
	}
	if reflect.ValueOf(object).IsNil() {
		return object, fmt.Errorf("a %s does not parse: it is null", ResourceOf[T]().Kind)
	}
	return object, nil
}

// Encode writes an object as JSON, with its apiVersion and kind.
func Encode(object Object) ([]byte, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("a %s has no JSON: %w", object.Resource().Kind, err)
	}
	fields, isObject := bytes.CutPrefix(body, []byte("{"))
	if !isObject {
		return nil, fmt.Errorf("a %s is no JSON object", object.Resource().Kind)
	}
	head := fmt.Sprintf(`{"apiVersion":%q,"kind":%q`, object.Resource().APIVersion(), object.Resource().Kind)
	if !bytes.Equal(fields, []byte("}")) {
		head += ","
	}
	return append([]byte(head), fields...), nil
}

// ControllerReference is the reference with which an object names this one as its
// controlling owner, whose foreground deletion waits for the object.
func ControllerReference(owner Object) meta.OwnerReference {
	return meta.OwnerReference{
		APIVersion:         owner.Resource().APIVersion(),
		Kind:               owner.Resource().Kind,
		Name:               owner.Meta().Name,
		UID:                owner.Meta().UID,
		Controller:         true,
		BlockOwnerDeletion: true,
	}
}

// SetController makes owner the controlling owner of an object that is about to be
// written. It is an error if another one controls the object.
func SetController(object, owner Object) error {
	references := &object.Meta().OwnerReferences
	for i, reference := range *references {
		switch {
		case reference.UID == owner.Meta().UID:
			(*references)[i] = ControllerReference(owner)
			return nil
		case reference.Controller:
			return fmt.Errorf("%s %s is controlled by %s %s already",
				object.Resource().Kind, KeyOf(object), reference.Kind, reference.Name)
		}
	}
	*references = append(*references, ControllerReference(owner))
	return nil
}
