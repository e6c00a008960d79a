package kms

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway/slipway/api/kms"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

const managedPrefix = aliasPrefix + "aws/"

// managedBy are the services that have a key of their own in each account and
// region, which is made when it is first asked for.
var managedBy = map[string]string{
	"acm": "ACM", "dynamodb": "Amazon DynamoDB", "ebs": "EBS", "ecr": "Amazon ECR", "elasticfilesystem": "EFS", "kinesis": "Kinesis",
	"lambda": "AWS Lambda", "rds": "RDS", "s3": "Amazon S3", "secretsmanager": "AWS Secrets Manager", "sns": "Amazon SNS",
	"sqs": "Amazon SQS", "ssm": "SSM",
}

// hosts are the services whose host names differ from their aliases.
var hosts = map[string]string{"ebs": "ec2"}

// managedPolicy lets every principal of the account use the key through the
// service, and look at it ("AWS managed keys", AWS KMS Developer Guide).
func managedPolicy(k *key, title string) string {
	host := k.Service
	if h, ok := hosts[host]; ok {
		host = h
	}
	return fmt.Sprintf(`{
  "Version" : "2012-10-17",
  "Id" : "auto-%[1]s-1",
  "Statement" : [ {
    "Sid" : "Allow access through %[2]s for all principals in the account that are authorized to use %[2]s",
    "Effect" : "Allow",
    "Principal" : { "AWS" : "*" },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : { "StringEquals" : { "kms:CallerAccount" : "%[3]s", "kms:ViaService" : "%[4]s.%[5]s.amazonaws.com" } }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : { "AWS" : "arn:aws:iam::%[3]s:root" },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  } ]
}`, k.Service, title, k.Account, host, k.Region)
}

// ensureManaged makes the AWS managed key that a name stands for, if it is the
// name of one and nobody asked for it before.
func (s *Service) ensureManaged(ctx context.Context, name string) error {
	scope, id, err := place(ctx, name)
	service, predefined := strings.CutPrefix(id, managedPrefix)
	title, known := managedBy[service]
	if err != nil || !predefined || !known || scope != auth.From(ctx).Scope {
		return nil // resolve tells what is wrong
	}
	path := scope.Key() + "/" + id
	err = s.cfg.Store.View(ctx, func(tx store.Tx) error {
		_, err := s.aliases.Get(tx, path)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	now := s.cfg.Now().UTC()
	k := &key{
		ID: newKeyID("", false), Account: scope.Account, Region: scope.Region, Created: now, Service: service,
		Description: "Default key that protects my " + title + " data when no other key is defined",
		Spec:        kms.KeySpecSymmetricDefault, Usage: kms.KeyUsageTypeEncryptDecrypt,
		Rotation: &rotation{Days: defaultRotationDays, Next: now.AddDate(0, 0, defaultRotationDays)},
	}
	k.Policy = managedPolicy(k, title)
	plain, err := generate(k.Spec)
	if err != nil {
		return err
	}
	if err := s.add(k, plain, material{Begun: now}); err != nil {
		return err
	}
	return s.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if _, err := s.aliases.Get(tx, path); !errors.Is(err, store.ErrNotFound) {
			return err // made meanwhile
		}
		return errors.Join(s.keys.Insert(tx, k.path(), k), s.aliases.Insert(tx, path, &alias{Name: id, KeyID: k.ID, Created: now, Updated: now}))
	})
}
