package s3

import (
	api "github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/store"
)

// websites are the configurations of static websites, by bucket.
var websites = store.NewCollection[api.WebsiteConfiguration]("s3/website")
