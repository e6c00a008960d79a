package conformance

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// The SDK checks the MD5 of every message that it sends and receives.
func TestQueues(t *testing.T) {
	ctx := context.Background()
	client := sqs.NewFromConfig(configured(t))
	queue := ok(client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("work")}))(t).QueueUrl
	batch := &sqs.SendMessageBatchInput{QueueUrl: queue}
	for i := range 10 {
		batch.Entries = append(batch.Entries, sqstypes.SendMessageBatchRequestEntry{
			Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(fmt.Sprintf("message %d", i)),
			MessageAttributes: map[string]sqstypes.MessageAttributeValue{"n": {DataType: aws.String("Number"), StringValue: aws.String(fmt.Sprint(i))}},
		})
	}
	if sent := ok(client.SendMessageBatch(ctx, batch))(t); len(sent.Successful) != 10 {
		t.Fatalf("%d sent", len(sent.Successful))
	}
	seen := map[string]bool{}
	for len(seen) < 10 {
		got := ok(client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 2, MessageAttributeNames: []string{"All"}}))(t)
		if len(got.Messages) == 0 {
			t.Fatalf("only %d messages came", len(seen))
		}
		for _, m := range got.Messages {
			seen[*m.Body] = *m.MessageAttributes["n"].StringValue != ""
			ok(client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: m.ReceiptHandle}))(t)
		}
	}
	_, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("none")})
	typed[*sqstypes.QueueDoesNotExist](t, err)
	_, err = client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: aws.String("bad")})
	typed[*sqstypes.ReceiptHandleIsInvalid](t, err)
}

func TestParameters(t *testing.T) {
	ctx := context.Background()
	client := ssm.NewFromConfig(configured(t))
	for i := range 12 {
		ok(client.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String(fmt.Sprintf("/app/%02d", i)), Value: aws.String("secret"), Type: ssmtypes.ParameterTypeSecureString}))(t)
	}
	found := 0
	pages := ssm.NewGetParametersByPathPaginator(client, &ssm.GetParametersByPathInput{Path: aws.String("/app"), WithDecryption: aws.Bool(true), MaxResults: aws.Int32(5)})
	for pages.HasMorePages() {
		for _, p := range ok(pages.NextPage(ctx))(t).Parameters {
			if found++; *p.Value != "secret" {
				t.Errorf("%s is %s", *p.Name, *p.Value)
			}
		}
	}
	if found != 12 {
		t.Errorf("%d parameters", found)
	}
	_, err := client.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/app/00"), Value: aws.String("x"), Type: ssmtypes.ParameterTypeSecureString})
	typed[*ssmtypes.ParameterAlreadyExists](t, err)
	_, err = client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/app/99")})
	typed[*ssmtypes.ParameterNotFound](t, err)
}

func TestKeys(t *testing.T) {
	ctx := context.Background()
	client := kms.NewFromConfig(configured(t))
	key := ok(client.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("for a test")}))(t).KeyMetadata.KeyId
	ok(client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/test"), TargetKeyId: key}))(t)
	bound := map[string]string{"purpose": "test"}
	sealed := ok(client.Encrypt(ctx, &kms.EncryptInput{KeyId: aws.String("alias/test"), Plaintext: []byte("open sesame"), EncryptionContext: bound}))(t)
	opened := ok(client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: bound}))(t)
	if !bytes.Equal(opened.Plaintext, []byte("open sesame")) {
		t.Errorf("%q", opened.Plaintext)
	}
	_, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	typed[*kmstypes.InvalidCiphertextException](t, err)
	ok(client.DisableKey(ctx, &kms.DisableKeyInput{KeyId: key}))(t)
	_, err = client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: key, KeySpec: kmstypes.DataKeySpecAes256})
	typed[*kmstypes.DisabledException](t, err)
	_, err = client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/none")})
	typed[*kmstypes.NotFoundException](t, err)
}
