// Package windlass is for Kubernetes controllers in Go that run as WebAssembly components
// in Windlass.
//
// A controller says in a [Manifest] what it watches and how that becomes keys, and
// implements [Controller]. The host runs informers, caches, queue, back-off and clients. It
// starts no sync before the caches hold what earlier syncs of the same key wrote, and never
// two syncs of one key at once.
//
//	type hello struct{}
//
//	var configMaps = windlass.NewLister[*ConfigMap](0)
//
//	func (hello) Manifest() windlass.Manifest {
//		return windlass.Manifest{
//			Name: "hello", Version: "0.1.0",
//			Watches: []windlass.Watch{{
//				Resource: windlass.ResourceOf[*ConfigMap](),
//				Enqueue:  windlass.EnqueueItself(),
//			}},
//		}
//	}
//
//	func (hello) SyncHandler(ctx context.Context, key windlass.Key) (windlass.Result, error) {
//		configMap, found, err := configMaps.Get(key)
//		if err != nil || !found {
//			return windlass.Result{}, err
//		}
//		slog.Info("synced", "entries", len(configMap.Data))
//		return windlass.Result{}, nil
//	}
//
//	func init() { windlass.Register(hello{}) }
//
//	func main() {}
//
// What there is:
//
//   - [Lister]: reading the shared caches
//   - [Client]: talking to the API server; [APIError], [IsNotFound], [IsConflict] and so on
//   - [SetController], [Claim]: owner references, adoption and release
//   - [AddFinalizer], [RemoveFinalizer], and conditions in package meta
//   - [Eventf]: events; log/slog: lines in the host's log; [NewCounter], [NewGauge],
//     [NewHistogram]: metrics
//   - [DecodeConfig]: the module's configuration; [Resolve]: discovery; [Enqueue]: keys
//   - package mapper and package observer: what a controller may export besides
//   - package plugin: plugins of the scheduler
//   - package windlasstest: a fake cluster for go test
//
// Objects are Go types of the author's own, which declare the fields that are read and
// nothing else: parsing is the dearest part of a sync. `windlass build` makes the component.
//
// One sync runs at a time in an instance, so what a controller keeps in its fields needs no
// lock. What it keeps ends with the instance: after a trap a new one starts. A goroutine
// runs only while the host waits for the controller; time.Sleep and everything else that
// waits without an API call ends the instance. To wait, return [Result.RequeueAfter].
package windlass
