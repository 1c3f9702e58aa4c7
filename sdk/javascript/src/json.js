// JSON as the contract carries it, bytes of UTF-8, and comparing what was parsed from it.
//
// QuickJS has neither TextDecoder nor TextEncoder. Its base64 is native, so going through
// that is many times faster than a loop; `escape` and `encodeURIComponent` know UTF-8.

/** As many arguments as one call surely takes. */
const CHUNK = 4096;

/** Has `fromBase64` in QuickJS and in newer versions of Node. @type {any} */
const Bytes = Uint8Array;

/** Parses bytes. @param {Uint8Array} bytes */
export function parse(bytes) {
  const latin1 = fromBytes(bytes);
  return JSON.parse(/[\x80-\xff]/.test(latin1) ? decodeURIComponent(escape(latin1)) : latin1);
}

/** The bytes of a value. `JSON.stringify` escapes lone surrogates, so all of it encodes. @param {unknown} value */
export function stringify(value) {
  return toBytes(unescape(encodeURIComponent(JSON.stringify(value))));
}

/** A character for each byte. @param {any} bytes */
function fromBytes(bytes) {
  if (bytes.toBase64) return atob(bytes.toBase64());
  let latin1 = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    latin1 += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK));
  }
  return latin1;
}

/** A byte for each character. @param {string} latin1 @returns {Uint8Array} */
function toBytes(latin1) {
  if (Bytes.fromBase64) return Bytes.fromBase64(btoa(latin1));
  const bytes = new Uint8Array(latin1.length);
  for (let at = 0; at < latin1.length; at += 1) bytes[at] = latin1.charCodeAt(at);
  return bytes;
}

/** @param {any} one @param {any} other @returns {boolean} */
export function isEqual(one, other) {
  if (Object.is(one, other)) return true;
  if (!isContainer(one) || !isContainer(other) || Array.isArray(one) !== Array.isArray(other)) return false;
  const names = definedNames(one);
  return (
    names.length === definedNames(other).length && names.every((name) => isEqual(one[name], other[name]))
  );
}

/** @param {any} found @param {any} wanted @returns {boolean} */
export function covers(found, wanted) {
  if (!isContainer(wanted)) return Object.is(found, wanted);
  if (!isContainer(found) || Array.isArray(found) !== Array.isArray(wanted)) return false;
  if (Array.isArray(wanted) && found.length !== wanted.length) return false;
  return definedNames(wanted).every((name) => covers(found[name], wanted[name]));
}

/** @param {any} value */
function isContainer(value) {
  return typeof value === "object" && value !== null;
}

/** A field that is undefined is not written, so it counts as absent. @param {any} value */
function definedNames(value) {
  return Object.keys(value).filter((name) => value[name] !== undefined);
}
