// Propagates the label examples.windlass.dev/team of a Namespace to the ConfigMaps in it,
// as label team.
package main

import (
	"context"
	"log/slog"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/mapper"
	"github.com/windlass-dev/windlass/sdk/go/meta"
)

const (
	source     = "examples.windlass.dev/team"
	label      = "team"
	propagated = "examples.windlass.dev/propagated"
	// What every namespace has from its cluster, and gets back when it changes.
	rootCertificate = "kube-root-ca.crt"
)

// Namespace is all that this controller reads of one.
type Namespace struct {
	meta.ObjectMeta `json:"metadata"`
}

// Resource is where Namespaces are served.
func (*Namespace) Resource() windlass.Resource {
	return windlass.Resource{Version: "v1", Kind: "Namespace", Plural: "namespaces"}
}

// ConfigMap is all that this controller reads of one.
type ConfigMap struct {
	meta.ObjectMeta `json:"metadata"`
}

// Resource is where ConfigMaps are served.
func (*ConfigMap) Resource() windlass.Resource {
	return windlass.Resource{Version: "v1", Kind: "ConfigMap", Plural: "configmaps"}
}

// Positions in the manifest.
const (
	watchConfigMaps = iota
	watchNamespaces
)

var (
	configMaps = windlass.NewLister[*ConfigMap](watchConfigMaps)
	namespaces = windlass.NewLister[*Namespace](watchNamespaces)
	live       windlass.Client[*ConfigMap]
)

type propagation struct{}

func (propagation) Manifest() windlass.Manifest {
	return windlass.Manifest{
		Name:    "label-propagation-go",
		Version: "0.1.0",
		Watches: []windlass.Watch{
			watchConfigMaps: {
				Resource: windlass.ResourceOf[*ConfigMap](),
				View:     windlass.MetadataOnly(),
				Enqueue:  windlass.EnqueueItself(),
				On:       windlass.OnAdded | windlass.OnUpdated,
				// What is in a namespace, without a look at the rest.
				Indexes: []windlass.Index{{Name: "namespace", Path: "metadata.namespace"}},
			},
			watchNamespaces: {
				Resource: windlass.ResourceOf[*Namespace](),
				View:     windlass.MetadataOnly(),
				Enqueue:  windlass.EnqueueMapped(),
				On:       windlass.OnAdded | windlass.OnUpdated,
			},
		},
		Permissions: []windlass.Permission{
			{Groups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"patch"}},
		},
		// One change of a namespace is as many writes as it has ConfigMaps.
		APIQPS:   100,
		APIBurst: 200,
	}
}

// KeysFor is all ConfigMaps of a namespace that changed.
func (propagation) KeysFor(event windlass.Event) []windlass.Key {
	inside, err := configMaps.ByIndex("namespace", event.Key.Name)
	if err != nil {
		slog.Error("the ConfigMaps of a namespace cannot be read", "namespace", event.Key.Name, "error", err)
		return nil
	}
	var keys []windlass.Key
	for _, configMap := range inside {
		keys = append(keys, windlass.KeyOf(configMap))
	}
	return keys
}

func (propagation) SyncHandler(ctx context.Context, key windlass.Key) (windlass.Result, error) {
	if key.Name == rootCertificate {
		return windlass.Result{}, nil
	}
	configMap, found, err := configMaps.Get(key)
	if err != nil || !found || configMap.IsDeleting() {
		return windlass.Result{}, err
	}
	namespace, found, err := namespaces.Get(windlass.Key{Name: key.Namespace})
	if err != nil || !found {
		return windlass.Result{}, err
	}
	patch, changes := changeOf(configMap, namespace)
	if !changes {
		return windlass.Result{}, nil
	}
	_, err = live.Patch(ctx, key, windlass.MergePatch(patch))
	return windlass.Result{}, windlass.IgnoreNotFound(err)
}

// change is a merge patch; null removes.
type change struct {
	Metadata struct {
		Labels          map[string]*string `json:"labels"`
		Annotations     map[string]*string `json:"annotations"`
		ResourceVersion string             `json:"resourceVersion"`
	} `json:"metadata"`
}

// changeOf is what makes the labels of a ConfigMap right, and whether anything does.
func changeOf(configMap *ConfigMap, namespace *Namespace) (change, bool) {
	team, wanted := namespace.Labels[source]
	current, labelled := configMap.Labels[label]
	isOurs := configMap.Annotations[propagated] == "true"
	var value, mark *string
	switch {
	case wanted && labelled && current == team, !wanted && !isOurs:
		return change{}, false
	case wanted:
		yes := "true"
		value, mark = &team, &yes
	}
	var patch change
	patch.Metadata.Labels = map[string]*string{label: value}
	patch.Metadata.Annotations = map[string]*string{propagated: mark}
	patch.Metadata.ResourceVersion = configMap.ResourceVersion
	return patch, true
}

func init() {
	windlass.Register(propagation{})
	mapper.Register(propagation{})
}

// Nobody calls it; the compiler wants one.
func main() {}
