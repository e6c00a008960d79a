package ec2

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/ec2"
	"github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/compute/fake"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/service/ec2"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
	"github.com/slipway/slipway/workflow"
)

// Types that this host's architecture can run.
var micro, small = hostTypes()

func hostTypes() (micro, small string) {
	if runtime.GOARCH == "arm64" {
		return "t4g.micro", "t4g.small"
	}
	return "t3.micro", "t3.small"
}

var scope = arn.Scope{Account: "111111111111", Region: "us-east-1"}

// parameters is what a key pair needs of Parameter Store.
type parameters struct {
	ssm.Unimplemented
	values map[string]string
}

func (p *parameters) PutParameter(_ context.Context, in *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
	if in.Type != "SecureString" {
		return nil, fault.New(fault.ValidationException, "a private key must be a SecureString")
	}
	p.values[in.Name] = in.Value
	return &ssm.PutParameterOutput{}, nil
}

func (p *parameters) DeleteParameter(_ context.Context, in *ssm.DeleteParameterInput) (*ssm.DeleteParameterOutput, error) {
	if _, ok := p.values[in.Name]; !ok {
		return nil, fault.New(fault.ParameterNotFound, "no %s", in.Name)
	}
	delete(p.values, in.Name)
	return &ssm.DeleteParameterOutput{}, nil
}

// profiles is an IAM in which every instance profile exists.
type profiles struct{ iam.Unimplemented }

func (profiles) GetInstanceProfile(_ context.Context, in *iam.GetInstanceProfileInput) (*iam.GetInstanceProfileOutput, error) {
	name := in.InstanceProfileName
	return &iam.GetInstanceProfileOutput{InstanceProfile: &iam.InstanceProfile{
		InstanceProfileName: name, InstanceProfileId: "AIPA" + strings.ToUpper(name), Arn: scope.Global("iam", "instance-profile/"+name).String(),
		Roles: []iam.Role{{Arn: scope.Global("iam", "role/"+name).String()}},
	}}, nil
}

type fixture struct {
	t      *testing.T
	ctx    context.Context
	svc    *ec2.Service
	driver *fake.Driver
	store  store.Store
	params *parameters
	types  cfn.Registry
	steps  int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, store: storetest.New(t), driver: fake.New(fake.Config{}), params: &parameters{values: map[string]string{}}}
	engine := workflow.New(workflow.Config{Store: f.store, Server: "test"})
	f.svc = ec2.New(ec2.Config{Store: f.store, Engine: engine, Driver: f.driver, IAM: profiles{}, Boot: "boot"})
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.svc.Start(t.Context())
	t.Cleanup(func() { f.svc.Stop(); engine.Stop() })
	f.types.Add(Types(f.svc, f.params)...)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(stop)
	f.ctx = auth.With(ctx, auth.Call{Principal: auth.Principal{Kind: auth.Root, Account: scope.Account}, Scope: scope})
	return f
}

// request is a new step of the engine.
func (f *fixture) request(p cfn.Properties) (context.Context, cfn.Request) {
	f.steps++
	token := fmt.Sprintf("step-%d", f.steps)
	return auth.WithToken(f.ctx, token), cfn.Request{
		StackName: "web", LogicalID: "Thing", Token: token, Name: fmt.Sprintf("web-Thing-%d", f.steps), Properties: p,
		Tags: map[string]string{"aws:cloudformation:stack-name": "web"}, Progress: func(string) {}, Initiated: func(string) {},
	}
}

func (f *fixture) kind(name string) cfn.Type {
	f.t.Helper()
	t, ok := f.types.Lookup("AWS::EC2::" + name)
	if !ok {
		f.t.Fatalf("no type %s", name)
	}
	return t
}

// create makes a resource, twice with one token as after a crash.
func (f *fixture) create(kind string, p cfn.Properties) cfn.Result {
	f.t.Helper()
	ctx, r := f.request(p)
	first, err := f.kind(kind).Create(ctx, r)
	if err != nil {
		f.t.Fatalf("create %s: %v", kind, err)
	}
	again, err := f.kind(kind).Create(ctx, r)
	if err != nil || again.PhysicalID != first.PhysicalID {
		f.t.Fatalf("create %s again: %q, %v; want %q", kind, again.PhysicalID, err, first.PhysicalID)
	}
	return again
}

func (f *fixture) update(kind, id string, before, after cfn.Properties) cfn.Result {
	f.t.Helper()
	ctx, r := f.request(after)
	r.PhysicalID, r.Prior = id, before
	for range 2 { // as after a crash
		if _, err := f.kind(kind).Update(ctx, r); err != nil {
			f.t.Fatalf("update %s: %v", kind, err)
		}
	}
	out, err := f.kind(kind).Update(ctx, r)
	if err != nil {
		f.t.Fatalf("update %s: %v", kind, err)
	}
	return out
}

func (f *fixture) delete(kind, id string) {
	f.t.Helper()
	ctx, r := f.request(nil)
	r.PhysicalID = id
	for range 2 {
		if err := f.kind(kind).Delete(ctx, r); err != nil {
			f.t.Fatalf("delete %s: %v", kind, err)
		}
	}
	if _, err := f.kind(kind).Read(ctx, r); !fault.Is(err, cfn.NotFound) {
		f.t.Errorf("%s %s is deleted and reads as %v", kind, id, err)
	}
}

func (f *fixture) read(kind, id string) cfn.Properties {
	f.t.Helper()
	ctx, r := f.request(nil)
	r.PhysicalID = id
	p, err := f.kind(kind).Read(ctx, r)
	if err != nil {
		f.t.Fatalf("read %s: %v", kind, err)
	}
	return p
}

// sound checks that records and host agree.
func (f *fixture) sound() {
	f.t.Helper()
	if err := f.store.View(f.ctx, func(tx store.Tx) error { return ec2.CheckInvariants(f.ctx, tx, f.driver) }); err != nil {
		f.t.Error(err)
	}
}

func (f *fixture) describe(id string) api.Instance {
	f.t.Helper()
	out, err := f.svc.DescribeInstances(f.ctx, &api.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		f.t.Fatal(err)
	}
	return out.Reservations[0].Instances[0]
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func instance(more cfn.Properties) cfn.Properties {
	p := cfn.Properties{"ImageId": ec2.BuiltinImage(scope), "InstanceType": micro}
	for k, v := range more {
		p[k] = v
	}
	return p
}

func TestInstance(t *testing.T) {
	f := newFixture(t)
	group := f.create("SecurityGroup", cfn.Properties{"GroupDescription": "web"})
	before := instance(cfn.Properties{
		"AvailabilityZone": "us-east-1b", "UserData": base64Of("#!/bin/sh"), "IamInstanceProfile": "web",
		"SecurityGroupIds": []any{group.PhysicalID}, "Tags": []any{map[string]any{"Key": "Name", "Value": "one"}},
	})
	made := f.create("Instance", before)
	i := f.describe(made.PhysicalID)
	if i.State.Name != "running" || i.SecurityGroups[0].GroupId != group.Attributes["GroupId"] || len(i.Tags) != 2 {
		t.Errorf("made %+v", i)
	}
	for name, want := range map[string]any{
		"PrivateIp": i.PrivateIpAddress, "PublicIp": i.PublicIpAddress, "PrivateDnsName": i.PrivateDnsName, "PublicDnsName": i.PublicDnsName,
		"AvailabilityZone": "us-east-1b", "VpcId": i.VpcId, "InstanceId": i.InstanceId,
	} {
		if got := made.Attributes[name]; got != want || want == "" {
			t.Errorf("attribute %s is %v, want %v", name, got, want)
		}
	}
	if p := f.read("Instance", made.PhysicalID); p["UserData"] != before["UserData"] || p["IamInstanceProfile"] != "web" || len(p["Tags"].([]any)) != 1 {
		t.Errorf("read %v", p)
	}
	after := instance(cfn.Properties{
		"AvailabilityZone": "us-east-1b", "InstanceType": small, "UserData": base64Of("#!/bin/sh\n:"), "IamInstanceProfile": "other",
		"DisableApiTermination": true, "Tags": []any{map[string]any{"Key": "Name", "Value": "two"}},
	})
	f.update("Instance", made.PhysicalID, before, after)
	i = f.describe(made.PhysicalID)
	if i.State.Name != "running" || i.InstanceType != small || i.SecurityGroups[0].GroupName != "default" ||
		!strings.HasSuffix(i.IamInstanceProfile.Arn, "/other") || i.Tags[0].Value != "two" {
		t.Errorf("updated to %+v", i)
	}
	f.sound()
	ctx, r := f.request(nil)
	r.PhysicalID = made.PhysicalID
	if err := f.kind("Instance").Delete(ctx, r); !fault.Is(err, fault.OperationNotPermitted) {
		t.Errorf("deleting a protected instance: %v", err)
	}
	open := instance(cfn.Properties{"AvailabilityZone": "us-east-1b", "InstanceType": small, "UserData": after["UserData"]})
	f.update("Instance", made.PhysicalID, after, open)
	if i := f.describe(made.PhysicalID); i.IamInstanceProfile != nil {
		t.Errorf("the profile is still %v", i.IamInstanceProfile)
	}
	ids, err := f.kind("Instance").List(f.ctx)
	if err != nil || len(ids) != 1 || ids[0] != made.PhysicalID {
		t.Errorf("listed %v, %v", ids, err)
	}
	f.delete("Instance", made.PhysicalID)
	f.delete("SecurityGroup", group.PhysicalID)
	f.sound()
}

func TestInstanceRefusesWhatIsNotBuilt(t *testing.T) {
	f := newFixture(t)
	for name, v := range map[string]any{
		"Volumes":         []any{map[string]any{"VolumeId": "vol-1", "Device": "/dev/sdf"}},
		"SsmAssociations": []any{map[string]any{"DocumentName": "x"}}, "Monitoring": true, "Tenancy": "dedicated", "CpuOptions": map[string]any{},
	} {
		ctx, r := f.request(instance(cfn.Properties{name: v}))
		_, err := f.kind("Instance").Create(ctx, r)
		if !fault.Is(err, fault.NotImplemented) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if ids, err := f.kind("Instance").List(f.ctx); err != nil || len(ids) != 0 {
		t.Errorf("left %v, %v", ids, err)
	}
}

func TestInstanceReplacement(t *testing.T) {
	replaces := instanceType(nil).Replaces
	for name, want := range map[string]bool{"InstanceType": false, "UserData": false, "SecurityGroupIds": false, "BlockDeviceMappings": true, "Tenancy": true} {
		if got := replaces(name, nil, nil); got != want {
			t.Errorf("Replaces(%s) = %t", name, got)
		}
	}
}

func TestSecurityGroup(t *testing.T) {
	f := newFixture(t)
	web := map[string]any{"IpProtocol": "tcp", "FromPort": int64(80), "ToPort": int64(80), "CidrIp": "0.0.0.0/0"}
	described := map[string]any{"IpProtocol": "tcp", "FromPort": int64(80), "ToPort": int64(80), "CidrIp": "0.0.0.0/0", "Description": "web"}
	ssh := map[string]any{"IpProtocol": "tcp", "FromPort": int64(22), "ToPort": int64(22), "CidrIp": "10.0.0.0/8"}
	before := cfn.Properties{"GroupDescription": "web", "SecurityGroupIngress": []any{web, ssh}}
	made := f.create("SecurityGroup", before)
	if made.PhysicalID != "web-Thing-1" {
		t.Errorf("a group in no VPC of the template's is %q; AWS names it by its name", made.PhysicalID)
	}
	id := made.Attributes["GroupId"].(string)
	standing := f.create("SecurityGroupIngress", cfn.Properties{"GroupId": id, "IpProtocol": "tcp", "FromPort": int64(443), "ToPort": int64(443), "SourceSecurityGroupId": id})
	if p := f.read("SecurityGroupIngress", standing.PhysicalID); p["SourceSecurityGroupId"] != id || p["FromPort"] != int64(443) {
		t.Errorf("read %v", p)
	}
	out := map[string]any{"IpProtocol": "udp", "FromPort": int64(53), "ToPort": int64(53), "CidrIp": "10.0.0.0/8"}
	after := cfn.Properties{"GroupDescription": "web", "SecurityGroupIngress": []any{described}, "SecurityGroupEgress": []any{out}, "Tags": []any{map[string]any{"Key": "a", "Value": "b"}}}
	f.update("SecurityGroup", made.PhysicalID, before, after)
	p := f.read("SecurityGroup", made.PhysicalID)
	in, eg := p["SecurityGroupIngress"].([]any), p["SecurityGroupEgress"].([]any)
	if len(in) != 2 || in[0].(map[string]any)["Description"] != "web" || len(eg) != 1 || eg[0].(map[string]any)["IpProtocol"] != "udp" {
		t.Errorf("updated to %v, %v", in, eg)
	}
	f.update("SecurityGroup", made.PhysicalID, after, before)
	if eg := f.read("SecurityGroup", made.PhysicalID)["SecurityGroupEgress"].([]any); eg[0].(map[string]any)["IpProtocol"] != "-1" {
		t.Errorf("egress is back to %v", eg)
	}
	egress := f.create("SecurityGroupEgress", cfn.Properties{"GroupId": id, "IpProtocol": "-1", "DestinationSecurityGroupId": id})
	f.delete("SecurityGroupEgress", egress.PhysicalID)
	f.delete("SecurityGroupIngress", standing.PhysicalID)
	f.delete("SecurityGroup", made.PhysicalID)

	vpcs, err := f.svc.DescribeVpcs(f.ctx, &api.DescribeVpcsInput{})
	if err != nil {
		t.Fatal(err)
	}
	inVPC := f.create("SecurityGroup", cfn.Properties{"GroupDescription": "web", "VpcId": vpcs.Vpcs[0].VpcId})
	if !strings.HasPrefix(inVPC.PhysicalID, "sg-") {
		t.Errorf("a group in the template's VPC is %q", inVPC.PhysicalID)
	}
	f.delete("SecurityGroup", inVPC.PhysicalID)
}

func TestEIP(t *testing.T) {
	f := newFixture(t)
	one, two := f.create("Instance", instance(nil)).PhysicalID, f.create("Instance", instance(nil)).PhysicalID
	before := cfn.Properties{"Domain": "vpc", "InstanceId": one}
	made := f.create("EIP", before)
	ip := netip.MustParseAddr(made.PhysicalID)
	if f.driver.Holder(ip) != one || made.Attributes["PublicIp"] != made.PhysicalID || !strings.HasPrefix(made.Attributes["AllocationId"].(string), "eipalloc-") {
		t.Errorf("made %+v on %q", made, f.driver.Holder(ip))
	}
	after := cfn.Properties{"Domain": "vpc", "InstanceId": two}
	f.update("EIP", made.PhysicalID, before, after)
	if f.driver.Holder(ip) != two {
		t.Errorf("moved to %q", f.driver.Holder(ip))
	}
	f.update("EIP", made.PhysicalID, after, cfn.Properties{"Domain": "vpc"})
	if f.driver.Holder(ip) != "" {
		t.Errorf("still on %q", f.driver.Holder(ip))
	}
	association := f.create("EIPAssociation", cfn.Properties{"AllocationId": made.Attributes["AllocationId"], "InstanceId": one})
	if p := f.read("EIPAssociation", association.PhysicalID); p["InstanceId"] != one || f.driver.Holder(ip) != one {
		t.Errorf("associated: %v", p)
	}
	f.sound()
	f.delete("EIPAssociation", association.PhysicalID)
	f.delete("EIP", made.PhysicalID)
	f.sound()
}

func TestKeyPair(t *testing.T) {
	f := newFixture(t)
	made := f.create("KeyPair", cfn.Properties{"KeyName": "main", "KeyType": "ed25519"})
	name := "/ec2/keypair/" + made.Attributes["KeyPairId"].(string)
	if made.PhysicalID != "main" || !strings.HasPrefix(f.params.values[name], "-----BEGIN OPENSSH PRIVATE KEY-----") || len(f.params.values) != 1 {
		t.Errorf("made %+v with parameters %d", made, len(f.params.values))
	}
	p := f.read("KeyPair", "main")
	if p["KeyFingerprint"] != made.Attributes["KeyFingerprint"] {
		t.Errorf("read %v, made %v", p, made.Attributes)
	}
	public := p["PublicKeyMaterial"].(string)
	f.delete("KeyPair", "main")
	if len(f.params.values) != 0 {
		t.Errorf("a private key is left in Parameter Store")
	}
	imported := f.create("KeyPair", cfn.Properties{"KeyName": "mine", "PublicKeyMaterial": public})
	if imported.Attributes["KeyFingerprint"] != made.Attributes["KeyFingerprint"] || len(f.params.values) != 0 {
		t.Errorf("imported %+v", imported)
	}
	f.delete("KeyPair", "mine")
}
