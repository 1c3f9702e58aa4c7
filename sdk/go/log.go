package windlass

import (
	"context"
	"log/slog"
	"slices"
)

// LogLevel is a level of the host's log.
type LogLevel uint8

// The levels of the host's log, numbered as in the contract.
const (
	// LogError needs an operator: slog.LevelError and above.
	LogError LogLevel = iota
	// LogWarn is degraded, but coping: from slog.LevelWarn.
	LogWarn
	// LogInfo is lifecycle: from slog.LevelInfo.
	LogInfo
	// LogDebug is about one line per sync: from slog.LevelDebug.
	LogDebug
	// LogTrace is everything else: below slog.LevelDebug.
	LogTrace
)

// LogField is one field of a line.
type LogField struct {
	// Name of the field; those of slog groups are joined with dots.
	Name string
	// Value as text.
	Value string
}

// NewLogHandler is a slog.Handler whose lines, with their attributes as fields, land in the
// host's log, which adds the controller and the sync. More than the module's budget per
// second are dropped and counted. In a component [Register] has made slog's default logger
// of it already, and so does windlasstest in a test.
func NewLogHandler() slog.Handler { return &logHandler{} }

type logHandler struct {
	// Name of the open group, with a dot behind.
	prefix string
	fields []LogField
}

func (*logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return host().LogEnabled(logLevel(level))
}

func (h *logHandler) Handle(_ context.Context, record slog.Record) error {
	fields := slices.Clone(h.fields)
	record.Attrs(func(attr slog.Attr) bool {
		fields = appendField(fields, h.prefix, attr)
		return true
	})
	host().Log(logLevel(record.Level), record.Message, fields)
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := slices.Clone(h.fields)
	for _, attr := range attrs {
		fields = appendField(fields, h.prefix, attr)
	}
	return &logHandler{prefix: h.prefix, fields: fields}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &logHandler{prefix: h.prefix + name + ".", fields: h.fields}
}

func appendField(fields []LogField, prefix string, attr slog.Attr) []LogField {
	value := attr.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		if attr.Key == "" {
			return fields
		}
		return append(fields, LogField{Name: prefix + attr.Key, Value: value.String()})
	}
	if attr.Key != "" {
		prefix += attr.Key + "."
	}
	for _, inner := range value.Group() {
		fields = appendField(fields, prefix, inner)
	}
	return fields
}

func logLevel(level slog.Level) LogLevel {
	switch {
	case level >= slog.LevelError:
		return LogError
	case level >= slog.LevelWarn:
		return LogWarn
	case level >= slog.LevelInfo:
		return LogInfo
	case level >= slog.LevelDebug:
		return LogDebug
	default:
		return LogTrace
	}
}
