package windlass

import (
	"fmt"
	"log/slog"
)

// MetricKind is how a metric's values behave.
type MetricKind uint8

// The kinds of metrics.
const (
	// MetricCounter only goes up. Its name ends in _total, which is added if missing.
	MetricCounter MetricKind = iota
	// MetricGauge goes up and down.
	MetricGauge
	// MetricHistogram counts observations by size.
	MetricHistogram
)

// Metric is a declaration.
type Metric struct {
	// Name of letters, digits and underscores, at most 100, no digit in front. It is shown
	// as windlass_custom_NAME.
	Name string
	// Help is one line for people.
	Help string
	// Kind of the metric.
	Kind MetricKind
	// Buckets of a histogram: their upper bounds, ascending, at most 32; none for the usual
	// ones, 5 ms to 10 s in seconds.
	Buckets []float64
	// Labels are the names of labels, at most 8; module, le and names with a leading double
	// underscore are taken.
	Labels []string
}

// Counter is a metric that only goes up.
type Counter struct{ *metric }

// Gauge is a metric that goes up and down.
type Gauge struct{ *metric }

// Histogram is a metric that counts observations by size.
type Histogram struct{ *metric }

// NewCounter makes a counter with these names of labels. Make metrics when the program
// starts, as package variables: they are declared before the controller's Start, and a
// declaration that the host refuses fails the start.
//
// Values belong to the module, not to the instance: they survive a trap, and end with a
// version of the guest that declares the metric otherwise. A module may declare 64 metrics
// with together 2,000 series, a histogram's counting once for each bucket; values that are
// out of place are dropped and counted by the host.
func NewCounter(name, help string, labels ...string) *Counter {
	return &Counter{newMetric(Metric{Name: name, Help: help, Kind: MetricCounter, Labels: labels})}
}

// NewGauge makes a gauge as [NewCounter] makes a counter.
func NewGauge(name, help string, labels ...string) *Gauge {
	return &Gauge{newMetric(Metric{Name: name, Help: help, Kind: MetricGauge, Labels: labels})}
}

// NewHistogram makes a histogram as [NewCounter] makes a counter. Without buckets it has
// the usual ones, for seconds.
func NewHistogram(name, help string, buckets []float64, labels ...string) *Histogram {
	return &Histogram{newMetric(Metric{
		Name: name, Help: help, Kind: MetricHistogram, Buckets: buckets, Labels: labels,
	})}
}

// Inc adds one. Values of labels are in the order of their names.
func (c *Counter) Inc(labels ...string) { c.Add(1, labels...) }

// Add adds a value, which must not be below zero.
func (c *Counter) Add(value float64, labels ...string) {
	if id, ok := c.id(); ok {
		host().AddMetric(id, labels, value)
	}
}

// Set sets the value. Values of labels are in the order of their names.
func (g *Gauge) Set(value float64, labels ...string) {
	if id, ok := g.id(); ok {
		host().SetMetric(id, labels, value)
	}
}

// Add adds a value, which may be below zero.
func (g *Gauge) Add(value float64, labels ...string) {
	if id, ok := g.id(); ok {
		host().AddMetric(id, labels, value)
	}
}

// Observe adds an observation. Values of labels are in the order of their names.
func (h *Histogram) Observe(value float64, labels ...string) {
	if id, ok := h.id(); ok {
		host().ObserveMetric(id, labels, value)
	}
}

// Every metric of the program.
var allMetrics []*metric

type metric struct {
	declaration Metric
	// Where it is declared, as a test has one host after the other.
	declared Host
	number   uint32
}

func newMetric(declaration Metric) *metric {
	made := &metric{declaration: declaration}
	allMetrics = append(allMetrics, made)
	return made
}

// id is what the host names the metric by. One that it refuses is logged, since no value of
// a metric is worth a failed sync.
func (m *metric) id() (uint32, bool) {
	if err := m.declare(); err != nil {
		slog.Error("the metric is not declared", "metric", m.declaration.Name, "error", err)
		return 0, false
	}
	return m.number, true
}

func (m *metric) declare() error {
	if m.declared == host() {
		return nil
	}
	number, err := host().DeclareMetric(m.declaration)
	if err != nil {
		return fmt.Errorf("metric %s: %w", m.declaration.Name, err)
	}
	m.declared, m.number = host(), number
	return nil
}

func declareMetrics() error {
	for _, metric := range allMetrics {
		if err := metric.declare(); err != nil {
			return err
		}
	}
	return nil
}
