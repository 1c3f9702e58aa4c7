// Deletes ConfigMaps past the time in their annotation ttl.windlass.dev/expires.
//
// Over the bare bindings, to show what they are.
package main

import (
	"encoding/json"
	"fmt"
	"time"

	handler "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/export_windlass_controller_handler"
	clientset "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_clientset"
	lister "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_lister"
	logging "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_logging"
	manifest "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_manifest"
	metrics "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_metrics"
	types "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_types"
	_ "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/wit_exports"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

const annotation = "ttl.windlass.dev/expires"

var configMaps = types.ApiResource{Version: "v1", Plural: "configmaps"}

type ttl struct{ expired uint32 }

type object struct {
	Metadata struct {
		UID         string            `json:"uid"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
}

func (t *ttl) Describe() manifest.Manifest {
	return manifest.Manifest{
		Name:    "ttl-go",
		Version: "0.1.0",
		Watches: []manifest.Watch{{
			Target:  manifest.MakeWatchTargetOne(configMaps),
			View:    manifest.MakeViewMetadata(),
			Enqueue: manifest.MakeEnqueueRuleItself(),
			On:      manifest.EventKindsAdded | manifest.EventKindsUpdated,
		}},
		Workers:     1,
		Permissions: []manifest.Permission{{Groups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"delete"}}},
	}
}

func (t *ttl) Start() wit.Result[wit.Unit, string] {
	declared := metrics.Declare(metrics.Metric{
		Name:   "expired_total",
		Help:   "Objects deleted because their time was up.",
		Kind:   metrics.MakeMetricKindCounter(),
		Labels: []string{"namespace"},
	})
	if declared.IsErr() {
		return wit.Err[wit.Unit, string](declared.Err())
	}
	t.expired = declared.Ok()
	return wit.Ok[wit.Unit, string](wit.Unit{})
}

func (t *ttl) SyncHandler(sync uint64, key types.ObjectKey) handler.SyncResult {
	body, found := lister.Get(0, key).Get()
	if !found {
		return done()
	}
	var object object
	if err := json.Unmarshal(body, &object); err != nil {
		return terminal(err)
	}
	annotated := object.Metadata.Annotations[annotation]
	if annotated == "" {
		return done()
	}
	expires, err := time.Parse(time.RFC3339, annotated)
	if err != nil {
		return terminal(err)
	}
	if left := time.Until(expires); left > 0 {
		return wit.Ok[types.Outcome, types.SyncError](types.MakeOutcomeRequeueAfter(uint64(left.Milliseconds()) + 1))
	}
	deleted := clientset.Delete(sync, types.Target{Resource: configMaps, Key: key}, types.DeleteOptions{
		Preconditions: types.Preconditions{Uid: wit.Some(object.Metadata.UID)},
	})
	if deleted.IsErr() && deleted.Err().Kind != types.ApiErrorKindNotFound {
		return wit.Err[types.Outcome, types.SyncError](types.MakeSyncErrorRetry(deleted.Err().Message))
	}
	metrics.Add(t.expired, []string{key.Namespace}, 1)
	logging.Log(logging.LevelInfo, "expired", []wit.Tuple2[string, string]{{F0: "at", F1: annotated}})
	return done()
}

func done() handler.SyncResult {
	return wit.Ok[types.Outcome, types.SyncError](types.MakeOutcomeDone())
}

func terminal(err error) handler.SyncResult {
	return wit.Err[types.Outcome, types.SyncError](types.MakeSyncErrorTerminal(fmt.Sprint(err)))
}

func init() { handler.Registered = &ttl{} }

// Nobody calls it; the compiler wants one.
func main() {}
