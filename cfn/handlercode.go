package cfn

import "strings"

// Codes of resource handlers ("Handler error codes", CloudFormation CLI User Guide).
const (
	HandlerAccessDenied         = "AccessDenied"
	HandlerAlreadyExists        = "AlreadyExists"
	HandlerInternalFailure      = "InternalFailure"
	HandlerInvalidRequest       = "InvalidRequest"
	HandlerNotFound             = NotFound
	HandlerNotUpdatable         = "NotUpdatable"
	HandlerServiceLimitExceeded = "ServiceLimitExceeded"
	HandlerThrottling           = "Throttling"
	HandlerUnsupportedOperation = "UnsupportedOperation"
)

// handlerCodes are those that a handler of an account's own may answer with.
var handlerCodes = map[string]bool{
	HandlerAccessDenied: true, HandlerAlreadyExists: true, HandlerInternalFailure: true, HandlerInvalidRequest: true, HandlerNotFound: true,
	HandlerNotUpdatable: true, HandlerServiceLimitExceeded: true, HandlerThrottling: true, "GeneralServiceException": true,
	"InvalidCredentials": true, "NetworkFailure": true, "NotStabilized": true, "ResourceConflict": true, "ServiceInternalError": true,
}

// HandlerCode maps a service's error code to those of resource handlers.
func HandlerCode(code string) string {
	switch {
	case handlerCodes[code]:
		return code
	case strings.Contains(code, "AccessDenied") || strings.Contains(code, "Unauthorized"):
		return HandlerAccessDenied
	case strings.Contains(code, "AlreadyExists") || code == "ResourceExistsException" || strings.Contains(code, "Duplicate") || strings.HasSuffix(code, "AlreadyOwnedByYou"):
		return HandlerAlreadyExists
	case strings.HasPrefix(code, "NoSuch") || strings.Contains(code, "NotFound"):
		return HandlerNotFound
	case strings.Contains(code, "LimitExceeded"):
		return HandlerServiceLimitExceeded
	case strings.Contains(code, "Throttl"):
		return HandlerThrottling
	case code == "NotImplemented":
		return HandlerUnsupportedOperation
	}
	return HandlerInvalidRequest
}
