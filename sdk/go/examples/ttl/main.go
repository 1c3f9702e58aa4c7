// Deletes ConfigMaps past the time in their annotation ttl.windlass.dev/expires.
package main

import (
	"context"
	"log/slog"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
)

const annotation = "ttl.windlass.dev/expires"

// ConfigMap is all that this controller reads of one.
type ConfigMap struct {
	meta.ObjectMeta `json:"metadata"`
}

// Resource is where ConfigMaps are served.
func (*ConfigMap) Resource() windlass.Resource {
	return windlass.Resource{Version: "v1", Kind: "ConfigMap", Plural: "configmaps"}
}

var (
	cached  = windlass.NewLister[*ConfigMap](0)
	live    windlass.Client[*ConfigMap]
	expired = windlass.NewCounter("expired_total", "Objects deleted because their time was up.", "namespace")
)

type ttl struct{}

func (ttl) Manifest() windlass.Manifest {
	return windlass.Manifest{
		Name:    "ttl-go",
		Version: "0.1.0",
		Watches: []windlass.Watch{{
			Resource: windlass.ResourceOf[*ConfigMap](),
			View:     windlass.MetadataOnly(),
			Enqueue:  windlass.EnqueueItself(),
			On:       windlass.OnAdded | windlass.OnUpdated,
		}},
		Permissions: []windlass.Permission{
			{Groups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"delete"}},
		},
	}
}

func (ttl) SyncHandler(ctx context.Context, key windlass.Key) (windlass.Result, error) {
	configMap, found, err := cached.Get(key)
	if err != nil || !found || configMap.Annotations[annotation] == "" {
		return windlass.Result{}, err
	}
	at := configMap.Annotations[annotation]
	expires, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return windlass.Result{}, windlass.TerminalError(err)
	}
	if left := expires.Sub(windlass.Now()); left > 0 {
		return windlass.Result{RequeueAfter: left}, nil
	}
	err = live.Delete(ctx, key, windlass.DeleteOptions{UID: configMap.UID})
	if windlass.IgnoreNotFound(err) != nil {
		return windlass.Result{}, err
	}
	expired.Inc(key.Namespace)
	slog.Info("expired", "at", at)
	return windlass.Result{}, nil
}

func init() { windlass.Register(ttl{}) }

// Nobody calls it; the compiler wants one.
func main() {}
