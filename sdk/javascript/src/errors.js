// How calls and syncs fail.

export class ApiError extends Error {
  constructor({ kind, code, reason, message, causes, retryAfterMs }) {
    super(message);
    this.name = "ApiError";
    this.kind = kind;
    this.code = code;
    this.reason = reason;
    this.causes = causes;
    this.retryAfterMs = retryAfterMs ?? undefined;
  }

  static is(error, kind) {
    return error instanceof ApiError && error.kind === kind;
  }

  static isNotFound(error) {
    return ApiError.is(error, "not-found");
  }

  static isAlreadyExists(error) {
    return ApiError.is(error, "already-exists");
  }

  static isConflict(error) {
    return ApiError.is(error, "conflict");
  }

  static isInvalid(error) {
    return ApiError.is(error, "invalid");
  }

  static isForbidden(error) {
    return ApiError.is(error, "forbidden");
  }

  static isNotPermitted(error) {
    return ApiError.is(error, "not-permitted");
  }

  static isNamespaceTerminating(error) {
    return ApiError.is(error, "namespace-terminating");
  }

  static isGone(error) {
    return ApiError.is(error, "gone");
  }

  static isTooManyRequests(error) {
    return ApiError.is(error, "too-many-requests");
  }

  static isTimeout(error) {
    return ApiError.is(error, "timeout");
  }

  static isUnavailable(error) {
    return ApiError.is(error, "unavailable");
  }
}

export class RetryError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "RetryError";
  }
}

export class TerminalError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "TerminalError";
  }
}

export function ignoreNotFound(call) {
  try {
    return call();
  } catch (error) {
    if (ApiError.isNotFound(error)) return undefined;
    throw error;
  }
}

/** Runs a call of the contract; its error result is thrown as an `ApiError`. */
export function apiCall(call) {
  return withResult(call, (failure) => new ApiError(failure));
}

/** Runs a call of the contract whose error result is a text: trying again cannot help. */
export function terminalCall(call) {
  return withResult(call, (message) => new TerminalError(message));
}

/** Bindings throw an error result as the `payload` of an error of their own. */
function withResult(call, toError) {
  try {
    return call();
  } catch (error) {
    throw error?.payload === undefined ? error : toError(error.payload);
  }
}
