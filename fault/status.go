package fault

import (
	"net/http"
	"strings"
)

// statuses maps codes to HTTP statuses where the service model does not say.
// A code that stands in neither is a client's error: 400.
var statuses = map[string]int{
	NotImplemented:        http.StatusNotImplemented,
	InternalFailure:       http.StatusInternalServerError,
	ServiceUnavailable:    http.StatusServiceUnavailable,
	RequestTooLarge:       http.StatusRequestEntityTooLarge,
	RequestLimitExceeded:  http.StatusServiceUnavailable,
	SlowDown:              http.StatusServiceUnavailable,
	AccessDenied:          http.StatusForbidden,
	UnauthorizedOperation: http.StatusForbidden,
	MissingAuthToken:      http.StatusForbidden,
	InvalidClientTokenID:  http.StatusForbidden,
	SignatureDoesNotMatch: http.StatusForbidden,
	InvalidAccessKeyID:    http.StatusForbidden,
	RequestTimeTooSkewed:  http.StatusForbidden,
	AuthFailure:           http.StatusUnauthorized,
	ExpiredToken:          http.StatusForbidden,
	IncompleteSignature:   http.StatusBadRequest,
	DryRunOperation:       http.StatusPreconditionFailed,

	BucketNotEmpty:     http.StatusConflict,
	MethodNotAllowed:   http.StatusMethodNotAllowed,
	NotModified:        http.StatusNotModified,
	PreconditionFailed: http.StatusPreconditionFailed,
	InvalidRange:       http.StatusRequestedRangeNotSatisfiable,
	InvalidPartNumber:  http.StatusRequestedRangeNotSatisfiable,

	OwnershipControlsNotFound: http.StatusNotFound,

	AccessForbidden:                 http.StatusForbidden,
	InvalidBucketState:              http.StatusConflict,
	ObjectLockConfigurationNotFound: http.StatusNotFound,
	PermanentRedirect:               http.StatusMovedPermanently,
}

// Status is the HTTP status of a code that the service's model leaves open.
func Status(code string) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	if strings.HasPrefix(code, "NoSuch") {
		return http.StatusNotFound
	}
	return http.StatusBadRequest
}
