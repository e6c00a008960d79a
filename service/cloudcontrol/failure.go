package cloudcontrol

import (
	"fmt"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// failure is how a handler has failed.
type failure struct {
	Code    string // of handlers ("Handler error codes", CloudFormation CLI User Guide)
	Message string
}

// failureOf is what a request tells of an error. The text of one without a code
// stays in the log.
func failureOf(err error) failure {
	e, ok := fault.As(err)
	if !ok {
		return failure{cfn.HandlerInternalFailure, "an internal error; Slipway's log has its text"}
	}
	code := cfn.HandlerCode(e.Code)
	switch {
	case e.Code == fault.NotUpdatableException:
		return failure{cfn.HandlerNotUpdatable, e.Message}
	case e.Code == fault.ValidationException || e.Code == code: // of the handler itself
		return failure{code, e.Message}
	case code == cfn.HandlerUnsupportedOperation:
		code = cfn.HandlerInvalidRequest // a request's ErrorCode knows no such
	}
	return failure{code, fmt.Sprintf("%s (%s)", e.Message, e.Code)}
}

// exceptions are the errors of requests that are answered at once, by the handler's
// code.
var exceptions = map[string]string{
	cfn.HandlerAccessDenied:         fault.AccessDeniedException,
	cfn.HandlerAlreadyExists:        fault.AlreadyExistsException,
	cfn.HandlerInternalFailure:      fault.HandlerInternalFailure,
	cfn.HandlerInvalidRequest:       fault.InvalidRequestException,
	cfn.HandlerNotFound:             fault.ResourceNotFoundException,
	cfn.HandlerNotUpdatable:         fault.NotUpdatableException,
	cfn.HandlerServiceLimitExceeded: fault.ServiceLimitExceeded,
	cfn.HandlerThrottling:           fault.ThrottlingException,
	"GeneralServiceException":       fault.GeneralServiceException,
	"InvalidCredentials":            fault.InvalidCredentialsException,
	"NetworkFailure":                fault.NetworkFailureException,
	"NotStabilized":                 fault.NotStabilizedException,
	"ResourceConflict":              fault.ResourceConflictException,
	"ServiceInternalError":          fault.ServiceInternalError,
}

// handlerError words the failure of a handler in a request that is answered at
// once. An error without a code stays what it is: internal.
func handlerError(typeName, requestID string, err error) error {
	if _, ok := fault.As(err); !ok || fault.Is(err, fault.NotImplemented) {
		return err
	}
	f := failureOf(err)
	return fault.New(exceptions[f.Code], "%s Handler returned status FAILED: %s (HandlerErrorCode: %s, RequestToken: %s)",
		typeName, f.Message, f.Code, arn.UUIDFrom(requestID))
}
