package s3

import (
	"strconv"

	"github.com/slipway/slipway/fault"
)

func noSuchBucket(name string) *fault.Error {
	return fault.New(fault.NoSuchBucket, "The specified bucket does not exist").With("BucketName", name)
}

func noSuchKey(key string) *fault.Error {
	return fault.New(fault.NoSuchKey, "The specified key does not exist.").With("Key", key)
}

func noSuchVersion(key, id string) *fault.Error {
	return fault.New(fault.NoSuchVersion, "The specified version does not exist.").
		With("Key", key).With("VersionId", id)
}

func noSuchUpload(id string) *fault.Error {
	return fault.New(fault.NoSuchUpload, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.").
		With("UploadId", id)
}

func invalidRequest(format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidRequest, format, args...)
}

func invalidArgument(name, value, format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidArgument, format, args...).
		With("ArgumentName", name).With("ArgumentValue", value)
}

func malformedXML() *fault.Error {
	return fault.New(fault.MalformedXML, "The XML you provided was not well-formed or did not validate against our published schema")
}

func accessDenied() *fault.Error { return fault.New(fault.AccessDenied, "Access Denied") }

func entityTooLarge(size, limit int64) *fault.Error {
	return fault.New(fault.EntityTooLarge, "Your proposed upload exceeds the maximum allowed size").
		With("ProposedSize", strconv.FormatInt(size, 10)).With("MaxSizeAllowed", strconv.FormatInt(limit, 10))
}

func preconditionFailed(condition string) *fault.Error {
	return fault.New(fault.PreconditionFailed, "At least one of the pre-conditions you specified did not hold").
		With("Condition", condition)
}

func headerNotImplemented(header, additional string) *fault.Error {
	err := fault.New(fault.NotImplemented, "A header you provided implies functionality that is not implemented").
		With("Header", header)
	if additional != "" {
		err = err.With("additionalMessage", additional)
	}
	return err
}

// notBuilt refuses what S3 has and this service has not.
func notBuilt(what string) *fault.Error {
	return fault.New(fault.NotImplemented, "s3: %s is not implemented", what)
}
