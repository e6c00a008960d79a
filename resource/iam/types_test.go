package iam

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
)

// life takes a resource through its life, each step twice, as after a crash.
// Reads are compared but for the properties that the service makes up.
type life struct {
	typeName   string
	first      cfn.Properties
	next       cfn.Properties // nil: no update
	madeUp     []string       // properties that are there, whatever they are
	writeOnly  []string       // of first and next: not read
	defaults   cfn.Properties // read where the template says nothing
	unlistable bool
}

const resourceName = "stack-Web-ABCDEF123456"

func (l life) run(t *testing.T, lookup func(string) cfn.Type) {
	t.Helper()
	typ := lookup(l.typeName)
	twice := func(what string, fn func() error) {
		t.Helper()
		for range 2 {
			if err := fn(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	var made cfn.Result
	twice("create", func() error {
		again, err := typ.Create(as(t, "create"), request("create", "", l.first, nil))
		if err == nil && made.PhysicalID != "" && cmp.Diff(made, again) != "" {
			t.Errorf("the repeated step made %+v, the first %+v", again, made)
		}
		made = again
		return err
	})
	l.reads(t, typ, made.PhysicalID, l.first)
	props := l.first
	if l.next != nil {
		props = l.next
		twice("update", func() error {
			out, err := typ.Update(as(t, "update"), request("update", made.PhysicalID, l.next, l.first))
			if out.PhysicalID != made.PhysicalID {
				t.Errorf("the update made %s of %s", out.PhysicalID, made.PhysicalID)
			}
			return err
		})
		l.reads(t, typ, made.PhysicalID, l.next)
	}
	if !l.unlistable {
		if ids, err := typ.List(as(t, "")); err != nil || len(ids) != 1 || ids[0] != made.PhysicalID {
			t.Errorf("listed %v, %v", ids, err)
		}
	}
	twice("delete", func() error { return typ.Delete(as(t, "delete"), request("delete", made.PhysicalID, props, nil)) })
	if _, err := typ.Read(as(t, ""), request("", made.PhysicalID, props, nil)); !fault.Is(err, cfn.NotFound) {
		t.Errorf("read after delete: %v", err)
	}
	unknown := cfn.Properties{"Invented": "x"}
	for k, v := range props {
		unknown[k] = v
	}
	if _, err := typ.Create(as(t, "unknown"), request("unknown", "", unknown, nil)); !fault.Is(err, fault.NotImplemented) || !strings.Contains(err.Error(), "Invented") {
		t.Errorf("created with an unknown property: %v", err)
	}
}

func (l life) reads(t *testing.T, typ cfn.Type, id string, props cfn.Properties) {
	t.Helper()
	got, err := typ.Read(as(t, ""), request("", id, props, nil))
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	want := cfn.Properties{}
	for _, from := range []cfn.Properties{l.defaults, props} {
		for k, v := range from {
			want[k] = v
		}
	}
	for _, name := range l.writeOnly {
		if _, there := got[name]; there {
			t.Errorf("%s is read", name)
		}
		delete(want, name)
	}
	for _, name := range l.madeUp {
		if got[name] == nil || got[name] == "" {
			t.Errorf("read no %s", name)
		}
		delete(got, name)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// settled makes what the resources of the tests stand on.
func settled(t *testing.T) (api.Service, func(string) cfn.Type) {
	t.Helper()
	svc, lookup := newTypes(t)
	for _, err := range []error{
		second(svc.CreateGroup(as(t, ""), &api.CreateGroupInput{GroupName: "g"})),
		second(svc.CreateGroup(as(t, ""), &api.CreateGroupInput{GroupName: "h"})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return svc, lookup
}

func second[T any](_ T, err error) error { return err }

func inline(name, action string) map[string]any {
	return map[string]any{"PolicyName": name, "PolicyDocument": document(nil, action)}
}

func TestUserLife(t *testing.T) {
	svc, lookup := settled(t)
	login := map[string]any{"Password": "Correct-Horse-1", "PasswordResetRequired": true}
	life{
		typeName: "AWS::IAM::User",
		first: cfn.Properties{
			"Path": "/team/", "Groups": []any{"g"}, "ManagedPolicyArns": []any{core}, "Policies": []any{inline("p", "sqs:*")},
			"LoginProfile": login, "PermissionsBoundary": core, "Tags": []any{map[string]any{"Key": "k", "Value": "v"}},
		},
		next:     cfn.Properties{"Path": "/", "Groups": []any{"h"}, "Policies": []any{inline("q", "s3:*")}, "LoginProfile": map[string]any{"Password": "Correct-Horse-2"}},
		madeUp:   []string{"Arn"},
		defaults: cfn.Properties{"UserName": resourceName}, writeOnly: []string{"LoginProfile"},
	}.run(t, lookup)
	if _, err := svc.GetUser(as(t, ""), &api.GetUserInput{UserName: resourceName}); !fault.Is(err, fault.NoSuchEntity) {
		t.Errorf("the user is there still: %v", err)
	}
}

func TestGroupLife(t *testing.T) {
	_, lookup := newTypes(t)
	life{
		typeName: "AWS::IAM::Group",
		first:    cfn.Properties{"Path": "/a/", "ManagedPolicyArns": []any{core}, "Policies": []any{inline("p", "sqs:*")}},
		next:     cfn.Properties{"Path": "/b/", "Policies": []any{inline("p", "s3:*")}},
		madeUp:   []string{"Arn"}, defaults: cfn.Properties{"GroupName": resourceName},
	}.run(t, lookup)
}

func TestManagedPolicyLife(t *testing.T) {
	svc, lookup := settled(t)
	attributes := []string{"PolicyArn", "PolicyId", "DefaultVersionId", "IsAttachable", "CreateDate", "UpdateDate"}
	l := life{
		typeName: "AWS::IAM::ManagedPolicy",
		first:    cfn.Properties{"Description": "d", "Path": "/p/", "PolicyDocument": document(nil, "sqs:*"), "Groups": []any{"g"}},
		next:     cfn.Properties{"Description": "d", "Path": "/p/", "PolicyDocument": document(nil, "s3:*"), "Groups": []any{"h"}},
		madeUp:   attributes,
		defaults: cfn.Properties{"ManagedPolicyName": resourceName, "AttachmentCount": int64(1), "PermissionsBoundaryUsageCount": int64(0)},
	}
	typ := lookup(l.typeName)
	// Updates go on where a policy has as many versions as it may.
	made, err := typ.Create(as(t, "c"), request("c", "", l.first, nil))
	if err != nil {
		t.Fatal(err)
	}
	prior := l.first
	for _, action := range []string{"a:*", "b:*", "c:*", "d:*", "e:*", "f:*"} {
		next := cfn.Properties{"Description": "d", "Path": "/p/", "PolicyDocument": document(nil, action), "Groups": []any{"g"}}
		if _, err := typ.Update(as(t, action), request(action, made.PhysicalID, next, prior)); err != nil {
			t.Fatal(err)
		}
		l.reads(t, typ, made.PhysicalID, next)
		prior = next
	}
	versions, err := svc.ListPolicyVersions(as(t, ""), &api.ListPolicyVersionsInput{PolicyArn: made.PhysicalID})
	if err != nil || len(versions.Versions) != 5 || versions.Versions[0].VersionId != "v7" || !*versions.Versions[0].IsDefaultVersion {
		t.Errorf("%+v, %v", versions, err)
	}
	if err := typ.Delete(as(t, "d"), request("d", made.PhysicalID, prior, nil)); err != nil {
		t.Fatal(err)
	}
	l.run(t, lookup)
}

func TestInlinePolicyLives(t *testing.T) {
	svc, lookup := settled(t)
	if _, err := svc.CreateUser(as(t, ""), &api.CreateUserInput{UserName: "u"}); err != nil {
		t.Fatal(err)
	}
	if _, err := lookup("AWS::IAM::Role").Create(as(t, "r"), request("r", "", cfn.Properties{"RoleName": "r", "AssumeRolePolicyDocument": trust}, nil)); err != nil {
		t.Fatal(err)
	}
	for typeName, owner := range map[string][2]string{
		"AWS::IAM::RolePolicy": {"RoleName", "r"}, "AWS::IAM::UserPolicy": {"UserName", "u"}, "AWS::IAM::GroupPolicy": {"GroupName", "g"},
	} {
		t.Run(typeName, func(t *testing.T) {
			life{
				typeName:   typeName,
				first:      cfn.Properties{"PolicyName": "p", owner[0]: owner[1], "PolicyDocument": document(nil, "sqs:*")},
				next:       cfn.Properties{"PolicyName": "p", owner[0]: owner[1], "PolicyDocument": document(nil, "s3:*")},
				unlistable: true,
			}.run(t, lookup)
		})
	}
}

func TestMembershipLife(t *testing.T) {
	svc, lookup := settled(t)
	for _, n := range []string{"a", "b", "c"} {
		if _, err := svc.CreateUser(as(t, ""), &api.CreateUserInput{UserName: n}); err != nil {
			t.Fatal(err)
		}
	}
	life{
		typeName: "AWS::IAM::UserToGroupAddition",
		first:    cfn.Properties{"GroupName": "g", "Users": []any{"a", "b"}}, next: cfn.Properties{"GroupName": "h", "Users": []any{"b", "c"}},
		madeUp: []string{"Id"}, unlistable: true,
	}.run(t, lookup)
	for _, g := range []string{"g", "h"} {
		out, err := svc.GetGroup(as(t, ""), &api.GetGroupInput{GroupName: g})
		if err != nil || len(out.Users) != 0 {
			t.Errorf("%s keeps %+v, %v", g, out, err)
		}
	}
}

func TestAccessKeyLife(t *testing.T) {
	svc, lookup := newTypes(t)
	if _, err := svc.CreateUser(as(t, ""), &api.CreateUserInput{UserName: "u"}); err != nil {
		t.Fatal(err)
	}
	life{
		typeName: "AWS::IAM::AccessKey",
		first:    cfn.Properties{"UserName": "u", "Serial": int64(1)}, next: cfn.Properties{"UserName": "u", "Serial": int64(1), "Status": "Inactive"},
		defaults: cfn.Properties{"Status": "Active"}, madeUp: []string{"Id"},
	}.run(t, lookup)
	typ := lookup("AWS::IAM::AccessKey")
	made, err := typ.Create(as(t, "c"), request("c", "", cfn.Properties{"UserName": "u", "Status": "Inactive"}, nil))
	if err != nil || len(made.Attributes["SecretAccessKey"].(string)) != 40 || made.Attributes["Id"] != made.PhysicalID {
		t.Fatalf("%+v, %v", made, err)
	}
	keys, err := svc.ListAccessKeys(as(t, ""), &api.ListAccessKeysInput{UserName: "u"})
	if err != nil || len(keys.AccessKeyMetadata) != 1 || keys.AccessKeyMetadata[0].Status != "Inactive" {
		t.Errorf("%+v, %v", keys, err)
	}
}

func TestServiceLinkedRoleLife(t *testing.T) {
	_, lookup := newTypes(t)
	life{
		typeName: "AWS::IAM::ServiceLinkedRole",
		first:    cfn.Properties{"AWSServiceName": "autoscaling.amazonaws.com", "CustomSuffix": "web", "Description": "d"},
		next:     cfn.Properties{"AWSServiceName": "autoscaling.amazonaws.com", "CustomSuffix": "web"},
		defaults: cfn.Properties{"RoleName": "AWSServiceRoleForAutoScaling_web"}, writeOnly: []string{"AWSServiceName", "CustomSuffix"},
	}.run(t, lookup)
}

func TestOIDCProviderLife(t *testing.T) {
	_, lookup := newTypes(t)
	thumb := func(c string) []any { return []any{strings.Repeat(c, 40)} }
	life{
		typeName: "AWS::IAM::OIDCProvider",
		first: cfn.Properties{"Url": "https://issuer.example/a", "ClientIdList": []any{"x", "y"}, "ThumbprintList": thumb("a"),
			"Tags": []any{map[string]any{"Key": "k", "Value": "v"}}},
		next:   cfn.Properties{"Url": "https://issuer.example/a", "ClientIdList": []any{"y", "z"}, "ThumbprintList": thumb("b")},
		madeUp: []string{"Arn"},
	}.run(t, lookup)
}

func TestServerCertificateLife(t *testing.T) {
	_, lookup := newTypes(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	texts := cfn.Properties{
		"CertificateBody": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"PrivateKey":      string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
	with := func(path string, tags ...any) cfn.Properties {
		p := cfn.Properties{"Path": path}
		if tags != nil {
			p["Tags"] = tags
		}
		for k, v := range texts {
			p[k] = v
		}
		return p
	}
	life{
		typeName: "AWS::IAM::ServerCertificate",
		first:    with("/a/", map[string]any{"Key": "k", "Value": "v"}), next: with("/b/"),
		defaults: cfn.Properties{"ServerCertificateName": resourceName}, madeUp: []string{"Arn"}, writeOnly: []string{"CertificateBody", "PrivateKey"},
	}.run(t, lookup)
}
