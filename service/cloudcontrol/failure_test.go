package cloudcontrol

import (
	"errors"
	"testing"

	"github.com/slipway/slipway/fault"
)

// Each code that a handler may fail with is an error of the API's.
func TestHandlerErrors(t *testing.T) {
	for code, want := range map[string]string{
		"AccessDenied": "AccessDeniedException", "AlreadyExists": "AlreadyExistsException", "GeneralServiceException": "GeneralServiceException",
		"InternalFailure": "HandlerInternalFailureException", "InvalidCredentials": "InvalidCredentialsException",
		"InvalidRequest": "InvalidRequestException", "NetworkFailure": "NetworkFailureException", "NotFound": "ResourceNotFoundException",
		"NotStabilized": "NotStabilizedException", "NotUpdatable": "NotUpdatableException", "ResourceConflict": "ResourceConflictException",
		"ServiceInternalError": "ServiceInternalErrorException", "ServiceLimitExceeded": "ServiceLimitExceededException",
		"Throttling": "ThrottlingException", "NoSuchBucket": "ResourceNotFoundException", "SomethingElse": "InvalidRequestException",
	} {
		if e, ok := fault.As(handlerError("AWS::Test::Thing", "r", fault.New(code, "why"))); !ok || e.Code != want {
			t.Errorf("%s is %v, want %s", code, e, want)
		}
	}
	internal := errors.New("internal")
	if err := handlerError("AWS::Test::Thing", "r", internal); !errors.Is(err, internal) {
		t.Errorf("an error without a code is %v", err)
	}
}
