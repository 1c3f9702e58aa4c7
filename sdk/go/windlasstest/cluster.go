//go:build !wasip1

// Package windlasstest runs controllers natively against a fake cluster, under go test.
//
// A [Cluster] answers everything that a controller may ask of the host, at once and from
// one store: caches are never behind, names and UIDs are counted, time stands still until
// [Cluster.Advance]. It knows what controllers rely on: resource versions, conflicts,
// preconditions, generations, the status subresource, finalizers, the three kinds of
// patches (JSON patches without move and copy), views, indexes, enqueue rules, and the
// permissions of the manifest. It validates and defaults nothing, collects no garbage, and
// runs no other controller.
//
//	func TestHello(t *testing.T) {
//		cluster := windlasstest.New(t, hello{})
//		cluster.Put(&ConfigMap{ObjectMeta: meta.ObjectMeta{Namespace: "default", Name: "a"}})
//		if err := cluster.Settle(); err != nil {
//			t.Fatal(err)
//		}
//	}
package windlasstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
)

// Held by the test that has a cluster, since a process has one host.
var current sync.Mutex

// Cluster is a fake cluster, and the host of its controller until the test ends.
type Cluster struct {
	t          testing.TB
	controller windlass.Controller
	manifest   windlass.Manifest
	store      store
	queue      queue
	now        time.Time
	random     uint64
	syncs      uint64
	config     []byte
	requests   []Request
	events     []windlass.RecordedEvent
	logs       []string
	metrics    metrics
	failure    func(call string) error
	scope      func(kind string) (namespaced, served bool)
}

// Request is one API call that the controller made.
type Request struct {
	// Call as in "update replicasets/status default/web".
	Call string
	// Body that was sent, or the options of a deletion as they travel; may be empty.
	Body string
}

// New is an empty cluster that serves the watches of this controller. Tests with clusters
// wait for each other, even if they are parallel. The clock starts at the beginning of
// 2026.
func New(t testing.TB, controller windlass.Controller) *Cluster {
	t.Helper()
	current.Lock()
	c := &Cluster{
		t:          t,
		controller: controller,
		store:      store{},
		now:        time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		config:     []byte("{}"),
		metrics:    metrics{},
		failure:    func(string) error { return nil },
		scope:      func(string) (bool, bool) { return true, true },
	}
	previous := windlass.SetHost(c.host())
	logger := slog.Default()
	slog.SetDefault(slog.New(windlass.NewLogHandler()))
	t.Cleanup(func() {
		slog.SetDefault(logger)
		windlass.SetHost(previous)
		current.Unlock()
	})
	c.manifest = controller.Manifest()
	return c
}

// Configure sets the module's configuration, and asks the controller for its manifest
// again.
func (c *Cluster) Configure(config any) {
	c.t.Helper()
	body, err := json.Marshal(config)
	if err != nil {
		c.t.Fatalf("the configuration has no JSON: %v", err)
	}
	c.config = body
	c.manifest = c.controller.Manifest()
}

// Start does what the host does before the first sync: metrics are declared, and the
// controller's Start is called if it has one.
func (c *Cluster) Start() error { return windlass.Start(context.Background(), c.controller) }

// Sync runs one sync of a key, written namespace/name or name.
func (c *Cluster) Sync(key string) (windlass.Result, error) {
	c.syncs++
	ctx, cancel := context.WithCancel(windlass.WithSync(context.Background(), c.syncs))
	defer cancel()
	return c.controller.SyncHandler(ctx, parseKey(key))
}

// Put creates or replaces an object, status included, as anybody else in the cluster
// might. What the server would fill in of the metadata is filled in.
func (c *Cluster) Put(object windlass.Object) {
	c.t.Helper()
	body, err := windlass.Encode(object)
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(object.Resource(), parse(body))
}

// PutJSON is Put for an object in JSON with apiVersion and kind. A kind that no watch of
// the controller has is assumed to have its name in lower case with an s as plural.
func (c *Cluster) PutJSON(text string) {
	c.t.Helper()
	var object tree
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		c.t.Fatalf("the object does not parse: %v", err)
	}
	c.put(c.resourceOf(object), object)
}

// Get is an object as its type reads it. It ends the test if there is none.
func Get[T windlass.Object](c *Cluster, key string) T {
	c.t.Helper()
	object, found := Find[T](c, key)
	if !found {
		c.t.Fatalf("there is no %s %s", windlass.ResourceOf[T]().Kind, key)
	}
	return object
}

// Find is an object as its type reads it, and whether it is there.
func Find[T windlass.Object](c *Cluster, key string) (object T, found bool) {
	c.t.Helper()
	stored, found := c.store.get(windlass.ResourceOf[T](), parseKey(key))
	if !found {
		return object, false
	}
	return decode[T](c.t, stored), true
}

// List is all objects of a type, by key.
func List[T windlass.Object](c *Cluster) []T {
	c.t.Helper()
	var objects []T
	for _, stored := range c.store.list(windlass.ResourceOf[T]()) {
		objects = append(objects, decode[T](c.t, stored))
	}
	return objects
}

// Edit changes an object as anybody else in the cluster might; fields that its type does
// not declare stay. It ends the test if there is none.
func Edit[T windlass.Object](c *Cluster, key string, edit func(object T)) {
	c.t.Helper()
	before, after := Get[T](c, key), Get[T](c, key)
	edit(after)
	stored, _ := c.store.get(windlass.ResourceOf[T](), parseKey(key))
	edited := parse(encode(merge(stored, difference(c.t, before, after))))
	countGeneration(stored, edited)
	c.put(windlass.ResourceOf[T](), edited)
}

// Remove removes an object without asking its finalizers. It ends the test if there is
// none.
func Remove[T windlass.Object](c *Cluster, key string) {
	c.t.Helper()
	if _, found := c.store.get(windlass.ResourceOf[T](), parseKey(key)); !found {
		c.t.Fatalf("there is no %s %s", windlass.ResourceOf[T]().Kind, key)
	}
	c.remove(windlass.ResourceOf[T](), parseKey(key))
}

// Delete asks for an object's deletion as anybody else in the cluster might: it stays with
// a deletion timestamp while it has finalizers. It ends the test if there is none.
func Delete[T windlass.Object](c *Cluster, key string) {
	c.t.Helper()
	call := windlass.Call{Verb: windlass.VerbDelete, Resource: windlass.ResourceOf[T](), Key: parseKey(key)}
	if _, err := c.delete(call); err != nil {
		c.t.Fatal(err)
	}
}

// TakeCalls is the API calls since the last time, as in
// "update replicasets/status default/web".
func (c *Cluster) TakeCalls() []string {
	calls := []string{}
	for _, request := range c.TakeRequests() {
		calls = append(calls, request.Call)
	}
	return calls
}

// TakeRequests is the API calls since the last time with what was sent.
func (c *Cluster) TakeRequests() []Request { return take(&c.requests) }

// TakeEvents is the events recorded since the last time, as in
// "Normal Created Created Pod web-1".
func (c *Cluster) TakeEvents() []string {
	events := []string{}
	for _, event := range take(&c.events) {
		events = append(events, fmt.Sprintf("%s %s %s", event.Type, event.Reason, event.Message))
	}
	return events
}

// TakeLogs is the log's lines since the last time, as in "INFO expired at=noon".
func (c *Cluster) TakeLogs() []string { return take(&c.logs) }

// TakeQueued is the keys that the controller enqueued itself since the last time.
// [Cluster.Settle] takes them as well.
func (c *Cluster) TakeQueued() []windlass.Item { return take(&c.queue.added) }

// Metric is the value of a counter or gauge with these values of labels, or the number of
// observations of a histogram; 0 if there is none.
func (c *Cluster) Metric(name string, labels ...string) float64 {
	return c.metrics.value(name, labels)
}

// Fail has calls fail, from now on, for which the rule returns an error. A call reads as
// in [Cluster.TakeCalls]; [APIError] makes an error.
func (c *Cluster) Fail(rule func(call string) error) { c.failure = rule }

// Scope says, from now on, what discovery knows of a kind. Until then every kind is served
// and lives in namespaces.
func (c *Cluster) Scope(ofKind func(kind string) (namespaced, served bool)) { c.scope = ofKind }

// Now is the present.
func (c *Cluster) Now() time.Time { return c.now }

// Advance lets time pass.
func (c *Cluster) Advance(duration time.Duration) { c.now = c.now.Add(duration) }

// KeysFor is the keys that the controller's [windlass.Mapper] derives from an object as it
// is, of the watch at this position.
func (c *Cluster) KeysFor(watch int, key string) []string {
	c.t.Helper()
	body, found := c.host().ListerGet(uint32(watch), parseKey(key))
	if !found {
		c.t.Fatalf("watch %d has no %s", watch, key)
	}
	mapper, ok := c.controller.(windlass.Mapper)
	if !ok {
		c.t.Fatal("the controller is no Mapper")
	}
	keys := []string{}
	for _, key := range mapper.KeysFor(windlass.Event{Watch: watch, Key: parseKey(key), Body: body}) {
		keys = append(keys, key.String())
	}
	return keys
}

// APIError is a failure of this kind with the HTTP status that belongs to it.
func APIError(kind windlass.ErrorKind, message string) error {
	codes := map[windlass.ErrorKind]int{
		windlass.ErrorNotFound:             404,
		windlass.ErrorAlreadyExists:        409,
		windlass.ErrorConflict:             409,
		windlass.ErrorInvalid:              422,
		windlass.ErrorBadRequest:           400,
		windlass.ErrorForbidden:            403,
		windlass.ErrorNamespaceTerminating: 403,
		windlass.ErrorGone:                 410,
		windlass.ErrorUnsupportedMediaType: 415,
		windlass.ErrorTooManyRequests:      429,
		windlass.ErrorTimeout:              504,
		windlass.ErrorUnavailable:          503,
	}
	return &windlass.APIError{Kind: kind, Code: codes[kind], Message: message}
}

// Settle syncs whatever is due until nothing is: keys of all changes since the last time,
// by the watches' enqueue rules, those that the controller enqueued, and those whose
// requeue-after is over. A failed key is tried again once everything else is done, up to
// five times in a row. It returns the errors of the keys that failed in the end, and an
// error if there is no end to it.
func (c *Cluster) Settle() error {
	c.t.Helper()
	failures := map[windlass.Key]error{}
	attempts := map[windlass.Key]int{}
	for range maximalSyncs {
		key, found := c.next()
		if !found {
			return joined(failures)
		}
		result, err := c.Sync(key.String())
		delete(failures, key)
		switch {
		case err == nil:
			attempts[key] = 0
			c.queue.delay(key, c.now, result.RequeueAfter)
		case windlass.IsTerminal(err) || attempts[key] == maximalAttempts-1:
			failures[key] = fmt.Errorf("%s: %w", key, err)
		default:
			attempts[key]++
			failures[key] = fmt.Errorf("%s: %w", key, err)
			c.queue.retried = append(c.queue.retried, key)
		}
	}
	return fmt.Errorf("still not settled after %d syncs", maximalSyncs)
}

const (
	maximalSyncs    = 10_000
	maximalAttempts = 5
)

func joined(failures map[windlass.Key]error) error {
	var sorted []error
	for _, failure := range failures {
		sorted = append(sorted, failure)
	}
	slices.SortFunc(sorted, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(sorted...)
}

func take[T any](from *[]T) []T {
	taken := *from
	*from = nil
	if taken == nil {
		return []T{}
	}
	return taken
}

func parseKey(key string) windlass.Key {
	namespace, name, found := strings.Cut(key, "/")
	if !found {
		return windlass.Key{Name: key}
	}
	return windlass.Key{Namespace: namespace, Name: name}
}

func decode[T windlass.Object](t testing.TB, stored tree) T {
	t.Helper()
	object, err := windlass.Decode[T](encode(stored))
	if err != nil {
		t.Fatal(err)
	}
	return object
}
