// Failures, as the contract carries them and bindings throw them.

const CODES = {
  "not-found": [404, "NotFound"],
  "already-exists": [409, "AlreadyExists"],
  conflict: [409, "Conflict"],
  invalid: [422, "Invalid"],
  "bad-request": [400, "BadRequest"],
  forbidden: [403, "Forbidden"],
  "namespace-terminating": [403, "Forbidden"],
  gone: [410, "Expired"],
  "unsupported-media-type": [415, "UnsupportedMediaType"],
  "too-many-requests": [429, "TooManyRequests"],
  timeout: [504, "Timeout"],
  unavailable: [503, "ServiceUnavailable"],
};

/** The contract's `api-error` of this kind. */
export function failure(kind, message) {
  const [code, reason] = CODES[kind] ?? [0, ""];
  return { kind, code, reason, message, causes: [], retryAfterMs: undefined };
}

/** What bindings throw for this error result. */
export function thrown(payload) {
  return Object.assign(new Error("an error result; see error.payload"), { payload });
}

/** What bindings throw for an API call that failed this way. */
export function refusal(kind, message) {
  return thrown(failure(kind, message));
}
