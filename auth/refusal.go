package auth

import (
	"errors"
	"net/http"
	"time"

	"github.com/slipway/slipway/fault"
)

// family groups the services by the form of their refusals: the protocols gave
// the same refusal different codes over the years.
type family int

const (
	familyQuery family = iota
	familyJSON
	familyEC2
	familyS3
)

func familyOf(service string) family {
	switch service {
	case "s3", "s3-outposts":
		return familyS3
	case "ec2":
		return familyEC2
	// SQS answers in JSON, too, but with its Query codes (awsQueryCompatible),
	// as does CloudWatch.
	case "sqs", "sts", "iam", "cloudformation", "elasticbeanstalk", "autoscaling", "elasticloadbalancing",
		"elasticloadbalancingv2", "elbv2", "sns", "monitoring", "cloudwatch", "rds", "elasticache":
		return familyQuery
	}
	return familyJSON
}

// code picks the family's code.
func (f family) code(query, json, ec2, s3 string) string {
	return [...]string{query, json, ec2, s3}[f]
}

const ec2Refusal = "AWS was not able to validate the provided access credentials"

func missingToken(service string) *fault.Error {
	f := familyOf(service)
	message := "Missing Authentication Token"
	switch f {
	case familyQuery:
		message = "Request is missing Authentication Token"
	case familyS3:
		message = "Access Denied"
	case familyEC2:
		message = "The request must contain the parameter AWSAccessKeyId"
	}
	return fault.New(f.code(fault.MissingAuthToken, fault.MissingAuthTokenException, fault.MissingParameter, fault.AccessDenied), "%s", message)
}

func unreadable(service string, presigned bool, err error) *fault.Error {
	s3 := fault.AuthorizationHeaderMalform
	if presigned {
		s3 = fault.AuthorizationQueryMalformed
	}
	f := familyOf(service)
	var flaw *flaw
	message := "The signature cannot be read."
	if errors.As(err, &flaw) {
		message = flaw.message
	}
	return fault.New(f.code(fault.IncompleteSignature, fault.IncompleteSignatureEx, fault.AuthFailure, s3), "%s", message)
}

func unknownKey(service, accessKeyID string) *fault.Error {
	f := familyOf(service)
	e := fault.New(f.code(fault.InvalidClientTokenID, fault.UnrecognizedClient, fault.AuthFailure, fault.InvalidAccessKeyID),
		"The security token included in the request is invalid.")
	switch f {
	case familyEC2:
		e.Message = ec2Refusal
	case familyS3:
		e.Message = "The AWS Access Key Id you provided does not exist in our records."
		return e.With("AWSAccessKeyId", accessKeyID)
	}
	return e
}

func badToken(service string) *fault.Error {
	f := familyOf(service)
	e := fault.New(f.code(fault.InvalidClientTokenID, fault.UnrecognizedClient, fault.AuthFailure, fault.InvalidToken),
		"The security token included in the request is invalid.")
	switch f {
	case familyEC2:
		e.Message = ec2Refusal
	case familyS3:
		e.Message = "The provided token is malformed or otherwise invalid."
	}
	return e
}

func expiredToken(service string) *fault.Error {
	f := familyOf(service)
	e := fault.New(f.code(fault.ExpiredToken, fault.ExpiredTokenException, fault.RequestExpired, fault.ExpiredToken),
		"The security token included in the request is expired")
	switch f {
	case familyEC2:
		e.Message = "Request has expired."
	case familyS3:
		e.Message = "The provided token has expired."
	}
	return e
}

// signed is what a mismatch tells its caller, who can see by it where the two
// calculations part. It holds nothing that the request did not say.
type signed struct{ text, canonical, provided string }

func mismatch(service, accessKeyID string, s *signed) *fault.Error {
	f := familyOf(service)
	e := fault.New(f.code(fault.SignatureDoesNotMatch, fault.InvalidSignatureException, fault.AuthFailure, fault.SignatureDoesNotMatch),
		"The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	switch f {
	case familyEC2:
		e.Message = ec2Refusal
	case familyS3:
		e.Message = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
		e = e.With("AWSAccessKeyId", accessKeyID)
		if s != nil {
			e = e.With("StringToSign", s.text).With("SignatureProvided", s.provided).With("CanonicalRequest", s.canonical)
		}
	}
	return e
}

func unsignedHeader(service, name string) *fault.Error {
	f := familyOf(service)
	e := fault.New(f.code(fault.SignatureDoesNotMatch, fault.InvalidSignatureException, fault.AuthFailure, fault.AccessDenied),
		"'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
	if f == familyS3 {
		e.Message = "There were headers present in the request which were not signed"
		return e.With("HeadersNotSigned", name)
	}
	return e
}

// otherService refuses a signature that was made for another service than the
// one that the request goes to.
func otherService(service string) *fault.Error {
	return fault.New(familyOf(service).code(fault.SignatureDoesNotMatch, fault.InvalidSignatureException, fault.AuthFailure, fault.AuthorizationHeaderMalform),
		"Credential should be scoped to correct service: '%s'.", service)
}

// unsupported refuses Signature Version 2, as S3 does for newer buckets.
func unsupported() *fault.Error {
	return fault.New(fault.InvalidRequest, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
}

// MaxSkew is how far a signature's time may be from the server's.
const MaxSkew = 15 * time.Minute

// checkTime refuses signatures from too far away in time.
func checkTime(service string, s *signature, now time.Time) error {
	f := familyOf(service)
	if s.presigned {
		if s.legacy && !now.After(s.time) {
			return nil
		}
		return checkExpiry(f, s, now)
	}
	early, late := s.time.Before(now.Add(-MaxSkew)), s.time.After(now.Add(MaxSkew))
	if !early && !late {
		return nil
	}
	if f == familyS3 {
		return fault.New(fault.RequestTimeTooSkewed, "The difference between the request time and the current time is too large.").
			With("RequestTime", s.amzDate).With("ServerTime", now.UTC().Format(time.RFC3339)).
			With("MaxAllowedSkewMilliseconds", int64(MaxSkew/time.Millisecond))
	}
	code := f.code(fault.SignatureDoesNotMatch, fault.InvalidSignatureException, fault.RequestExpired, "")
	at, limit := now.UTC().Format(timeForm), now.Add(-MaxSkew).UTC().Format(timeForm)
	if early {
		return fault.New(code, "Signature expired: %s is now earlier than %s (%s - 15 min.)", s.amzDate, limit, at)
	}
	return fault.New(code, "Signature not yet current: %s is still later than %s (%s + 15 min.)",
		s.amzDate, now.Add(MaxSkew).UTC().Format(timeForm), at)
}

func checkExpiry(f family, s *signature, now time.Time) error {
	end := s.time.Add(s.expires)
	switch {
	case s.time.After(now.Add(MaxSkew)):
		if f == familyS3 {
			return fault.New(fault.AccessDenied, "Request is not yet valid").With("X-Amz-Date", s.amzDate)
		}
		return fault.New(f.code(fault.SignatureDoesNotMatch, fault.InvalidSignatureException, fault.RequestExpired, ""),
			"Signature not yet current: %s is still later than %s (%s + 15 min.)",
			s.amzDate, now.Add(MaxSkew).UTC().Format(timeForm), now.UTC().Format(timeForm))
	case now.After(end):
		if f == familyS3 {
			return fault.New(fault.AccessDenied, "Request has expired").
				With("X-Amz-Expires", int64(s.expires/time.Second)).
				With("Expires", end.UTC().Format(time.RFC3339)).With("ServerTime", now.UTC().Format(time.RFC3339))
		}
		return fault.New(f.code(fault.SignatureDoesNotMatch, fault.InvalidSignatureException, fault.RequestExpired, ""),
			"Signature expired: %s is now earlier than %s", end.UTC().Format(timeForm), now.UTC().Format(timeForm))
	}
	return nil
}

// bodyTooLarge refuses a body that would have to be read whole to be verified.
func bodyTooLarge() *fault.Error {
	return fault.New(fault.RequestTooLarge, "%s", http.StatusText(http.StatusRequestEntityTooLarge))
}
