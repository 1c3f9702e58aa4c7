// JSON as the contract carries it, bytes of UTF-8, and comparing what was parsed from it.
// QuickJS has neither TextDecoder nor TextEncoder.

/** As many arguments as one call surely takes. */
const CHUNK = 4096;

/** Parses bytes. @param {Uint8Array} bytes */
export function parse(bytes) {
  return JSON.parse(decode(bytes));
}

/** The bytes of a value. @param {unknown} value */
export function stringify(value) {
  return encode(JSON.stringify(value));
}

/** One character for each byte, and only where some are not ASCII another pass. @param {Uint8Array} bytes */
function decode(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return /[\x80-\xff]/.test(text) ? decodeURIComponent(escape(text)) : text;
}

/** `JSON.stringify` escapes lone surrogates, so nothing here fails. @param {string} text */
function encode(text) {
  const latin1 = /[^\x00-\x7f]/.test(text) ? unescape(encodeURIComponent(text)) : text;
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
