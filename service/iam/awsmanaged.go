package iam

import (
	"iter"
	"regexp"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/store"
)

const awsManagedPrefix = "arn:aws:iam::aws:policy"

var awsManagedForm = regexp.MustCompile(`^arn:aws:iam::aws:policy/([\w+=,.@-]+/)*[\w+=,.@-]{1,128}$`)

// isAWSManaged reports whether an ARN is that of a policy which AWS manages.
// Slipway lets any of them be attached, so that templates deploy; it has the
// documents of those below, and the others grant nothing.
func isAWSManaged(policyARN string) bool { return awsManagedForm.MatchString(policyARN) }

// awsManaged are documents of AWS-managed policies ("AWS Managed Policy
// Reference"), by the part of the ARN behind "policy".
var awsManaged = map[string]string{
	"/AdministratorAccess":    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	"/AmazonS3FullAccess":     `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}`,
	"/AmazonS3ReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*","s3-object-lambda:Get*","s3-object-lambda:List*"],"Resource":"*"}]}`,
	"/AmazonSQSFullAccess":    `{"Version":"2012-10-17","Statement":[{"Action":["sqs:*"],"Effect":"Allow","Resource":"*"}]}`,
	"/AmazonSSMReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:Describe*","ssm:Get*","ssm:List*"],` +
		`"Resource":"*"}]}`,
	"/AmazonSSMManagedInstanceCore": `{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Allow","Action":["ssm:DescribeAssociation","ssm:GetDeployablePatchSnapshotForInstance","ssm:GetDocument","ssm:DescribeDocument",` +
		`"ssm:GetManifest","ssm:GetParameter","ssm:GetParameters","ssm:ListAssociations","ssm:ListInstanceAssociations","ssm:PutInventory",` +
		`"ssm:PutComplianceItems","ssm:PutConfigurePackageResult","ssm:UpdateAssociationStatus","ssm:UpdateInstanceAssociationStatus",` +
		`"ssm:UpdateInstanceInformation"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":["ssmmessages:CreateControlChannel","ssmmessages:CreateDataChannel","ssmmessages:OpenControlChannel",` +
		`"ssmmessages:OpenDataChannel"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":["ec2messages:AcknowledgeMessage","ec2messages:DeleteMessage","ec2messages:FailMessage",` +
		`"ec2messages:GetEndpoint","ec2messages:GetMessages","ec2messages:SendReply"],"Resource":"*"}]}`,
	"/service-role/AWSLambdaBasicExecutionRole": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup",` +
		`"logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
}

// known is a managed policy of either kind.
type known struct {
	*managed
	awsARN string // of AWS's own
}

// awsPolicyDate stands for the dates of AWS's policies, which differ and tell
// nothing here.
var awsPolicyDate = time.Date(2015, 2, 6, 18, 39, 46, 0, time.UTC)

func awsPolicy(policyARN string) known {
	path, name := splitPolicyARN(policyARN)
	return known{&managed{
		Name: name, Path: path, ID: "ANPA" + arn.SuffixFrom(policyARN, 17), Created: awsPolicyDate, Updated: awsPolicyDate,
		Versions: []version{{"v1", awsManaged[path+name], awsPolicyDate}}, Default: "v1",
	}, policyARN}
}

func (k known) describe(tx store.Tx, account string) (*api.Policy, error) {
	if k.awsARN == "" {
		return k.api(tx, account)
	}
	used, err := attachments(tx, account, k.awsARN)
	if err != nil {
		return nil, err
	}
	bounds, err := attachments(tx, account, "boundary:"+k.awsARN)
	if err != nil {
		return nil, err
	}
	out, err := k.api(tx, account)
	if err != nil {
		return nil, err
	}
	out.Arn = k.awsARN
	out.AttachmentCount, out.PermissionsBoundaryUsageCount = new(int32(used.count())), new(int32(bounds.count()))
	return out, nil
}

// anyPolicy finds a managed policy of either kind.
func (s *Service) anyPolicy(tx store.Tx, account, policyARN string) (known, error) {
	if isAWSManaged(policyARN) {
		return awsPolicy(policyARN), nil
	}
	p, err := findPolicy(tx, account, policyARN)
	return known{managed: p}, err
}

// everyPolicy yields the policies of a ListPolicies scope: "All", "AWS", "Local".
func (s *Service) everyPolicy(tx store.Tx, account, scope string) iter.Seq2[known, error] {
	return func(yield func(known, error) bool) {
		if scope != "Local" {
			for suffix := range awsManaged {
				if !yield(awsPolicy(awsManagedPrefix+suffix), nil) {
					return
				}
			}
		}
		if scope == "AWS" {
			return
		}
		for e, err := range policies.Scan(tx, account+"/") {
			if !yield(known{managed: e.Value}, err) || err != nil {
				return
			}
		}
	}
}
