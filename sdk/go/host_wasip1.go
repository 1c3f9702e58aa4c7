package windlass

import (
	"errors"
	"time"

	clientset "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_clientset"
	clock "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_clock"
	discovery "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_discovery"
	lister "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_lister"
	logging "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_logging"
	metrics "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_metrics"
	config "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_module_config"
	random "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_random"
	recorder "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_recorder"
	types "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_types"
	workqueue "github.com/windlass-dev/windlass/sdk/go/internal/bindings/handler/windlass_controller_workqueue"
	runtime "github.com/windlass-dev/windlass/sdk/go/internal/wit/runtime"
	wit "github.com/windlass-dev/windlass/sdk/go/internal/wit/types"
)

// component is the contract's imports.
type component struct{}

func host() Host { return component{} }

func (component) ListerGet(watch uint32, key Key) ([]byte, bool) {
	return runtime.Receive(func() wit.Option[[]byte] { return lister.Get(watch, types.ObjectKey(key)) }).Get()
}

func (component) ListerList(watch uint32, namespace, labelSelector string) ([][]byte, error) {
	within := wit.None[string]()
	if namespace != "" {
		within = wit.Some(namespace)
	}
	return bodies(func() wit.Result[[][]byte, string] { return lister.List(watch, within, labelSelector) })
}

func (component) ListerByIndex(watch uint32, index, value string) ([][]byte, error) {
	return bodies(func() wit.Result[[][]byte, string] { return lister.ByIndex(watch, index, value) })
}

func bodies(call func() wit.Result[[][]byte, string]) ([][]byte, error) {
	result := runtime.Receive(call)
	if result.IsErr() {
		return nil, errors.New(result.Err())
	}
	return result.Ok(), nil
}

func (component) ListerByOwner(watch uint32, uid string) [][]byte {
	return runtime.Receive(func() [][]byte { return lister.ByOwner(watch, uid) })
}

func (component) ListerOrphans(watch uint32, namespace string) [][]byte {
	return runtime.Receive(func() [][]byte { return lister.Orphans(watch, namespace) })
}

func (component) Call(call Call) ([]byte, error) {
	result := runtime.Receive(func() wit.Result[[]byte, types.ApiError] { return send(call) })
	if !result.IsErr() {
		return result.Ok(), nil
	}
	failure := result.Err()
	causes := make([]StatusCause, len(failure.Causes))
	for i, cause := range failure.Causes {
		causes[i] = StatusCause(cause)
	}
	retryAfter, _ := failure.RetryAfterMs.Get()
	return nil, &APIError{
		Kind:       ErrorKind(failure.Kind),
		Code:       int(failure.Code),
		Reason:     failure.Reason,
		Message:    failure.Message,
		Causes:     causes,
		RetryAfter: time.Duration(retryAfter) * time.Millisecond,
	}
}

func send(call Call) wit.Result[[]byte, types.ApiError] {
	target := types.Target{
		Resource:    apiResource(call.Resource),
		Key:         types.ObjectKey(call.Key),
		Subresource: call.Subresource,
	}
	switch call.Verb {
	case VerbList:
		return clientset.List(call.Sync, target.Resource, types.ListOptions(call.List))
	case VerbCreate:
		return clientset.Create(call.Sync, target, call.Body)
	case VerbUpdate:
		return clientset.Update(call.Sync, target, call.Body)
	case VerbPatch:
		return clientset.Patch(call.Sync, target, uint8(call.PatchType), call.Body)
	case VerbDelete:
		return clientset.Delete(call.Sync, target, deleteOptions(call.Delete))
	default:
		return clientset.Get(call.Sync, target)
	}
}

func apiResource(resource Resource) types.ApiResource {
	return types.ApiResource{Group: resource.Group, Version: resource.Version, Plural: resource.Plural}
}

func deleteOptions(options DeleteOptions) types.DeleteOptions {
	var sent types.DeleteOptions
	switch options.PropagationPolicy {
	case PropagationBackground:
		sent.PropagationPolicy = wit.Some(types.PropagationPolicyBackground)
	case PropagationForeground:
		sent.PropagationPolicy = wit.Some(types.PropagationPolicyForeground)
	case PropagationOrphan:
		sent.PropagationPolicy = wit.Some(types.PropagationPolicyOrphan)
	}
	if options.GracePeriodSeconds != nil {
		sent.GracePeriodSeconds = wit.Some(*options.GracePeriodSeconds)
	}
	if options.UID != "" {
		sent.Preconditions.Uid = wit.Some(options.UID)
	}
	if options.ResourceVersion != "" {
		sent.Preconditions.ResourceVersion = wit.Some(options.ResourceVersion)
	}
	return sent
}

func (component) Resolve(group, version, kind string) (Mapping, bool) {
	found, ok := runtime.Receive(func() wit.Option[discovery.Mapping] {
		return discovery.Resolve(group, version, kind)
	}).Get()
	return Mapping{
		Resource: Resource{
			Group: found.Resource.Group, Version: found.Resource.Version,
			Kind: kind, Plural: found.Resource.Plural,
		},
		Namespaced: found.Namespaced,
	}, ok
}

func (component) Enqueue(items []Item) {
	sent := make([]workqueue.Item, len(items))
	for i, item := range items {
		sent[i] = workqueue.Item{
			Key: types.ObjectKey(item.Key), AfterMs: milliseconds(item.After), Priority: item.Priority,
		}
	}
	workqueue.Add(sent)
}

func (component) Record(event RecordedEvent) {
	kind := recorder.EventTypeNormal
	if event.Type == EventWarning {
		kind = recorder.EventTypeWarning
	}
	recorder.Record(recorder.Event{
		Regarding: recorder.ObjectReference{
			ApiVersion:      event.Regarding.APIVersion,
			Kind:            event.Regarding.Kind,
			Namespace:       event.Regarding.Namespace,
			Name:            event.Regarding.Name,
			Uid:             event.Regarding.UID,
			ResourceVersion: event.Regarding.ResourceVersion,
		},
		EventType: kind,
		Reason:    event.Reason,
		Message:   event.Message,
		Action:    event.Action,
	})
}

func (component) Log(level LogLevel, message string, fields []LogField) {
	sent := make([]wit.Tuple2[string, string], len(fields))
	for i, field := range fields {
		sent[i] = wit.Tuple2[string, string]{F0: field.Name, F1: field.Value}
	}
	logging.Log(uint8(level), message, sent)
}

func (component) LogEnabled(level LogLevel) bool { return logging.Enabled(uint8(level)) }

func (component) DeclareMetric(metric Metric) (uint32, error) {
	kind := metrics.MakeMetricKindCounter()
	switch metric.Kind {
	case MetricGauge:
		kind = metrics.MakeMetricKindGauge()
	case MetricHistogram:
		kind = metrics.MakeMetricKindHistogram(metric.Buckets)
	}
	result := runtime.Receive(func() wit.Result[uint32, string] {
		return metrics.Declare(metrics.Metric{
			Name: metric.Name, Help: metric.Help, Kind: kind, Labels: metric.Labels,
		})
	})
	if result.IsErr() {
		return 0, errors.New(result.Err())
	}
	return result.Ok(), nil
}

func (component) AddMetric(metric uint32, labels []string, value float64) {
	metrics.Add(metric, labels, value)
}

func (component) SetMetric(metric uint32, labels []string, value float64) {
	metrics.Set(metric, labels, value)
}

func (component) ObserveMetric(metric uint32, labels []string, value float64) {
	metrics.Observe(metric, labels, value)
}

func (component) Now() time.Time {
	now := clock.Now()
	return time.Unix(now.Seconds, int64(now.Nanoseconds)).UTC()
}

func (component) Monotonic() time.Duration { return time.Duration(clock.Monotonic()) }

func (component) Random() uint64 { return random.Next() }

func (component) Config() []byte { return runtime.Receive(config.Get) }
