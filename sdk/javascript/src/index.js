export { claim } from "./claim.js";
export { client } from "./client.js";
export { defineController } from "./controller.js";
export { ApiError, RetryError, TerminalError, ignoreNotFound } from "./errors.js";
export { covers, isEqual } from "./json.js";
export { log } from "./log.js";
export {
  addFinalizer,
  controllerOf,
  controllerReference,
  findCondition,
  hasFinalizer,
  isControlledBy,
  isDeleting,
  removeCondition,
  removeFinalizer,
  setCondition,
  updateStatus,
} from "./meta.js";
export { Counter, Gauge, Histogram } from "./metrics.js";
export { recorder } from "./recorder.js";
export { formatKey, keyOf, parseKey, resource } from "./resource.js";
export { formatSelector, selectorMatches } from "./selector.js";
export { config, enqueue, enqueueAll, monotonic, now, random, resolve } from "./services.js";
export { Lister, Watch, watch, watchDiscovered } from "./watch.js";
