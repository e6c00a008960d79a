package lambda

import (
	"github.com/slipway/slipway/fault"
)

// fail is an error that the caller can do something about, as Lambda marks it.
func fail(code, format string, args ...any) *fault.Error {
	return fault.New(code, format, args...).With("Type", "User")
}

func invalid(format string, args ...any) error {
	return fail(fault.InvalidParameterValueException, format, args...)
}

func notFound(format string, args ...any) error {
	return fail(fault.ResourceNotFoundException, format, args...)
}

// gone is how Lambda says that a part of a function is not there.
func gone() error { return notFound("The resource you requested does not exist.") }

func conflict(format string, args ...any) error {
	return fail(fault.ResourceConflictException, format, args...)
}

func notBuilt(operation, what string) error {
	return fault.New(fault.NotImplemented, "%s: %s is not built.", operation, what)
}

func stale(what string) error {
	return fail(fault.PreconditionFailedException, "The Revision Id provided does not match the latest Revision Id. Call the %s API to retrieve the latest Revision Id", what)
}

// constraint is a violation that the model does not state, in its words.
func constraint(member, value, text string) error {
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", value, member, text)
}
