// The seam between the SDK and the contract, inside a component: what the host provides.
//
// `native.js` takes its place under Node, by the condition `node` of `#host` in package.json.

import clientset from "windlass:controller/blocking-clientset@0.1.0";
import clock from "windlass:controller/clock@0.1.0";
import discovery from "windlass:controller/discovery@0.1.0";
import lister from "windlass:controller/lister@0.1.0";
import logging from "windlass:controller/logging@0.1.0";
import metrics from "windlass:controller/metrics@0.1.0";
import moduleConfig from "windlass:controller/module-config@0.1.0";
import random from "windlass:controller/random@0.1.0";
import recorder from "windlass:controller/recorder@0.1.0";
import workqueue from "windlass:controller/workqueue@0.1.0";

const contract = {
  clientset,
  clock,
  discovery,
  lister,
  logging,
  metrics,
  moduleConfig,
  random,
  recorder,
  workqueue,
};

/** The interfaces that the contract lets a guest import. */
export function host() {
  return contract;
}

/**
 * Puts in place what libraries expect. QuickJS has no console, and is asleep while the
 * component is built, so that without this every instance would draw the same numbers.
 */
export function prepare({ console, random }) {
  globalThis.console ??= console;
  Math.random = random;
}
