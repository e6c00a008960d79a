package corpus

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// kept are resources of many types, as somebody may have made them by hand.
const kept = `
Resources:
  Queue: {Type: AWS::SQS::Queue, DeletionPolicy: Retain, Properties: {QueueName: generated, DelaySeconds: 7, Tags: [{Key: team, Value: web}]}}
  Dead: {Type: AWS::SQS::Queue, DeletionPolicy: Retain, Properties: {QueueName: generated.fifo, FifoQueue: true}}
  Bucket: {Type: AWS::S3::Bucket, DeletionPolicy: Retain, Properties: {BucketName: generated-bucket, VersioningConfiguration: {Status: Enabled}}}
  Parameter: {Type: AWS::SSM::Parameter, DeletionPolicy: Retain, Properties: {Name: /generated, Type: String, Value: '42'}}
  Role:
    Type: AWS::IAM::Role
    DeletionPolicy: Retain
    Properties:
      RoleName: generated
      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: 'sts:AssumeRole'}]}
  Profile: {Type: AWS::IAM::InstanceProfile, DeletionPolicy: Retain, Properties: {InstanceProfileName: generated, Roles: [!Ref Role]}}
  Policy:
    Type: AWS::IAM::ManagedPolicy
    DeletionPolicy: Retain
    Properties:
      ManagedPolicyName: generated
      PolicyDocument: {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: '*'}]}
      Roles: [!Ref Role]
  Key: {Type: AWS::KMS::Key, DeletionPolicy: Retain, Properties: {Description: generated}}
  Alias: {Type: AWS::KMS::Alias, DeletionPolicy: Retain, Properties: {AliasName: alias/generated, TargetKeyId: !Ref Key}}
  Secret: {Type: AWS::SecretsManager::Secret, DeletionPolicy: Retain, Properties: {Name: generated, SecretString: hush}}
  Vpc: {Type: AWS::EC2::VPC, DeletionPolicy: Retain, Properties: {CidrBlock: 10.77.0.0/16}}
  Subnet: {Type: AWS::EC2::Subnet, DeletionPolicy: Retain, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.77.1.0/24}}
  Logs: {Type: AWS::Logs::LogGroup, DeletionPolicy: Retain, Properties: {LogGroupName: /generated, RetentionInDays: 7}}
`

// What was made by hand is scanned, written down as a template and imported by it: a
// stack has it then, and is in sync.
func TestGenerate(t *testing.T) {
	d := &deployment{T: t, stack: "made", client: &client{endpoint: start(t), account: "222222222222", http: &http.Client{Timeout: time.Minute}}}
	defer d.http.CloseIdleConnections()
	d.stack = d.must(d.call("CreateStack", "TemplateBody", kept, "Capabilities.member.1", "CAPABILITY_NAMED_IAM")).text("StackId")
	d.reaches("CREATE_COMPLETE")
	ids := map[string]string{}
	for _, r := range d.must(d.call("DescribeStackResources")).all("StackResources/member") {
		ids[r.text("ResourceType")+" "+r.text("PhysicalResourceId")] = r.text("LogicalResourceId")
	}
	d.must(d.call("DeleteStack"))
	d.reaches("DELETE_COMPLETE")

	scan := d.must(d.query("cloudformation", "StartResourceScan")).text("ResourceScanId")
	d.awaits(func() string {
		return d.must(d.query("cloudformation", "DescribeResourceScan", "ResourceScanId", scan)).text("Status")
	}, "COMPLETE")
	var define, targets []string
	n := 0
	for _, r := range d.must(d.query("cloudformation", "ListResourceScanResources", "ResourceScanId", scan)).all("Resources/member") {
		kind, identifier := r.text("ResourceType"), map[string]string{}
		for _, e := range r.all("ResourceIdentifier/entry") {
			identifier[e.text("key")] = e.text("value")
		}
		logical := ""
		for key, id := range ids {
			if k, physical, _ := strings.Cut(key, " "); k == kind && slices.Contains(slices.Collect(maps.Values(identifier)), physical) {
				logical = id
				delete(ids, key)
			}
		}
		if logical == "" {
			continue // the account's own
		}
		n++
		at := fmt.Sprintf(".member.%d.", n)
		define = append(define, "Resources"+at+"ResourceType", kind, "Resources"+at+"LogicalResourceId", logical)
		targets = append(targets, "ResourcesToImport"+at+"ResourceType", kind, "ResourcesToImport"+at+"LogicalResourceId", logical)
		for i, key := range slices.Sorted(maps.Keys(identifier)) {
			entry := fmt.Sprintf("ResourceIdentifier.entry.%d.", i+1)
			define = append(define, "Resources"+at+entry+"key", key, "Resources"+at+entry+"value", identifier[key])
			targets = append(targets, "ResourcesToImport"+at+entry+"key", key, "ResourcesToImport"+at+entry+"value", identifier[key])
		}
	}
	if len(ids) > 0 {
		t.Fatalf("the scan has not found %v", ids)
	}
	d.must(d.query("cloudformation", "CreateGeneratedTemplate", append([]string{"GeneratedTemplateName", "g"}, define...)...))
	d.awaits(func() string {
		return d.must(d.query("cloudformation", "DescribeGeneratedTemplate", "GeneratedTemplateName", "g")).text("Status")
	}, "COMPLETE")
	body := d.must(d.query("cloudformation", "GetGeneratedTemplate", "GeneratedTemplateName", "g", "Format", "YAML")).text("TemplateBody")
	for _, reference := range []string{"VpcId:\n        Ref: Vpc", "Roles:\n        - Ref: Role"} {
		if !strings.Contains(body, reference) {
			t.Errorf("the template does not say %q:\n%s", reference, body)
		}
	}
	d.stack = "again"
	change := append([]string{"ChangeSetName", "import", "ChangeSetType", "IMPORT", "TemplateBody", body, "Capabilities.member.1", "CAPABILITY_NAMED_IAM"}, targets...)
	d.stack = d.must(d.call("CreateChangeSet", change...)).text("StackId")
	d.must(d.call("ExecuteChangeSet", "ChangeSetName", "import"))
	d.reaches("IMPORT_COMPLETE")
	d.inSync()
}

// awaits repeats fn until it gives the status, or another that does not go on.
func (d *deployment) awaits(fn func() string, want string) {
	d.Helper()
	status := ""
	if !d.wait(func() bool { status = fn(); return !strings.HasSuffix(status, "IN_PROGRESS") }) || status != want {
		d.Fatalf("the status is %s, want %s", status, want)
	}
}
