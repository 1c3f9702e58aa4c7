// The sync that runs. A guest is given one key at a time, so one number says it all.

let current = 0;

/** What calls to the API server are made on behalf of; 0 outside any sync. */
export function currentSync() {
  return current;
}

/** Runs a sync. */
export function duringSync(id, run) {
  current = id;
  try {
    return run();
  } finally {
    current = 0;
  }
}
