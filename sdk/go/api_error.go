package windlass

import (
	"errors"
	"time"
)

// ErrorKind is what kind of failure an API call met. New kinds may be added: treat an
// unknown one like ErrorOther.
type ErrorKind uint8

// The kinds of failures, numbered as in the contract.
const (
	// ErrorNotFound: 404, reason NotFound.
	ErrorNotFound ErrorKind = iota
	// ErrorAlreadyExists: 409, reason AlreadyExists.
	ErrorAlreadyExists
	// ErrorConflict: 409, reason Conflict: the object changed; read it again.
	ErrorConflict
	// ErrorInvalid: 422: validation failed; Causes name the fields.
	ErrorInvalid
	// ErrorBadRequest: 400: the request itself makes no sense.
	ErrorBadRequest
	// ErrorForbidden: 401 or 403 from the API server.
	ErrorForbidden
	// ErrorNamespaceTerminating: 403: nothing can be created in the namespace any more.
	ErrorNamespaceTerminating
	// ErrorGone: 410: a resource version or a continue token expired.
	ErrorGone
	// ErrorUnsupportedMediaType: 415: the type of patch is not supported, such as strategic
	// merge on custom resources.
	ErrorUnsupportedMediaType
	// ErrorTooManyRequests: 429: back off; RetryAfter says how long if the server did.
	ErrorTooManyRequests
	// ErrorTimeout: 504, or no answer within the host's own limit. A write may have
	// happened.
	ErrorTimeout
	// ErrorUnavailable: 5xx, or no connection. A write may have happened.
	ErrorUnavailable
	// ErrorNotPermitted: refused by the host before anything was sent, because the module
	// was not granted this. Message names the missing rule.
	ErrorNotPermitted
	// ErrorOther: everything else.
	ErrorOther
)

// APIError is why an API call failed. Find it with errors.As, or ask [IsNotFound] and the
// like.
type APIError struct {
	// Kind of the failure.
	Kind ErrorKind
	// Code is the HTTP status, or 0 without an answer.
	Code int
	// Reason is Status.reason, such as AlreadyExists; may be empty.
	Reason string
	// Message for people and for event messages; never empty.
	Message string
	// Causes is Status.details.causes.
	Causes []StatusCause
	// RetryAfter is how long to back off if the server said so, else 0.
	RetryAfter time.Duration
}

// StatusCause is one entry of Status.details.causes.
type StatusCause struct {
	// Reason is machine-readable, such as FieldValueInvalid.
	Reason string
	// Field such as spec.replicas; may be empty.
	Field string
	// Message for people.
	Message string
}

// Error is the message.
func (e *APIError) Error() string { return e.Message }

// IsNotFound tells whether the object of an API call does not exist.
func IsNotFound(err error) bool { return isKind(err, ErrorNotFound) }

// IsAlreadyExists tells whether an object of this name exists already.
func IsAlreadyExists(err error) bool { return isKind(err, ErrorAlreadyExists) }

// IsConflict tells whether the object changed since it was read, or a precondition of a
// deletion did not hold.
func IsConflict(err error) bool { return isKind(err, ErrorConflict) }

// IsInvalid tells whether the server found what was written invalid.
func IsInvalid(err error) bool { return isKind(err, ErrorInvalid) }

// IsForbidden tells whether the API server refused the call.
func IsForbidden(err error) bool { return isKind(err, ErrorForbidden) }

// IsNamespaceTerminating tells whether nothing can be created in the namespace any more.
func IsNamespaceTerminating(err error) bool { return isKind(err, ErrorNamespaceTerminating) }

// IsNotPermitted tells whether the host refused the call because the module was not
// granted it.
func IsNotPermitted(err error) bool { return isKind(err, ErrorNotPermitted) }

// IgnoreNotFound is nil if the object of an API call does not exist, else err.
func IgnoreNotFound(err error) error {
	if IsNotFound(err) {
		return nil
	}
	return err
}

func isKind(err error, kind ErrorKind) bool {
	var failure *APIError
	return errors.As(err, &failure) && failure.Kind == kind
}
