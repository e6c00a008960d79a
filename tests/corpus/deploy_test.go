package corpus

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every template whose types are built deploys, or ends as the table says.
func TestDeploy(t *testing.T) {
	found, err := candidates()
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skip("the corpus of templates (../shared/corpus) is not here")
	}
	for path, e := range table {
		if (e.ends == "") != (e.why == "") {
			t.Errorf("the table does not say why %s does not deploy, or says it of one that does", path)
		}
		if !slices.ContainsFunc(found, func(c *candidate) bool { return c.path == path }) {
			t.Errorf("the table has %s, which is no template that this build has all types for", path)
		}
	}
	endpoint := start(t)
	t.Run("templates", func(t *testing.T) {
		for i, c := range found {
			t.Run(strings.TrimSuffix(c.path, filepath.Ext(c.path)), func(t *testing.T) {
				t.Parallel()
				if c.runs() && !sandboxes() {
					t.Skip("user data of others runs in sandboxes only, which need root (see 'slipway doctor')")
				}
				account := fmt.Sprintf("%012d", 100_000_000_001+i)
				d := &deployment{T: t, candidate: c, expectation: table[c.path], client: &client{
					endpoint: endpoint, account: account, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}},
				}}
				d.run()
			})
		}
	})
}

// deployment is one template's way through its account.
type deployment struct {
	*testing.T
	*candidate
	expectation
	*client
	fill  *strings.Replacer // of the table's parameters
	stack string            // its id
}

func (d *deployment) run() {
	d.prepare()
	before := d.take()
	given := d.given()
	create, err := d.call("CreateStack", append([]string{"OnFailure", "ROLLBACK"}, given...)...)
	switch {
	case d.ends == refused:
		d.mustRefuse(err, d.says)
		d.mustRefuse(err, "\n  line ") // with a position
		_, err := d.call("DescribeStacks")
		d.mustRefuse(err, "Stack with id s does not exist")
		d.same(before)
		return
	case err != nil:
		d.Fatal(err)
	}
	d.stack = create.text("StackId")
	status := d.settle()
	if d.ends == rollsBack {
		if status != "ROLLBACK_COMPLETE" || !strings.Contains(d.reasons(), d.says) {
			d.Fatalf("the stack is %s, want a roll-back that says %q:\n%s", status, d.says, d.reasons())
		}
	} else {
		if status != "CREATE_COMPLETE" {
			d.Fatalf("the stack is %s:\n%s", status, d.reasons())
		}
		d.complete()
		d.tagged()
		d.inSync()
		d.reverted(given)
		_, err = d.call("UpdateStack", given...)
		d.mustRefuse(err, "No updates are to be performed.")
		d.moves()
	}
	if _, err := d.call("DeleteStack"); err != nil {
		d.Fatal(err)
	}
	if status := d.settle(); status != "DELETE_COMPLETE" {
		d.Fatalf("the deleted stack is %s:\n%s", status, d.reasons())
	}
	if d.leaves == "" {
		d.same(before)
	}
}

// prepare gives the account what templates for instances take for granted.
func (d *deployment) prepare() {
	d.fill = strings.NewReplacer()
	if d.parameters["VPCPeeringConnectionId"] != "" {
		d.prepareNetworks()
	}
	if d.has("AWS::EC2::Instance") || d.has("AWS::EC2::NetworkInterface") || d.has("AWS::EC2::VPCPeeringConnection") {
		d.fillSubnet()
	}
	if !d.has("AWS::EC2::Instance") {
		return
	}
	for _, name := range []string{"corpus", "sample"} {
		d.must(d.query("ec2", "CreateKeyPair", "KeyName", name))
	}
	const role = "CloudWatchAgentAdminRole"
	d.must(d.query("iam", "CreateRole", "RoleName", role, "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`))
	d.must(d.query("iam", "CreateInstanceProfile", "InstanceProfileName", role))
	d.must(d.query("iam", "AddRoleToInstanceProfile", "InstanceProfileName", role, "RoleName", role))
}

// fillSubnet has parameters name a subnet of the default VPC, and two free
// addresses in it.
func (d *deployment) fillSubnet() {
	out := d.must(d.query("ec2", "DescribeSubnets"))
	first, err := netip.ParsePrefix(out.text("subnetSet/item/cidrBlock"))
	if err != nil {
		d.Fatal(err)
	}
	bytes := first.Addr().As4()
	address := func(n byte) string {
		return netip.AddrFrom4([4]byte{bytes[0], bytes[1], bytes[2], bytes[3] + n}).String()
	}
	d.fill = strings.NewReplacer("{subnet}", out.text("subnetSet/item/subnetId"), "{zone}", out.text("subnetSet/item/availabilityZone"),
		"{vpc}", out.text("subnetSet/item/vpcId"), "{address}", address(20), "{another}", address(21),
		"{image}", "/aws/service/debian/release/12/latest/"+runtime.GOARCH)
}

// prepareNetworks gives the account a second VPC, and a connection to it.
func (d *deployment) prepareNetworks() {
	own := d.must(d.query("ec2", "DescribeVpcs")).text("vpcSet/item/vpcId")
	other := d.must(d.query("ec2", "CreateVpc", "CidrBlock", "10.99.0.0/16")).text("vpc/vpcId")
	peering := d.must(d.query("ec2", "CreateVpcPeeringConnection", "VpcId", own, "PeerVpcId", other)).text("vpcPeeringConnection/vpcPeeringConnectionId")
	d.must(d.query("ec2", "AcceptVpcPeeringConnection", "VpcPeeringConnectionId", peering))
	filter := []string{"Filter.1.Name", "vpc-id", "Filter.1.Value.1", own}
	d.fill = strings.NewReplacer("{peering}", peering,
		"{table}", d.must(d.query("ec2", "DescribeRouteTables", filter...)).text("routeTableSet/item/routeTableId"),
		"{group}", d.must(d.query("ec2", "DescribeSecurityGroups", filter...)).text("securityGroupInfo/item/groupId"))
}

// given are the members of CreateStack and UpdateStack.
func (d *deployment) given() []string {
	members := append([]string{"TemplateBody", string(d.body), "Capabilities.member.1", "CAPABILITY_NAMED_IAM", "Capabilities.member.2", "CAPABILITY_AUTO_EXPAND"}, stackTag...)
	n := 0
	for name, value := range d.parameters {
		n++
		at := "Parameters.member." + strconv.Itoa(n)
		members = append(members, at+".ParameterKey", name, at+".ParameterValue", d.fill.Replace(value))
	}
	return members
}

// call calls an operation of CloudFormation on the stack.
func (d *deployment) call(action string, members ...string) (*node, error) {
	name := d.stack
	if name == "" {
		name = "s"
	}
	return d.query("cloudformation", action, append([]string{"StackName", name}, members...)...)
}

func (d *deployment) must(n *node, err error) *node {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
	return n
}

func (d *deployment) mustRefuse(err error, says string) {
	d.Helper()
	var r *refusal
	if !errors.As(err, &r) || r.Status != http.StatusBadRequest || r.Code != "ValidationError" || !strings.Contains(r.Message, says) {
		d.Fatalf("got %v, want a ValidationError that says %q", err, says)
	}
}

// settle waits until nothing is under way, and returns the stack's status.
func (d *deployment) settle() string {
	d.Helper()
	status := ""
	if !d.wait(func() bool {
		out := d.must(d.call("DescribeStacks"))
		status = out.text("Stacks/member/StackStatus")
		if d.signal != nil && status == "CREATE_IN_PROGRESS" {
			if err := d.signal(d); err == nil {
				d.signal = nil
			}
		}
		return !strings.HasSuffix(status, "_IN_PROGRESS")
	}) {
		d.Fatalf("the stack stays %s:\n%s\n%s", status, d.reasons(), d.consoles())
	}
	return status
}

// wait looks until it is done, for two minutes at most, and reports whether it is.
func (d *deployment) wait(done func() bool) bool {
	ctx, cancel := context.WithTimeout(d.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// reasons are the events, the latest first.
func (d *deployment) reasons() string {
	var b strings.Builder
	for _, e := range d.must(d.call("DescribeStackEvents")).all("StackEvents/member") {
		fmt.Fprintf(&b, "%s %s %s: %s\n", e.text("LogicalResourceId"), e.text("ResourceType"), e.text("ResourceStatus"), e.text("ResourceStatusReason"))
	}
	return b.String()
}

// complete checks that the stack has what the template asks for, and that it
// is there: by the listings of the services, which know nothing of stacks.
func (d *deployment) complete() {
	d.Helper()
	there := d.take()
	got := map[string]string{}
	for _, r := range d.must(d.call("DescribeStackResources")).all("StackResources/member") {
		id, kind, physical := r.text("LogicalResourceId"), r.text("ResourceType"), r.text("PhysicalResourceId")
		got[id] = kind
		if status := r.text("ResourceStatus"); status != "CREATE_COMPLETE" || physical == "" {
			d.Errorf("%s of a complete stack is %s, with the id %q", id, status, physical)
		}
		// A group that a template gives no VPC is known to its stack by its name.
		if ids, ok := there[kind]; ok && kind != "AWS::EC2::SecurityGroup" && !slices.Contains(ids, physical) {
			d.Errorf("%s %s is not there: %v", id, physical, ids)
		}
	}
	outputs := map[string]string{}
	for _, o := range d.must(d.call("DescribeStacks")).all("Stacks/member/Outputs/member") {
		outputs[o.text("OutputKey")] = o.text("OutputValue")
	}
	for name, pattern := range d.outputs {
		if value, ok := outputs[name]; !ok || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(value) {
			d.Errorf("output %s is %q, want %q", name, value, pattern)
		}
	}
	if diff := cmp.Diff(d.active, got); diff != "" {
		d.Errorf("the stack's resources (-template +stack):\n%s", diff)
	}
}

// inSync checks that what was just made is found as its template says.
func (d *deployment) inSync() {
	d.Helper()
	id := d.must(d.call("DetectStackDrift")).text("StackDriftDetectionId")
	var found *node
	if !d.wait(func() bool {
		found = d.must(d.query("cloudformation", "DescribeStackDriftDetectionStatus", "StackDriftDetectionId", id))
		return found.text("DetectionStatus") != "DETECTION_IN_PROGRESS"
	}) {
		d.Fatal("the detection of drift does not end")
	}
	if found.text("StackDriftStatus") == "IN_SYNC" {
		return
	}
	for _, r := range d.must(d.call("DescribeStackResourceDrifts")).all("StackResourceDrifts/member") {
		if status := r.text("StackResourceDriftStatus"); status != "IN_SYNC" {
			d.Errorf("%s %s is %s as soon as it was made: %s", r.text("ResourceType"), r.text("LogicalResourceId"), status, r.text("DriftStatusReason"))
			for _, p := range r.all("PropertyDifferences/member") {
				d.Errorf("  %s %s: expected %s, is %s", p.text("DifferenceType"), p.text("PropertyPath"), p.text("ExpectedValue"), p.text("ActualValue"))
			}
		}
	}
}

// reverted checks that a drift-aware change set of what was just made has nothing
// to revert. Nested stacks are updated each time, as their templates may be others.
func (d *deployment) reverted(given []string) {
	d.Helper()
	if d.has("AWS::CloudFormation::Stack") {
		return
	}
	d.must(d.call("CreateChangeSet", append([]string{"ChangeSetName", "drift", "DeploymentMode", "REVERT_DRIFT"}, given...)...))
	var found *node
	if !d.wait(func() bool {
		found = d.must(d.call("DescribeChangeSet", "ChangeSetName", "drift", "IncludePropertyValues", "true"))
		return found.text("Status") != "CREATE_IN_PROGRESS"
	}) {
		d.Fatal("the drift-aware change set is not decided")
	}
	if found.text("Status") == "FAILED" && strings.Contains(found.text("StatusReason"), "didn't contain changes") && found.text("StackDriftStatus") == "IN_SYNC" {
		return
	}
	d.Errorf("the drift-aware change set is %s: %s, the stack %s", found.text("Status"), found.text("StatusReason"), found.text("StackDriftStatus"))
	for _, r := range found.all("Changes/member/ResourceChange") {
		d.Errorf("  %s %s: from %s to %s", r.text("Action"), r.text("LogicalResourceId"), r.text("BeforeContext"), r.text("AfterContext"))
	}
}

func (d *deployment) take() inventory {
	d.Helper()
	there, err := d.inventory()
	if err != nil {
		d.Fatal(err)
	}
	return there
}

// same checks that the account has what it had.
func (d *deployment) same(before inventory) {
	d.Helper()
	if diff := cmp.Diff(before, d.take()); diff != "" {
		d.Errorf("the account before and after (-before +after):\n%s", diff)
	}
}

// consoles are what the account's instances printed.
func (d *deployment) consoles() string {
	var b strings.Builder
	for _, n := range d.must(d.query("ec2", "DescribeInstances")).all("reservationSet/item/instancesSet/item") {
		out := d.must(d.query("ec2", "GetConsoleOutput", "InstanceId", n.text("instanceId")))
		text, _ := base64.StdEncoding.DecodeString(out.text("output"))
		fmt.Fprintf(&b, "%s %s:\n%s\n", n.text("instanceId"), n.text("instanceState/name"), text)
	}
	return b.String()
}

// signalInstance says, as someone at the instance would, that it is ready: its
// user data loads packages for minutes before it could, and finds no network.
func signalInstance(d *deployment) error {
	_, err := d.call("SignalResource", "LogicalResourceId", "EC2Instance", "UniqueId", "corpus", "Status", "SUCCESS")
	return err
}

// signalHandle sends a signal to the address of a wait condition's handle, which
// the template keeps in a parameter.
func signalHandle(d *deployment) error {
	var out struct{ Parameter struct{ Value string } }
	if err := d.ssm("GetParameter", `{"Name":"corpus"}`, &out); err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPut, out.Parameter.Value, strings.NewReader(`{"Status":"SUCCESS","UniqueId":"corpus","Reason":"","Data":""}`))
	if err != nil {
		return err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &refusal{Status: resp.StatusCode, Message: "the signal is refused"}
	}
	return nil
}
