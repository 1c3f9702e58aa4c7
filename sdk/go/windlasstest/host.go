//go:build !wasip1

package windlasstest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	windlass "github.com/windlass-dev/windlass/sdk/go"
)

// fakeHost is the cluster as the SDK sees it.
type fakeHost struct{ *Cluster }

func (c *Cluster) host() windlass.Host { return fakeHost{c} }

func (h fakeHost) ListerGet(watch uint32, key windlass.Key) ([]byte, bool) {
	declared := h.readable(watch)
	object, _ := h.store.get(declared.Resource, key)
	visible := h.visible(declared, object)
	if visible == nil {
		return nil, false
	}
	return encode(visible), true
}

func (h fakeHost) ListerList(watch uint32, namespace, labelSelector string) ([][]byte, error) {
	selector, err := parseSelector(labelSelector)
	if err != nil {
		return nil, err
	}
	return h.watched(watch, func(object tree) bool {
		return (namespace == "" || keyOf(object).Namespace == namespace) && selector.Matches(labels(object))
	}), nil
}

func (h fakeHost) ListerByIndex(watch uint32, index, value string) ([][]byte, error) {
	for _, declared := range h.readable(watch).Indexes {
		if declared.Name == index {
			path := strings.Split(declared.Path, ".")
			return h.watched(watch, func(object tree) bool { return scalarAt(object, path) == value }), nil
		}
	}
	return nil, fmt.Errorf("no index %s", index)
}

// scalarAt is the scalar at a path as text; no text if there is none.
func scalarAt(at any, path []string) string {
	for _, name := range path {
		fields, _ := at.(tree)
		at = fields[name]
	}
	switch at := at.(type) {
	case string:
		return at
	case bool, float64:
		return string(encode(at))
	}
	return ""
}

func (h fakeHost) ListerByOwner(watch uint32, uid string) [][]byte {
	return h.watched(watch, func(object tree) bool { return text(controllerOf(object), "uid") == uid })
}

func (h fakeHost) ListerOrphans(watch uint32, namespace string) [][]byte {
	return h.watched(watch, func(object tree) bool {
		return controllerOf(object) == nil && keyOf(object).Namespace == namespace
	})
}

// watched is the objects of a watch that are wanted, as its view shows them.
func (h fakeHost) watched(position uint32, isWanted func(object tree) bool) [][]byte {
	watch := h.readable(position)
	bodies := [][]byte{}
	for _, object := range h.store.list(watch.Resource) {
		if !isWanted(object) {
			continue
		}
		if visible := h.visible(watch, object); visible != nil {
			bodies = append(bodies, encode(visible))
		}
	}
	return bodies
}

// readable is a watch that listers can read. Others trap in a component.
func (h fakeHost) readable(position uint32) windlass.Watch {
	if int(position) >= len(h.manifest.Watches) || h.manifest.Watches[position].Discovered != nil {
		panic(fmt.Sprintf("windlasstest: watch %d is not one that listers can read", position))
	}
	return h.manifest.Watches[position]
}

func (h fakeHost) Call(call windlass.Call) ([]byte, error) {
	object, err := h.answer(call)
	if err != nil {
		return nil, err
	}
	return encode(object), nil
}

func (h fakeHost) Resolve(group, version, kind string) (windlass.Mapping, bool) {
	namespaced, served := h.scope(kind)
	apiVersion := windlass.Resource{Group: group, Version: version}.APIVersion()
	resource := h.resourceOf(tree{"apiVersion": apiVersion, "kind": kind})
	return windlass.Mapping{Resource: resource, Namespaced: namespaced}, served
}

func (h fakeHost) Enqueue(items []windlass.Item) { h.queue.added = append(h.queue.added, items...) }

func (h fakeHost) Record(event windlass.RecordedEvent) { h.events = append(h.events, event) }

func (h fakeHost) Log(level windlass.LogLevel, message string, fields []windlass.LogField) {
	line := []string{[...]string{"ERROR", "WARN", "INFO", "DEBUG", "TRACE"}[level], message}
	for _, field := range fields {
		line = append(line, field.Name+"="+field.Value)
	}
	h.logs = append(h.logs, strings.Join(line, " "))
	h.t.Log(strings.Join(line, " "))
}

func (h fakeHost) LogEnabled(windlass.LogLevel) bool { return true }

func (h fakeHost) Now() time.Time { return h.now }

func (h fakeHost) Monotonic() time.Duration { return time.Duration(h.now.UnixNano()) }

func (h fakeHost) Random() uint64 {
	h.random++
	return h.random
}

func (h fakeHost) Config() []byte { return h.config }

// metrics is what was declared, and the values by name and labels.
type metrics struct {
	declared []windlass.Metric
	values   map[string]float64
}

func seriesOf(name string, labels []string) string {
	return name + "{" + strings.Join(labels, ",") + "}"
}

func (m *metrics) value(name string, labels []string) float64 {
	return m.values[seriesOf(name, labels)]
}

// change sets a series to what it is made of its value.
func (m *metrics) change(metric uint32, labels []string, change func(old float64) float64) {
	if m.values == nil {
		m.values = map[string]float64{}
	}
	declared := m.declared[metric]
	if len(labels) != len(declared.Labels) {
		return // As the host drops it.
	}
	series := seriesOf(declared.Name, labels)
	m.values[series] = change(m.values[series])
}

func (h fakeHost) DeclareMetric(metric windlass.Metric) (uint32, error) {
	same := func(other windlass.Metric) bool { return other.Name == metric.Name }
	if position := slices.IndexFunc(h.metrics.declared, same); position >= 0 {
		known := h.metrics.declared[position]
		if known.Kind != metric.Kind || !slices.Equal(known.Labels, metric.Labels) {
			return 0, fmt.Errorf("%s is declared otherwise already", metric.Name)
		}
		return uint32(position), nil
	}
	h.metrics.declared = append(h.metrics.declared, metric)
	return uint32(len(h.metrics.declared) - 1), nil
}

func (h fakeHost) AddMetric(metric uint32, labels []string, value float64) {
	h.metrics.change(metric, labels, func(old float64) float64 { return old + value })
}

func (h fakeHost) SetMetric(metric uint32, labels []string, value float64) {
	h.metrics.change(metric, labels, func(float64) float64 { return value })
}

func (h fakeHost) ObserveMetric(metric uint32, labels []string, _ float64) {
	h.metrics.change(metric, labels, func(old float64) float64 { return old + 1 })
}
