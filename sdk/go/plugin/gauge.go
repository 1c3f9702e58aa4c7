package plugin

// Gauge is a figure of the plugin's own that goes up and down, in the host's metrics as
// windlass_custom_NAME.
type Gauge struct {
	name, help string
	number     uint32
	declared   bool
}

// NewGauge makes a gauge, with one line for people. It is shown from its first value on.
func NewGauge(name, help string) *Gauge { return &Gauge{name: name, help: help} }

// Add adds a value, which may be below zero. A gauge that the host refuses is logged.
func (g *Gauge) Add(value float64) {
	if !g.declared {
		number, err := declareGauge(g.name, g.help)
		if err != nil {
			warn("the metric is not declared", "metric", g.name, "error", err.Error())
			return
		}
		g.number, g.declared = number, true
	}
	addMetric(g.number, value)
}
