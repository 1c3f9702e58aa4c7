// Command smoke is what a project gets that requires the module: a controller that deletes
// what it sees.
package main

import (
	"context"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
)

type configMap struct {
	meta.ObjectMeta `json:"metadata"`
}

func (*configMap) Resource() windlass.Resource {
	return windlass.Resource{Version: "v1", Plural: "configmaps", Kind: "ConfigMap"}
}

var (
	cached = windlass.NewLister[*configMap](0)
	client windlass.Client[*configMap]
)

type smoke struct{}

func (smoke) Manifest() windlass.Manifest {
	return windlass.Manifest{
		Name:    "smoke",
		Version: "0.1.0",
		Watches: []windlass.Watch{{
			Resource: windlass.ResourceOf[*configMap](),
			Enqueue:  windlass.EnqueueItself(),
		}},
		Permissions: []windlass.Permission{{
			Groups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"delete"},
		}},
	}
}

func (smoke) SyncHandler(ctx context.Context, key windlass.Key) (windlass.Result, error) {
	_, found, err := cached.Get(key)
	if err != nil || !found {
		return windlass.Result{}, err
	}
	return windlass.Result{}, client.Delete(ctx, key, windlass.DeleteOptions{})
}

func init() { windlass.Register(smoke{}) }

func main() {}
