// Tries to reach what a guest must not, and says how that went.
//
// What is tried is the name of the key. The answer is a terminal error: `refused`,
// `empty`, or what was got hold of. QuickJS has no files, sockets or processes of its
// own, so what is tried is every way that JavaScript has to them elsewhere.


import clientset from "windlass:controller/blocking-clientset@0.1.0";
import config from "windlass:controller/module-config@0.1.0";

/** Asks the API server, which may take its time. */
function wait(sync) {
  const resource = { group: "", version: "v1", plural: "configmaps" };
  return clientset.get(sync, { resource, key: { namespace: "a", name: "b" }, subresource: "" }).length;
}

const attempts = {
  "read-file": () => std.loadFile("/etc/passwd"),
  "list-directory": () => os.readdir("/"),
  fetch: () => fetch("http://127.0.0.1/"),
  connect: () => new WebSocket("ws://127.0.0.1/"),
  environment: () => process.env,
  arguments: () => scriptArgs,
  require: () => globalThis.require("fs"),
  spawn: () => os.exec(["true"]),
  clock: () => `${Date.now() / 1000} ${performance.now()}`,
  chance: () => Math.random(),
  grow: () => new ArrayBuffer(1 << 30).byteLength,
  loop: () => {
    for (;;);
  },
};

function attempt(name) {
  try {
    const result = attempts[name]();
    return result ? `got: ${result}` : "empty";
  } catch (error) {
    return `refused: ${error}`;
  }
}

export const blockingHandler = {
  describe() {
    return {
      name: "probe-javascript",
      version: "0.1.0",
      watches: [],
      workers: 10,
      permissions: [],
      apiQps: 0,
      apiBurst: 0,
    };
  },
  start() {
    if (String.fromCharCode(...config.get()) === '{"start":"wait"}') wait(0);
  },
  syncHandler(sync, key) {
    const answer = key.name === "wait" ? `got: ${wait(sync)}` : attempt(key.name);
    throw { tag: "terminal", val: answer };
  },
};
