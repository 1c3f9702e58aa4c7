// What a watch shows of an object.

/** No more than the view asks for, so that a test misses what was not declared. */
export function project({ tag, val }, object) {
  if (tag === "full") return object;
  const { apiVersion, kind, metadata } = object;
  const { managedFields, ...shown } = metadata;
  const fields = tag === "fields" ? pick(object, val.map((path) => path.split("."))) : {};
  return { apiVersion, kind, ...fields, metadata: shown };
}

/** The value at a dotted path, if it is there. */
export function valueAt(object, path) {
  return path.split(".").reduce((value, name) => value?.[name], object);
}

/** These paths of a value; an empty path is all of it, and lists are walked through. */
function pick(value, paths) {
  if (paths.some((path) => path.length === 0)) return value;
  if (Array.isArray(value)) return value.map((item) => pick(item, paths));
  if (typeof value !== "object" || value === null) return value;
  const names = [...new Set(paths.map(([name]) => name))].filter((name) => name in value);
  return Object.fromEntries(
    names.map((name) => [
      name,
      pick(value[name], paths.filter(([first]) => first === name).map(([, ...rest]) => rest)),
    ]),
  );
}
