package platform

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	iamapi "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
)

// closedDoor is a platform whose policies bind, with its root user.
type closedDoor struct {
	*Platform
	t    *testing.T
	root context.Context
}

func newClosedDoor(t *testing.T) *closedDoor {
	p := start(t, func(c *Config) { c.Auth = true })
	root := auth.RootOf(arn.DefaultAccount)
	root.Enforced = true
	return &closedDoor{p, t, auth.With(t.Context(), auth.Call{
		Principal: root, Scope: arn.Scope{Account: arn.DefaultAccount, Region: "us-east-1"}, Service: "iam", Operation: "x",
	})}
}

// says sends a signed Query call and returns "OK" or the code of its refusal.
func (d *closedDoor) says(c auth.Credentials, service, query string) string {
	d.t.Helper()
	status, body := d.send(c, service, query)
	if status == http.StatusOK {
		return "OK"
	}
	return element(body, "Code")
}

// element is the text of the first element of a name.
func element(body []byte, name string) string {
	_, rest, _ := bytes.Cut(body, []byte("<"+name+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+name+">"))
	return string(text)
}

func (d *closedDoor) send(c auth.Credentials, service, query string) (int, []byte) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.Endpoint()+"/", strings.NewReader(query))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.AccessKeyID != "" {
		auth.Sign(req, []byte(query), c, service, "us-east-1", time.Now())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, body
}

const listQueues = "Action=ListQueues&Version=2012-11-05"

func must[I, O any](d *closedDoor, op func(context.Context, I) (O, error), in I) O {
	d.t.Helper()
	out, err := op(d.root, in)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// user makes a user with a key and leave for all of SQS.
func (d *closedDoor) user(name string) auth.Credentials {
	d.t.Helper()
	iam := d.services.iam
	must(d, iam.CreateUser, &iamapi.CreateUserInput{UserName: name})
	must(d, iam.PutUserPolicy, &iamapi.PutUserPolicyInput{UserName: name, PolicyName: "sqs", PolicyDocument: allowing("sqs:*")})
	k := must(d, iam.CreateAccessKey, &iamapi.CreateAccessKeyInput{UserName: name}).AccessKey
	return auth.Credentials{AccessKeyID: k.AccessKeyId, SecretAccessKey: k.SecretAccessKey}
}

func allowing(action string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`
}

// TestWhatIsTakenBackIsGoneAtOnce makes each change and the very next call by the
// same credentials: no cache may outlive the change.
func TestWhatIsTakenBackIsGoneAtOnce(t *testing.T) {
	d := newClosedDoor(t)
	iam := d.services.iam
	key := d.user("ann")
	for round := range 3 {
		for _, step := range []struct {
			name   string
			change func()
			want   string
		}{
			{"as made", func() {}, "OK"},
			{"the key off", func() {
				must(d, iam.UpdateAccessKey, &iamapi.UpdateAccessKeyInput{UserName: "ann", AccessKeyId: key.AccessKeyID, Status: "Inactive"})
			}, "InvalidClientTokenId"},
			{"the key on", func() {
				must(d, iam.UpdateAccessKey, &iamapi.UpdateAccessKeyInput{UserName: "ann", AccessKeyId: key.AccessKeyID, Status: "Active"})
			}, "OK"},
			{"the policy gone", func() {
				must(d, iam.DeleteUserPolicy, &iamapi.DeleteUserPolicyInput{UserName: "ann", PolicyName: "sqs"})
			}, "AccessDenied"},
			{"a managed policy", func() {
				must(d, iam.AttachUserPolicy, &iamapi.AttachUserPolicyInput{UserName: "ann", PolicyArn: "arn:aws:iam::aws:policy/AmazonSQSFullAccess"})
			}, "OK"},
			{"bounded", func() {
				must(d, iam.PutUserPermissionsBoundary, &iamapi.PutUserPermissionsBoundaryInput{UserName: "ann", PermissionsBoundary: "arn:aws:iam::aws:policy/AmazonS3FullAccess"})
			}, "AccessDenied"},
			{"unbounded", func() {
				must(d, iam.DeleteUserPermissionsBoundary, &iamapi.DeleteUserPermissionsBoundaryInput{UserName: "ann"})
			}, "OK"},
			{"detached", func() {
				must(d, iam.DetachUserPolicy, &iamapi.DetachUserPolicyInput{UserName: "ann", PolicyArn: "arn:aws:iam::aws:policy/AmazonSQSFullAccess"})
			}, "AccessDenied"},
			{"back", func() {
				must(d, iam.PutUserPolicy, &iamapi.PutUserPolicyInput{UserName: "ann", PolicyName: "sqs", PolicyDocument: allowing("sqs:*")})
			}, "OK"},
		} {
			step.change()
			if got := d.says(key, "sqs", listQueues); got != step.want {
				t.Errorf("%d, %s: %s, want %s", round, step.name, got, step.want)
			}
		}
	}
}

// TestSessionsEndWithTheirOwners: a session of a user or role that is deleted is
// nobody's, also where another has the name and where a resource's policy has it.
func TestSessionsEndWithTheirOwners(t *testing.T) {
	d := newClosedDoor(t)
	iam := d.services.iam
	key := d.user("ann")
	ann, err := d.services.keys.Key(t.Context(), key.AccessKeyID)
	if err != nil {
		t.Fatal(err)
	}
	session, err := d.services.sessions.Issue(ann.Principal, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"sts:AssumeRole"}}`
	makeRole := func() string {
		r := must(d, iam.CreateRole, &iamapi.CreateRoleInput{RoleName: "worker", AssumeRolePolicyDocument: trust}).Role
		must(d, iam.PutRolePolicy, &iamapi.PutRolePolicyInput{RoleName: "worker", PolicyName: "sqs", PolicyDocument: allowing("sqs:*")})
		return r.Arn
	}
	must(d, iam.PutUserPolicy, &iamapi.PutUserPolicyInput{UserName: "ann", PolicyName: "assume", PolicyDocument: allowing("sts:AssumeRole")})
	_, body := d.send(key, "sts", "Action=AssumeRole&Version=2011-06-15&RoleSessionName=one&RoleArn="+makeRole())
	role := auth.Credentials{AccessKeyID: element(body, "AccessKeyId"), SecretAccessKey: element(body, "SecretAccessKey"), SessionToken: element(body, "SessionToken")}
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::000000000000:role/worker","` + ann.Principal.ARN + `"]},"Action":"sqs:*","Resource":"*"}}`
	create := "Action=CreateQueue&Version=2012-11-05&QueueName=shared&Attribute.1.Name=Policy&Attribute.1.Value=" + url.QueryEscape(policy)
	getURL := "Action=GetQueueUrl&Version=2012-11-05&QueueName=shared"
	want := func(when string, c auth.Credentials, query, code string) {
		t.Helper()
		if got := d.says(c, "sqs", query); got != code {
			t.Errorf("%s: %s, want %s", when, got, code)
		}
	}
	want("the user makes a queue", session, create, "OK")
	want("the role reads", role, getURL, "OK")
	must(d, iam.DeleteRolePolicy, &iamapi.DeleteRolePolicyInput{RoleName: "worker", PolicyName: "sqs"})
	want("the queue's policy has the role", role, getURL, "OK")
	must(d, iam.DeleteRole, &iamapi.DeleteRoleInput{RoleName: "worker"})
	want("the role is deleted", role, getURL, "InvalidClientTokenId")
	makeRole()
	want("another has the name", role, getURL, "InvalidClientTokenId")

	must(d, iam.DeleteAccessKey, &iamapi.DeleteAccessKeyInput{UserName: "ann", AccessKeyId: key.AccessKeyID})
	want("the key is deleted", key, getURL, "InvalidClientTokenId")
	want("its user's session goes on", session, getURL, "OK")
	for _, name := range []string{"sqs", "assume"} {
		must(d, iam.DeleteUserPolicy, &iamapi.DeleteUserPolicyInput{UserName: "ann", PolicyName: name})
	}
	must(d, iam.DeleteUser, &iamapi.DeleteUserInput{UserName: "ann"})
	want("the user is deleted", session, getURL, "InvalidClientTokenId")
	d.user("ann")
	want("another user has the name", session, getURL, "InvalidClientTokenId")

	// So it is for what acts on their behalf in the process.
	call := auth.From(d.root)
	call.Principal, call.Service, call.Operation = ann.Principal, "sqs", "ListQueues"
	call.Principal.Enforced = true
	if err := d.services.authorizer.Authorize(t.Context(), call.Requests(struct{}{})[0]); err == nil {
		t.Error("a deleted user's work in the process goes on")
	}
}

// TestAClosedDoorKnowsNobody sends what open mode lets in.
func TestAClosedDoorKnowsNobody(t *testing.T) {
	d := newClosedDoor(t)
	identity, create := "Action=GetCallerIdentity&Version=2011-06-15", "Action=CreateQueue&Version=2012-11-05&QueueName=x"
	stranger := auth.Credentials{AccessKeyID: "000000000000", SecretAccessKey: "test"}
	for _, c := range []struct {
		name, service, query string
		who                  auth.Credentials
		want                 string
	}{
		{"an account for a key", "sts", identity, stranger, "InvalidClientTokenId"},
		{"an account for a key, a queue", "sqs", create, stranger, "InvalidClientTokenId"},
		{"a made up key", "sts", identity, auth.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "x"}, "InvalidClientTokenId"},
		{"a made up session", "sts", identity, auth.Credentials{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", SecretAccessKey: "x", SessionToken: "SlipwaySession//AAAA"}, "InvalidClientTokenId"},
		{"nobody", "sts", identity, auth.Credentials{}, "MissingAuthenticationToken"},
		{"nobody, a queue", "sqs", create, auth.Credentials{}, "MissingAuthenticationToken"},
		{"nobody, a role", "sts", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::000000000000:role/r&RoleSessionName=xx", auth.Credentials{}, "MissingAuthenticationToken"},
		{"nobody, an operation that is not built", "iam", "Action=CreateVirtualMFADevice&Version=2010-05-08", auth.Credentials{}, "MissingAuthenticationToken"},
	} {
		if got := d.says(c.who, c.service, c.query); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	key := d.user("ann")
	for query, want := range map[string]string{
		"Action=CreateVirtualMFADevice&Version=2010-05-08&VirtualMFADeviceName=m": "AccessDenied",
		"Action=ListUsers&Version=2010-05-08":                                     "AccessDenied",
	} {
		if got := d.says(key, "iam", query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
