package corpus

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/platform"
)

// importable reports whether all of a template's resources can change stacks, and
// are the same in each.
func (d *deployment) importable() bool {
	for _, kind := range d.active {
		if strings.HasPrefix(kind, "AWS::CloudFormation::WaitCondition") {
			return false
		}
	}
	return len(d.active) > 0 && !strings.Contains(string(d.body), "AWS::StackId")
}

// kept is the template with everything retained, without outputs.
func (d *deployment) kept() string {
	d.Helper()
	root, _ := d.template.Root.Value().(map[string]any)
	delete(root, "Outputs")
	resources, _ := root["Resources"].(map[string]any)
	for _, r := range resources {
		r.(map[string]any)["DeletionPolicy"] = "Retain"
	}
	body, err := json.Marshal(root)
	if err != nil {
		d.Fatal(err)
	}
	return string(body)
}

// moves has the stack leave everything in the account, and a new one take all of it:
// each resource is then what the template says, and its attributes are what they were.
func (d *deployment) moves() {
	d.Helper()
	if !d.importable() {
		return
	}
	outputs := d.outputsNow()
	given := d.given()
	kept := append([]string{"TemplateBody", d.kept()}, given[2:]...)
	d.must(d.call("UpdateStack", kept...))
	d.reaches("UPDATE_COMPLETE")
	targets := d.targets(kept[1])
	d.must(d.call("DeleteStack"))
	d.reaches("DELETE_COMPLETE")
	d.stack = ""
	d.stack = d.must(d.call("CreateChangeSet", append(append([]string{"ChangeSetName", "import", "ChangeSetType", "IMPORT"}, targets...), kept...)...)).text("StackId")
	d.must(d.call("ExecuteChangeSet", "ChangeSetName", "import"))
	d.reaches("IMPORT_COMPLETE")
	d.inSync()
	d.must(d.call("UpdateStack", given...))
	d.reaches("UPDATE_COMPLETE")
	if diff := cmp.Diff(outputs, d.outputsNow()); diff != "" {
		d.Errorf("outputs before and after the import (-before +after):\n%s", diff)
	}
	d.inSync()
}

func (d *deployment) reaches(want string) {
	d.Helper()
	if status := d.settle(); status != want {
		d.Fatalf("the stack is %s, want %s:\n%s", status, want, d.reasons())
	}
}

// outputsNow are the stack's outputs, but for those that tell its id.
func (d *deployment) outputsNow() map[string]string {
	d.Helper()
	outputs := map[string]string{}
	for _, o := range d.must(d.call("DescribeStacks")).all("Stacks/member/Outputs/member") {
		if value := o.text("OutputValue"); !strings.Contains(value, d.stack) {
			outputs[o.text("OutputKey")] = value
		}
	}
	return outputs
}

// targets are the members of CreateChangeSet that name the stack's resources, by
// the identifiers that GetTemplateSummary tells.
func (d *deployment) targets(body string) []string {
	d.Helper()
	keys := map[string][]string{}
	for _, s := range d.must(d.query("cloudformation", "GetTemplateSummary", "TemplateBody", body)).all("ResourceIdentifierSummaries/member") {
		keys[s.text("ResourceType")] = s.texts("ResourceIdentifiers/member")
	}
	var members []string
	for i, r := range d.must(d.call("DescribeStackResources")).all("StackResources/member") {
		at, kind := fmt.Sprintf("ResourcesToImport.member.%d.", i+1), r.text("ResourceType")
		members = append(members, at+"ResourceType", kind, at+"LogicalResourceId", r.text("LogicalResourceId"))
		identifier := d.identifier(kind, r.text("PhysicalResourceId"), keys[kind])
		for n, key := range slices.Sorted(maps.Keys(identifier)) {
			entry := fmt.Sprintf("%sResourceIdentifier.entry.%d.", at, n+1)
			members = append(members, entry+"key", key, entry+"value", identifier[key])
		}
	}
	return members
}

func (d *deployment) identifier(kind, physical string, keys []string) map[string]string {
	d.Helper()
	if kind == "AWS::EC2::EIP" {
		out := d.must(d.query("ec2", "DescribeAddresses", "PublicIp.1", physical))
		return map[string]string{"PublicIp": physical, "AllocationId": out.text("addressesSet/item/allocationId")}
	}
	if kind == "AWS::Lambda::Permission" { // of the stack's one function
		for _, r := range d.must(d.call("DescribeStackResources")).all("StackResources/member") {
			if r.text("ResourceType") == "AWS::Lambda::Function" {
				function := "arn:aws:lambda:us-east-1:" + d.account + ":function:" + r.text("PhysicalResourceId") // as the templates have it
				return map[string]string{"FunctionName": function, "Id": physical}
			}
		}
	}
	values := []string{physical}
	if len(keys) > 1 {
		values = strings.Split(physical, "|")
	}
	if len(values) != len(keys) {
		d.Fatalf("%s is identified by %v, and is %s", kind, keys, physical)
	}
	identifier := map[string]string{}
	for i, key := range keys {
		identifier[key] = values[i]
	}
	return identifier
}

//go:embed testdata/moves.yaml
var moves []byte

// Resources of every type that can be imported go from one stack to another:
// those that the corpus has in TestDeploy, the rest here.
func TestMoves(t *testing.T) {
	_, built := platform.Built()
	c := consider("moves.yaml", moves, built)
	if c == nil {
		t.Fatal("this build lacks types of testdata/moves.yaml, or cannot read it")
	}
	d := &deployment{T: t, candidate: c,
		expectation: expectation{parameters: map[string]string{"Subnet": "{subnet}", "Zone": "{zone}", "Image": "{image}"}},
		client:      &client{endpoint: start(t), account: "100000000000", http: &http.Client{Timeout: time.Minute}},
	}
	d.run()
}
