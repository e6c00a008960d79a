// AWS's SDK for JavaScript against Slipway. Go's TestJavaScript runs it with the
// endpoint and the credentials in the environment.
import assert from "node:assert/strict";
import { test } from "node:test";

import { CloudFormationClient, CreateStackCommand, DeleteStackCommand, DescribeStacksCommand, waitUntilStackCreateComplete, waitUntilStackDeleteComplete } from "@aws-sdk/client-cloudformation";
import { DescribeImagesCommand, EC2Client, paginateDescribeInstanceTypes, RunInstancesCommand } from "@aws-sdk/client-ec2";
import { AttachUserPolicyCommand, CreateAccessKeyCommand, CreateRoleCommand, CreateUserCommand, GetRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { CreateBucketCommand, DeleteBucketCommand, DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { CreateQueueCommand, DeleteMessageCommand, GetQueueUrlCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { GetParameterCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Upload } from "@aws-sdk/lib-storage";

const trust = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: "000000000000" }, Action: "sts:AssumeRole" }],
});

test("identity", async () => {
  const sts = new STSClient();
  assert.equal((await sts.send(new GetCallerIdentityCommand())).Arn, "arn:aws:iam::000000000000:root");
  const iam = new IAMClient();
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName: "script", AssumeRolePolicyDocument: trust }));
  assert.ok(Role.CreateDate instanceof Date);
  const assume = new AssumeRoleCommand({ RoleArn: Role.Arn, RoleSessionName: "script" });
  await assert.rejects(sts.send(assume), { name: "AccessDenied" }); // root assumes none
  await iam.send(new CreateUserCommand({ UserName: "script" }));
  await iam.send(new AttachUserPolicyCommand({ UserName: "script", PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" }));
  const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName: "script" }));
  const user = new STSClient({ credentials: { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey } });
  const { Credentials: c } = await user.send(assume);
  const credentials = { accessKeyId: c.AccessKeyId, secretAccessKey: c.SecretAccessKey, sessionToken: c.SessionToken };
  await assert.rejects(new IAMClient({ credentials }).send(new GetRoleCommand({ RoleName: "script" })), { name: "AccessDenied" });
  await assert.rejects(iam.send(new GetRoleCommand({ RoleName: "none" })), { name: "NoSuchEntityException" });
});

test("objects", async () => {
  const s3 = new S3Client({ forcePathStyle: true });
  const Bucket = "script-objects";
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "hello", Metadata: { colour: "blue" } }));
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "a" }));
  assert.equal(await got.Body.transformToString(), "hello");
  assert.equal(got.Metadata.colour, "blue");
  const large = Buffer.alloc(11 << 20, "slipway ");
  await new Upload({ client: s3, params: { Bucket, Key: "large", Body: large } }).done();
  assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key: "large" }))).ContentLength, large.length);
  const back = await (await s3.send(new GetObjectCommand({ Bucket, Key: "large" }))).Body.transformToByteArray();
  assert.ok(large.equals(back));
  await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: "none" })), { name: "NoSuchKey" });
  const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
  assert.deepEqual(Contents.map((o) => o.Key), ["a", "large"]);
  for (const { Key } of Contents) await s3.send(new DeleteObjectCommand({ Bucket, Key }));
  await s3.send(new DeleteBucketCommand({ Bucket }));
});

test("queues", async () => {
  const sqs = new SQSClient();
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "script.fifo", Attributes: { FifoQueue: "true" } }));
  for (const n of ["1", "2", "3"]) {
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: n, MessageGroupId: "g", MessageDeduplicationId: n }));
  }
  const seen = [];
  while (seen.length < 3) {
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 2 }));
    assert.ok(Messages?.length);
    for (const m of Messages) {
      seen.push(m.Body);
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: m.ReceiptHandle }));
    }
  }
  assert.deepEqual(seen, ["1", "2", "3"]);
  await assert.rejects(sqs.send(new GetQueueUrlCommand({ QueueName: "none" })), { name: "QueueDoesNotExist" });
});

test("parameters and keys", async () => {
  const ssm = new SSMClient();
  await ssm.send(new PutParameterCommand({ Name: "/script/p", Type: "SecureString", Value: "v" }));
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name: "/script/p", WithDecryption: true }));
  assert.equal(Parameter.Value, "v");
  const kms = new KMSClient();
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: KeyMetadata.KeyId, Plaintext: Buffer.from("open") }));
  const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob }));
  assert.equal(Buffer.from(Plaintext).toString(), "open");
});

test("instances and stacks", async () => {
  const ec2 = new EC2Client();
  const { Images } = await ec2.send(new DescribeImagesCommand({ Owners: ["amazon"] }));
  await assert.rejects(ec2.send(new RunInstancesCommand({ ImageId: Images[0].ImageId, MinCount: 1, MaxCount: 1, DryRun: true })), { name: "DryRunOperation" });
  let types = 0;
  for await (const page of paginateDescribeInstanceTypes({ client: ec2, pageSize: 5 }, {})) types += page.InstanceTypes.length;
  assert.ok(types > 5);
  const client = new CloudFormationClient();
  const StackName = "script";
  await client.send(new CreateStackCommand({ StackName, TemplateBody: JSON.stringify({ Resources: { Q: { Type: "AWS::SQS::Queue" } } }) }));
  await waitUntilStackCreateComplete({ client, maxWaitTime: 120, minDelay: 1, maxDelay: 1 }, { StackName });
  const { Stacks } = await client.send(new DescribeStacksCommand({ StackName }));
  assert.equal(Stacks[0].StackStatus, "CREATE_COMPLETE");
  await client.send(new DeleteStackCommand({ StackName }));
  await waitUntilStackDeleteComplete({ client, maxWaitTime: 120, minDelay: 1, maxDelay: 1 }, { StackName: Stacks[0].StackId });
});
