// Greets whom a Greeting names, in a ConfigMap that the Greeting owns.
package main

import (
	"context"
	"fmt"
	"reflect"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
)

// Greeting, as far as this controller reads it: parsing costs more than anything else here.
type Greeting struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            GreetingSpec   `json:"spec"`
	Status          GreetingStatus `json:"status,omitzero"`
}

// GreetingSpec is what is wanted.
type GreetingSpec struct {
	Name string `json:"name"`
}

// GreetingStatus is what there is.
type GreetingStatus struct {
	ObservedGeneration int64            `json:"observedGeneration"`
	Message            string           `json:"message"`
	Conditions         []meta.Condition `json:"conditions,omitempty"`
}

// Resource is where Greetings are served.
func (*Greeting) Resource() windlass.Resource {
	return windlass.Resource{Group: "example.com", Version: "v1", Kind: "Greeting", Plural: "greetings"}
}

// ConfigMap, as far as this controller reads and writes it.
type ConfigMap struct {
	meta.ObjectMeta `json:"metadata"`
	Data            map[string]string `json:"data,omitempty"`
}

// Resource is where ConfigMaps are served.
func (*ConfigMap) Resource() windlass.Resource {
	return windlass.Resource{Version: "v1", Kind: "ConfigMap", Plural: "configmaps"}
}

// Listers read the host's caches; their numbers are places in the manifest's watches.
var (
	greetings  = windlass.NewLister[*Greeting](0)
	configMaps = windlass.NewLister[*ConfigMap](1)
)

type greeter struct{}

func (greeter) Manifest() windlass.Manifest {
	return windlass.Manifest{
		Name:    "__NAME__",
		Version: "0.1.0",
		// A Greeting that changes is synced; a ConfigMap that changes has its owner synced.
		Watches: []windlass.Watch{
			{Resource: windlass.ResourceOf[*Greeting](), Enqueue: windlass.EnqueueItself()},
			{
				Resource: windlass.ResourceOf[*ConfigMap](),
				View:     windlass.Fields("data.message"),
				Enqueue:  windlass.EnqueueOwner[*Greeting](windlass.IgnoreOrphans),
			},
		},
		// What is watched may be read. All other calls need a permission.
		Permissions: []windlass.Permission{
			{Groups: []string{"example.com"}, Resources: []string{"greetings/status"}, Verbs: []string{"patch"}},
			{Groups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create", "patch"}},
			// Some clusters ask this of whoever makes a Greeting the owner of something.
			{Groups: []string{"example.com"}, Resources: []string{"greetings/finalizers"}, Verbs: []string{"update"}},
		},
	}
}

// SyncHandler makes the world as one Greeting wants it. Why it is called does not matter: it
// looks at what there is, and changes what is not right. What fails is tried again.
func (greeter) SyncHandler(ctx context.Context, key windlass.Key) (windlass.Result, error) {
	greeting, found, err := greetings.Get(key)
	if err != nil || !found || greeting.IsDeleting() {
		return windlass.Result{}, err // The garbage collector takes what a Greeting owned.
	}
	message := fmt.Sprintf("Hello, %s!", greeting.Spec.Name)
	isOurs, err := ensureConfigMap(ctx, greeting, message)
	if err != nil {
		return windlass.Result{}, err
	}
	if err := updateStatus(ctx, greeting, message, isOurs); err != nil || isOurs {
		return windlass.Result{}, err
	}
	// Nobody tells us when it goes, for it has another owner or none.
	return windlass.Result{RequeueAfter: 30 * time.Second}, nil
}

// ensureConfigMap creates or corrects the ConfigMap, unless it is somebody else's.
func ensureConfigMap(ctx context.Context, greeting *Greeting, message string) (isOurs bool, err error) {
	client := windlass.Client[*ConfigMap]{}
	key := windlass.KeyOf(greeting)
	current, found, err := configMaps.Get(key)
	switch {
	case err != nil:
		return false, err
	case !found:
		wanted := &ConfigMap{Data: map[string]string{"message": message}}
		wanted.Namespace, wanted.Name = key.Namespace, key.Name
		wanted.OwnerReferences = []meta.OwnerReference{windlass.ControllerReference(greeting)}
		if _, err := client.Create(ctx, wanted); err != nil {
			return false, err
		}
		windlass.Eventf(greeting, windlass.EventNormal, "Created", "Created ConfigMap %s", key.Name)
	case !current.IsControlledBy(greeting.Meta()):
		return false, nil
	case current.Data["message"] != message:
		patch := windlass.MergePatch(map[string]any{"data": map[string]string{"message": message}})
		_, err = client.Patch(ctx, key, patch)
	}
	return true, err
}

// updateStatus writes the status if it is another one. Writing always would sync the key for ever.
func updateStatus(ctx context.Context, greeting *Greeting, message string, isOurs bool) error {
	ready := meta.Condition{Type: "Ready", ObservedGeneration: greeting.Generation}
	status := GreetingStatus{ObservedGeneration: greeting.Generation}
	if isOurs {
		status.Message = message
		ready.Status, ready.Reason, ready.Message = meta.ConditionTrue, "Greeted", message
	} else {
		ready.Status, ready.Reason = meta.ConditionFalse, "Conflict"
		ready.Message = fmt.Sprintf("ConfigMap %s is somebody else's", greeting.Name)
	}
	status.Conditions = meta.SetCondition(greeting.Status.Conditions, ready, windlass.Now())
	if reflect.DeepEqual(status, greeting.Status) {
		return nil
	}
	patch := windlass.MergePatch(map[string]any{"status": status})
	_, err := windlass.Client[*Greeting]{}.PatchStatus(ctx, windlass.KeyOf(greeting), patch)
	return err
}

func init() { windlass.Register(greeter{}) }

func main() {} // Nobody calls it in a component.
