// Lines in the host's log: a constant message and fields.

import { host } from "#host";

export const log = Object.freeze({
  error: (message, fields) => write("error", message, fields),
  warn: (message, fields) => write("warn", message, fields),
  info: (message, fields) => write("info", message, fields),
  debug: (message, fields) => write("debug", message, fields),
  trace: (message, fields) => write("trace", message, fields),
  enabled: (level) => host().logging.enabled(level),
});

/** For libraries that write to one. */
export const console = Object.freeze(
  Object.fromEntries(
    Object.entries({ error: "error", warn: "warn", log: "info", info: "info", debug: "debug", trace: "trace" }).map(
      ([method, level]) => [method, (...values) => write(level, values.map(toText).join(" "))],
    ),
  ),
);

function write(level, message, fields = {}) {
  if (!log.enabled(level)) return;
  host().logging.log(level, message, Object.entries(fields).map(([name, value]) => [name, toText(value)]));
}

function toText(value) {
  return typeof value === "object" && value !== null && !(value instanceof Error)
    ? JSON.stringify(value)
    : String(value);
}
