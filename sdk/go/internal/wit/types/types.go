// Package wit_types has the types of the contract that Go lacks. Its names are those
// that generated bindings use.
package wit_types

// Tags of an Option.
const (
	OptionNone = 0
	OptionSome = 1
)

// Option is a value that may be missing. The zero value is none.
type Option[T any] struct {
	value   T
	present bool
}

// Some is a value that is there.
func Some[T any](value T) Option[T] { return Option[T]{value: value, present: true} }

// None is a value that is missing.
func None[T any]() Option[T] { return Option[T]{} }

// Tag tells which of the two it is.
func (o Option[T]) Tag() uint8 {
	if o.present {
		return OptionSome
	}
	return OptionNone
}

// Some is the value. It panics if there is none.
func (o Option[T]) Some() T {
	if !o.present {
		panic("windlass: no value in this option")
	}
	return o.value
}

// Get is the value, and whether there is one.
func (o Option[T]) Get() (T, bool) { return o.value, o.present }

// Tags of a Result.
const (
	ResultOk  = 0
	ResultErr = 1
)

// Result is a value or an error.
type Result[T, E any] struct {
	value  T
	err    E
	failed bool
}

// Ok is a result with a value.
func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{value: value} }

// Err is a result with an error.
func Err[T, E any](err E) Result[T, E] { return Result[T, E]{err: err, failed: true} }

// Tag tells which of the two it is.
func (r Result[T, E]) Tag() uint8 {
	if r.failed {
		return ResultErr
	}
	return ResultOk
}

// Ok is the value. It panics if there is an error.
func (r Result[T, E]) Ok() T {
	if r.failed {
		panic("windlass: this result is an error")
	}
	return r.value
}

// Err is the error. It panics if there is none.
func (r Result[T, E]) Err() E {
	if !r.failed {
		panic("windlass: this result is no error")
	}
	return r.err
}

// IsErr tells whether there is an error.
func (r Result[T, E]) IsErr() bool { return r.failed }

// Tuple2 is two values.
type Tuple2[A, B any] struct {
	F0 A
	F1 B
}

// Unit is no value.
type Unit struct{}
