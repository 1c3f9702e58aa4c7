package windlass_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
	"github.com/windlass-dev/windlass/sdk/go/meta"
	"github.com/windlass-dev/windlass/sdk/go/windlasstest"
)

type ReplicaSet struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Replicas int                 `json:"replicas"`
		Selector *meta.LabelSelector `json:"selector,omitempty"`
	} `json:"spec"`
}

func (*ReplicaSet) Resource() windlass.Resource {
	return windlass.Resource{Group: "apps", Version: "v1", Kind: "ReplicaSet", Plural: "replicasets"}
}

type Pod struct {
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		NodeName string `json:"nodeName,omitempty"`
	} `json:"spec"`
}

func (*Pod) Resource() windlass.Resource {
	return windlass.Resource{Version: "v1", Kind: "Pod", Plural: "pods"}
}

// Widget is a custom resource.
type Widget struct {
	meta.ObjectMeta `json:"metadata"`
}

func (*Widget) Resource() windlass.Resource {
	return windlass.Resource{Group: "example.com", Version: "v1", Kind: "Widget", Plural: "widgets"}
}

const (
	watchReplicaSets = iota
	watchPods
	watchWidgets
)

var (
	replicaSets windlass.Client[*ReplicaSet]
	pods        windlass.Client[*Pod]
	cachedPods  = windlass.NewLister[*Pod](watchPods)
	passes      = windlass.NewCounter("passes_total", "Syncs.", "namespace")
	sizes       = windlass.NewHistogram("sizes", "Sizes.", nil)
	depth       = windlass.NewGauge("depth", "Depth.")
)

// recorder does what a test says.
type recorder struct {
	synced   []string
	sync     func(ctx context.Context, key windlass.Key) (windlass.Result, error)
	started  bool
	manifest func(*windlass.Manifest)
}

func (r *recorder) Manifest() windlass.Manifest {
	all := []string{"*"}
	manifest := windlass.Manifest{
		Name: "recorder", Version: "1",
		Watches: []windlass.Watch{
			watchReplicaSets: {Resource: windlass.ResourceOf[*ReplicaSet](), Enqueue: windlass.EnqueueItself()},
			watchPods: {
				Resource: windlass.ResourceOf[*Pod](),
				View:     windlass.Fields("spec.nodeName"),
				Enqueue:  windlass.EnqueueOwner[*ReplicaSet](windlass.MatchOrphans),
				Indexes:  []windlass.Index{{Name: "node", Path: "spec.nodeName"}},
			},
			watchWidgets: {Resource: windlass.ResourceOf[*Widget](), LabelSelector: "app in (a,b),!hidden"},
		},
		Permissions: []windlass.Permission{{Groups: all, Resources: all, Verbs: all}},
	}
	if r.manifest != nil {
		r.manifest(&manifest)
	}
	return manifest
}

func (r *recorder) Start(context.Context) error {
	r.started = true
	return nil
}

func (r *recorder) SyncHandler(ctx context.Context, key windlass.Key) (windlass.Result, error) {
	r.synced = append(r.synced, key.String())
	if r.sync == nil {
		return windlass.Result{}, nil
	}
	return r.sync(ctx, key)
}

func replicaSet(name, app string) *ReplicaSet {
	set := &ReplicaSet{ObjectMeta: meta.ObjectMeta{Namespace: "default", Name: name, UID: "uid-of-" + name}}
	set.Spec.Selector = &meta.LabelSelector{MatchLabels: map[string]string{"app": app}}
	return set
}

func pod(name, app string, owner *ReplicaSet) *Pod {
	pod := &Pod{ObjectMeta: meta.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": app}}}
	if owner != nil {
		pod.OwnerReferences = []meta.OwnerReference{windlass.ControllerReference(owner)}
	}
	return pod
}

func TestAClientHasEveryVerb(t *testing.T) {
	cluster := windlasstest.New(t, &recorder{})
	ctx := context.Background()
	created, err := pods.Create(ctx, pod("a", "web", nil))
	if err != nil || created.UID == "" || created.CreationTimestamp == nil {
		t.Fatal(created, err)
	}
	if _, err := pods.Create(ctx, pod("a", "web", nil)); !windlass.IsAlreadyExists(err) {
		t.Error(err)
	}
	changed := *created
	changed.Spec.NodeName = "one"
	updated, err := pods.Update(ctx, &changed)
	if err != nil || updated.Generation != 2 || updated.Spec.NodeName != "one" {
		t.Error(updated, err)
	}
	if _, err := pods.Update(ctx, &changed); !windlass.IsConflict(err) {
		t.Error(err)
	}
	key := windlass.KeyOf(created)
	if _, err := pods.UpdateStatus(ctx, updated); err != nil {
		t.Error(err)
	}
	steps := windlass.JSONPatch(
		windlass.JSONPatchOperation{Op: "test", Path: "/spec/nodeName", Value: "one"},
		windlass.JSONPatchOperation{Op: "replace", Path: "/spec/nodeName", Value: "two"},
	)
	if patched, err := pods.Patch(ctx, key, steps); err != nil || patched.Spec.NodeName != "two" {
		t.Error(patched, err)
	}
	if _, err := pods.Patch(ctx, key, steps); !windlass.IsInvalid(err) {
		t.Error(err)
	}
	if _, err := pods.PatchStatus(ctx, key, windlass.MergePatch(map[string]any{"status": map[string]any{"phase": "Running"}})); err != nil {
		t.Error(err)
	}
	var status struct {
		Status struct{ Phase string }
	}
	if err := pods.Subresource("status").Get(ctx, key, &status); err != nil || status.Status.Phase != "Running" {
		t.Error(status, err)
	}
	if err := pods.Subresource("binding").Create(ctx, key, map[string]string{"kind": "Binding"}, nil); err != nil {
		t.Error(err)
	}
	page, err := pods.List(ctx, windlass.ListOptions{Namespace: "default", LabelSelector: "app=web"})
	if err != nil || len(page.Items) != 1 || page.ResourceVersion == "" || page.Continue != "" {
		t.Error(page, err)
	}
	if err := pods.Delete(ctx, key, windlass.DeleteOptions{UID: "another"}); !windlass.IsConflict(err) {
		t.Error(err)
	}
	if err := pods.Delete(ctx, key, windlass.DeleteOptions{PropagationPolicy: windlass.PropagationForeground}); err != nil {
		t.Error(err)
	}
	if left := windlasstest.Get[*Pod](cluster, "default/a"); !left.IsDeleting() {
		t.Error(left)
	}
	dynamic := windlass.DynamicClient{Resource: windlass.ResourceOf[*Pod]()}
	if body, err := dynamic.Patch(ctx, key, windlass.MergePatch(json.RawMessage(`{"metadata":{"finalizers":null}}`))); err != nil || len(body) == 0 {
		t.Error(err)
	}
	_, err = pods.Get(ctx, key)
	var failure *windlass.APIError
	if !errors.As(fmt.Errorf("reading: %w", err), &failure) || failure.Code != 404 || !windlass.IsNotFound(err) || windlass.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := pods.Get(ended, key); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWhatTheManifestDoesNotAskForIsNotPermitted(t *testing.T) {
	windlasstest.New(t, &recorder{manifest: func(m *windlass.Manifest) { m.Permissions = nil }})
	_, err := pods.Create(context.Background(), pod("a", "web", nil))
	if !windlass.IsNotPermitted(err) || !strings.Contains(err.Error(), `create on pods in API group ""`) {
		t.Error(err)
	}
	if _, err := pods.Get(context.Background(), windlass.Key{Name: "a"}); !windlass.IsNotFound(err) {
		t.Error("reading what is watched needs no rule:", err)
	}
}

func TestAListerReadsByKeySelectorIndexAndOwner(t *testing.T) {
	cluster := windlasstest.New(t, &recorder{})
	owner := replicaSet("web", "web")
	cluster.Put(pod("a", "web", owner))
	onNode := pod("b", "db", nil)
	onNode.Spec.NodeName = "one"
	cluster.Put(onNode)
	names := func(pods []*Pod, err error) string {
		if err != nil {
			t.Error(err)
		}
		var names []string
		for _, pod := range pods {
			names = append(names, pod.Name)
		}
		return strings.Join(names, " ")
	}
	got := []string{
		names(cachedPods.List("", "")), names(cachedPods.List("elsewhere", "")), names(cachedPods.List("default", "app!=web")),
		names(cachedPods.ByIndex("node", "one")), names(cachedPods.ByOwner(owner)), names(cachedPods.Orphans("default")),
	}
	if want := []string{"a b", "", "b", "b", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if _, err := cachedPods.ByIndex("none", ""); !windlass.IsTerminal(err) {
		t.Error(err)
	}
	if _, err := cachedPods.List("", "app in"); !windlass.IsTerminal(err) {
		t.Error(err)
	}
	cluster.PutJSON(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "broken"}, "spec": {"nodeName": 1}}`)
	if _, _, err := cachedPods.Get(windlass.Key{Name: "broken"}); !windlass.IsTerminal(err) {
		t.Error(err)
	}
	cluster.PutJSON(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "numbered"}, "spec": {"nodeName": 1000000}}`)
	if found, err := windlass.NewLister[*Widget](watchPods).ByIndex("node", "1000000"); err != nil || len(found) != 1 {
		t.Error(found, err)
	}
	widgets := windlass.NewLister[*Widget](watchWidgets)
	for name, labels := range map[string]string{"in": `{"app": "a"}`, "out": `{"app": "c"}`, "hidden": `{"app": "a", "hidden": ""}`} {
		cluster.PutJSON(fmt.Sprintf(`{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": %q, "labels": %s}}`, name, labels))
	}
	if all, err := widgets.List("", ""); err != nil || len(all) != 1 || all[0].Name != "in" {
		t.Error(all, err)
	}
}

func TestOwnAreKeptMatchingOrphansAdoptedAndOthersReleased(t *testing.T) {
	cluster := windlasstest.New(t, &recorder{})
	owner, other := replicaSet("web", "web"), replicaSet("other", "web")
	cluster.Put(owner)
	for _, p := range []*Pod{
		pod("own", "web", owner), pod("left", "db", owner), pod("foreign", "web", other),
		pod("orphan", "web", nil), pod("stray", "db", nil),
	} {
		cluster.Put(p)
	}
	candidates, err := cachedPods.List("default", "")
	if err != nil {
		t.Fatal(err)
	}
	claimed, err := windlass.Claim(context.Background(), owner, owner.Spec.Selector, candidates)
	if err != nil || len(claimed) != 2 || claimed[0].Name != "orphan" || claimed[1].Name != "own" {
		t.Error(claimed, err)
	}
	want := []string{"patch pods default/left", "get replicasets default/web", "patch pods default/orphan"}
	if calls := cluster.TakeCalls(); !slices.Equal(calls, want) {
		t.Errorf("%q", calls)
	}
	orphan, left := windlasstest.Get[*Pod](cluster, "default/orphan"), windlasstest.Get[*Pod](cluster, "default/left")
	if !orphan.IsControlledBy(owner.Meta()) || len(left.OwnerReferences) != 0 {
		t.Error(orphan.OwnerReferences, left.OwnerReferences)
	}
}

func TestAReplacedOrDeletedOwnerAdoptsNothing(t *testing.T) {
	cluster := windlasstest.New(t, &recorder{})
	replaced := replicaSet("web", "web")
	replaced.UID = "another"
	cluster.Put(replaced)
	orphan := pod("orphan", "web", nil)
	cluster.Put(orphan)
	owner := replicaSet("web", "web")
	if _, err := windlass.Claim(context.Background(), owner, owner.Spec.Selector, []*Pod{orphan}); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Error(err)
	}
	owner.DeletionTimestamp = &meta.Time{Time: cluster.Now()}
	cluster.TakeCalls()
	claimed, err := windlass.Claim(context.Background(), owner, owner.Spec.Selector, []*Pod{orphan, pod("left", "db", owner)})
	if err != nil || len(claimed) != 0 || len(cluster.TakeCalls()) != 0 {
		t.Error(claimed, err)
	}
}

func TestCustomResourcesAreAdoptedWithoutAStrategicMerge(t *testing.T) {
	cluster := windlasstest.New(t, &recorder{})
	owner := replicaSet("web", "web")
	cluster.Put(owner)
	cluster.Put(&Widget{meta.ObjectMeta{Namespace: "default", Name: "a", Labels: map[string]string{"app": "web"},
		OwnerReferences: []meta.OwnerReference{{UID: "owned-besides"}}}})
	claimed, err := windlass.Claim(context.Background(), owner, owner.Spec.Selector, windlasstest.List[*Widget](cluster))
	widget := windlasstest.Get[*Widget](cluster, "default/a")
	if err != nil || len(claimed) != 1 || len(widget.OwnerReferences) != 2 || !widget.IsControlledBy(owner.Meta()) {
		t.Error(claimed, err, widget)
	}
}

func TestFinalizersAreAddedAndRemovedOnce(t *testing.T) {
	cluster := windlasstest.New(t, &recorder{})
	ctx := context.Background()
	cluster.Put(&Widget{meta.ObjectMeta{Name: "a", Finalizers: []string{"theirs"}}})
	stale := windlasstest.Get[*Widget](cluster, "a")
	held, err := windlass.AddFinalizer(ctx, stale, "ours")
	if err != nil || !slices.Equal(held.Finalizers, []string{"theirs", "ours"}) {
		t.Fatal(held, err)
	}
	if _, err := windlass.AddFinalizer(ctx, stale, "another"); !windlass.IsConflict(err) {
		t.Error(err)
	}
	cluster.TakeCalls()
	if _, err := windlass.AddFinalizer(ctx, held, "ours"); err != nil || len(cluster.TakeCalls()) != 0 {
		t.Error(err)
	}
	freed, err := windlass.RemoveFinalizer(ctx, held, "ours")
	if err != nil || !slices.Equal(freed.Finalizers, []string{"theirs"}) {
		t.Error(freed, err)
	}
	windlasstest.Delete[*Widget](cluster, "a")
	last := windlasstest.Get[*Widget](cluster, "a")
	if _, err := windlass.RemoveFinalizer(ctx, last, "theirs"); err != nil {
		t.Error(err)
	}
	if _, err := windlass.RemoveFinalizer(ctx, last, "theirs"); err != nil {
		t.Error("what is gone has no finalizer:", err)
	}
}

func TestOneOwnerControls(t *testing.T) {
	owner, other := replicaSet("web", "web"), replicaSet("other", "web")
	object := pod("a", "web", nil)
	for range 2 {
		if err := windlass.SetController(object, owner); err != nil || len(object.OwnerReferences) != 1 {
			t.Error(object.OwnerReferences, err)
		}
	}
	if err := windlass.SetController(object, other); err == nil || err.Error() != "Pod default/a is controlled by ReplicaSet web already" {
		t.Error(err)
	}
}

func TestAMergePatchHoldsWhatDiffers(t *testing.T) {
	before := replicaSet("web", "web")
	before.Labels = map[string]string{"a": "1", "b": "2"}
	after := *before
	after.Labels = map[string]string{"a": "1", "c": "3"}
	after.Spec.Replicas = 4
	patch := windlass.MergeFrom(before, &after)
	if body, err := patch.JSON(); err != nil || string(body) != `{"metadata":{"labels":{"b":null,"c":"3"}},"spec":{"replicas":4}}` {
		t.Errorf("%s %v", body, err)
	}
	if body, err := patch.Locked("7").JSON(); err != nil || !strings.Contains(string(body), `"resourceVersion":"7"`) {
		t.Errorf("%s %v", body, err)
	}
	if same := windlass.MergeFrom(before, before); !same.IsEmpty() || !same.Locked("7").IsEmpty() {
		t.Error(same)
	}
	// A float64 holds neither of these.
	before.Spec.Replicas, after.Spec.Replicas = 1<<62-1, 1<<62-2
	after.Labels = before.Labels
	patch = windlass.MergeFrom(before, &after).Locked("7")
	if body, err := patch.JSON(); err != nil || string(body) != `{"metadata":{"resourceVersion":"7"},"spec":{"replicas":4611686018427387902}}` {
		t.Errorf("%s %v", body, err)
	}
	for _, body := range []string{"null", "1", "{} {}"} {
		if _, err := windlass.RawPatch(windlass.PatchMerge, []byte(body)).Locked("7").JSON(); err == nil {
			t.Errorf("%s is no JSON object", body)
		}
	}
	if _, err := replicaSets.Patch(context.Background(), windlass.KeyOf(before), windlass.MergePatch(func() {})); err == nil {
		t.Error("what has no JSON is no patch")
	}
}

func TestAnObjectIsWrittenWithItsKind(t *testing.T) {
	body, err := windlass.Encode(&Widget{meta.ObjectMeta{Name: "a"}})
	if err != nil || string(body) != `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"}}` {
		t.Errorf("%s %v", body, err)
	}
	if _, err := windlass.Decode[*Widget]([]byte("null")); err == nil {
		t.Error("null is no object")
	}
}

func TestLinesEventsAndMetricsReachTheHost(t *testing.T) {
	controller := &recorder{}
	cluster := windlasstest.New(t, controller)
	if err := cluster.Start(); err != nil || !controller.started {
		t.Fatal(err)
	}
	logger := slog.With("pod", "a").WithGroup("size").With("unit", "KiB")
	logger.Warn("grown", "from", 1, slog.Group("to", "value", 2*time.Second))
	slog.Log(context.Background(), slog.LevelDebug-4, "step")
	want := []string{"WARN grown pod=a size.unit=KiB size.from=1 size.to.value=2s", "TRACE step"}
	if lines := cluster.TakeLogs(); !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	windlass.Eventf(pod("a", "web", nil), windlass.EventWarning, "Failed", "%d times", 3)
	if events := cluster.TakeEvents(); !slices.Equal(events, []string{"Warning Failed 3 times"}) {
		t.Errorf("%q", events)
	}
	passes.Inc("default")
	passes.Add(2, "default")
	passes.Inc()
	sizes.Observe(0.1)
	depth.Set(5)
	depth.Add(-2)
	got := []float64{cluster.Metric("passes_total", "default"), cluster.Metric("passes_total"), cluster.Metric("sizes"), cluster.Metric("depth")}
	if !slices.Equal(got, []float64{3, 0, 1, 3}) {
		t.Error(got)
	}
}

func TestConfigurationFillsTheAuthorsType(t *testing.T) {
	cluster := windlasstest.New(t, &recorder{})
	config := struct {
		Prefix string
		Limit  int
	}{Limit: 10}
	cluster.Configure(map[string]any{"prefix": "a"})
	if err := windlass.DecodeConfig(&config); err != nil || config.Prefix != "a" || config.Limit != 10 {
		t.Error(config, err)
	}
	cluster.Configure(map[string]any{"prefx": "a"})
	if err := windlass.DecodeConfig(&config); err == nil || !strings.Contains(err.Error(), "prefx") {
		t.Error(err)
	}
}

func TestDiscoveryAndTheQueue(t *testing.T) {
	controller := &recorder{}
	cluster := windlasstest.New(t, controller)
	cluster.Scope(func(kind string) (bool, bool) { return kind == "Pod", kind != "Nothing" })
	if found, ok := windlass.Resolve("", "v1", "Pod"); !ok || !found.Namespaced || found.Resource != windlass.ResourceOf[*Pod]() {
		t.Error(found, ok)
	}
	if _, ok := windlass.Resolve("", "v1", "Nothing"); ok {
		t.Error("nothing is served")
	}
	windlass.Enqueue(windlass.Item{Key: windlass.Key{Name: "now"}}, windlass.Item{Key: windlass.Key{Name: "later"}, After: time.Minute})
	if err := cluster.Settle(); err != nil || !slices.Equal(controller.synced, []string{"now"}) {
		t.Error(controller.synced, err)
	}
	cluster.Advance(time.Minute)
	if err := cluster.Settle(); err != nil || !slices.Equal(controller.synced, []string{"now", "later"}) {
		t.Error(controller.synced, err)
	}
	if windlass.Random() == windlass.Random() || windlass.Monotonic() == 0 || !windlass.Now().Equal(cluster.Now()) {
		t.Error("clocks and chance")
	}
}

func TestChangesWakeOwnersOldOnesAndAdopters(t *testing.T) {
	controller := &recorder{}
	cluster := windlasstest.New(t, controller)
	synced := func(change func()) string {
		change()
		if err := cluster.Settle(); err != nil {
			t.Error(err)
		}
		keys := strings.Join(controller.synced, " ")
		controller.synced = nil
		return keys
	}
	web, db := replicaSet("web", "web"), replicaSet("db", "db")
	got := []string{
		synced(func() { cluster.Put(web); cluster.Put(db) }),
		synced(func() { cluster.Put(pod("a", "web", web)) }),
		synced(func() { cluster.Put(pod("a", "web", db)) }),
		synced(func() { cluster.Put(pod("a", "web", nil)) }),
		synced(func() { windlasstest.Remove[*Pod](cluster, "default/a") }),
	}
	want := []string{"default/web default/db", "default/web", "default/web default/db", "default/db default/web", ""}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestFailedKeysAreTriedAgainAndTerminalOnesAreNot(t *testing.T) {
	failures := 0
	controller := &recorder{}
	controller.sync = func(_ context.Context, key windlass.Key) (windlass.Result, error) {
		failures++
		if key.Name == "terminal" {
			return windlass.Result{}, fmt.Errorf("told: %w", windlass.TerminalError(errors.New("never")))
		}
		return windlass.Result{}, errors.New("not yet")
	}
	cluster := windlasstest.New(t, controller)
	cluster.Put(replicaSet("terminal", "a"))
	cluster.Put(replicaSet("again", "a"))
	err := cluster.Settle()
	if err == nil || err.Error() != "default/again: not yet\ndefault/terminal: told: never" || failures != 6 {
		t.Error(err, failures)
	}
	if windlass.TerminalError(nil) != nil {
		t.Error("no error is no terminal error")
	}
}
