// Which collection of the API server, and which object in it.

export function resource({ apiVersion, kind, plural }) {
  const [version, group = ""] = apiVersion.split("/").reverse();
  return Object.freeze({ apiVersion, group, version, kind, plural });
}

export function keyOf({ metadata }) {
  return toKey(metadata);
}

/** As the contract's `object-key`. */
export function toKey({ namespace, name }) {
  return { namespace: namespace ?? "", name: name ?? "" };
}

export function formatKey({ namespace, name }) {
  return namespace ? `${namespace}/${name}` : name;
}

export function parseKey(text) {
  const [name, namespace = ""] = text.split("/").reverse();
  return { namespace, name };
}

/** As the contract's `api-resource`. */
export function toApiResource({ group, version, plural }) {
  return { group, version, plural };
}

/** The object with what the server leaves out of lists and wants in bodies. */
export function withKind({ apiVersion, kind }, object) {
  return { apiVersion, kind, ...object };
}
