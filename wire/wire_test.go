package wire

import (
	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/api/sqs"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/api/sts"
)

// described are the generated services.
var described = []func() *api.Service{
	cloudformation.Describe, ec2.Describe, iam.Describe, s3.Describe, sqs.Describe, ssm.Describe, sts.Describe,
}
