// The seam between the SDK and the contract, under Node: the fake that a test has made.

let installed;

/** Makes this the host from now on. */
export function install(fake) {
  installed = fake;
}

/** The interfaces that the contract lets a guest import. */
export function host() {
  if (!installed) {
    throw new Error("outside a component there is no host: make a Cluster of @windlass-dev/sdk/testing first");
  }
  return installed;
}

/** Node has what libraries expect. */
export function prepare() {}
