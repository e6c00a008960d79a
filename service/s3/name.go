package s3

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slipway/slipway/fault"
)

// maxKey is the longest object key, in bytes of UTF-8.
const maxKey = 1024

// reserved are what the names of general purpose buckets do not begin or end
// with ("General purpose bucket naming rules", S3 User Guide).
var (
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

func validBucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return false
	}
	for i, c := range []byte(name) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		inside := i > 0 && i < len(name)-1
		if !alphanumeric && (!inside || c != '.' && c != '-') {
			return false
		}
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	for _, p := range reservedSuffixes {
		if strings.HasSuffix(name, p) {
			return false
		}
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}

func invalidBucketName(name string) *fault.Error {
	return fault.New(fault.InvalidBucketName, "The specified bucket is not valid.").With("BucketName", name)
}

// checkKey refuses keys that S3 does not take. NUL is refused, too: neither XML
// nor every store can carry it.
func checkKey(key string) error {
	if len(key) > maxKey {
		return fault.New(fault.KeyTooLong, "Your key is too long").
			With("Size", strconv.Itoa(len(key))).With("MaxSizeAllowed", strconv.Itoa(maxKey))
	}
	if key == "" || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return fault.New(fault.InvalidURI, "Couldn't parse the specified URI.")
	}
	return nil
}

// regions are those that a bucket can be made in.
var regions = map[string]bool{
	"af-south-1": true, "ap-east-1": true, "ap-east-2": true, "ap-northeast-1": true,
	"ap-northeast-2": true, "ap-northeast-3": true, "ap-south-1": true, "ap-south-2": true,
	"ap-southeast-1": true, "ap-southeast-2": true, "ap-southeast-3": true, "ap-southeast-4": true,
	"ap-southeast-5": true, "ap-southeast-7": true, "ca-central-1": true, "ca-west-1": true,
	"eu-central-1": true, "eu-central-2": true, "eu-north-1": true, "eu-south-1": true,
	"eu-south-2": true, "eu-west-1": true, "eu-west-2": true, "eu-west-3": true,
	"il-central-1": true, "me-central-1": true, "me-south-1": true, "mx-central-1": true,
	"sa-east-1": true, "us-east-1": true, "us-east-2": true, "us-west-1": true,
	"us-west-2": true,
}

// placeBucket says in which region a bucket with the location constraint is
// made, asked for in a region. The endpoint of us-east-1 makes buckets in every
// region, the others in their own.
func placeBucket(region, constraint string) (string, error) {
	illegal := func(what string) error {
		return fault.New(fault.IllegalLocationConstraint,
			"The %s location constraint is incompatible for the region specific endpoint this request was sent to.", what)
	}
	if region == usEast1 {
		switch {
		case constraint == "":
			return region, nil
		case constraint == "EU":
			return "eu-west-1", nil
		case constraint == usEast1, !regions[constraint]:
			return "", fault.New(fault.InvalidLocationConstraint, "The specified location-constraint is not valid").
				With("LocationConstraint", constraint)
		}
		return constraint, nil
	}
	switch constraint {
	case region:
		return region, nil
	case "":
		return "", illegal("unspecified")
	case "EU":
		if region == "eu-west-1" {
			return region, nil
		}
	}
	return "", illegal(constraint)
}

const usEast1 = "us-east-1"
