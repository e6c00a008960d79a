package corpus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway/slipway/cfn/schema"
	"github.com/slipway/slipway/model"
)

// stackTag is a tag of every stack.
var stackTag = []string{"Tags.member.1.Key", "corpus:owner", "Tags.member.1.Value", "deployment"}

// tagged checks that every resource whose type can have tags has the stack's: by
// what the type reads, which knows nothing of the stack.
func (d *deployment) tagged() {
	d.Helper()
	keys := map[string][]string{}
	for _, s := range d.must(d.query("cloudformation", "GetTemplateSummary", "TemplateBody", string(d.body))).all("ResourceIdentifierSummaries/member") {
		keys[s.text("ResourceType")] = s.texts("ResourceIdentifiers/member")
	}
	for _, r := range d.must(d.call("DescribeStackResources")).all("StackResources/member") {
		kind, physical := r.text("ResourceType"), r.text("PhysicalResourceId")
		text, known := model.Schema(kind)
		if !known {
			continue // custom resources
		}
		s, err := schema.Parse(text)
		if err != nil {
			d.Fatal(err)
		}
		if s.TagProperty == "" || len(keys[kind]) == 0 {
			continue
		}
		identifier := d.identifier(kind, physical, keys[kind])
		parts := make([]string, len(s.PrimaryIdentifier))
		for i, name := range s.PrimaryIdentifier {
			parts[i] = identifier[name]
		}
		if tags := d.tagsOf(kind, strings.Join(parts, "|"), s.TagProperty); !slices.Contains(tags, "corpus:owner=deployment") {
			d.Errorf("%s %s has the tags %q, and not its stack's", kind, r.text("LogicalResourceId"), tags)
		}
	}
}

// tagsOf are a resource's tags, as its type reads them.
func (d *deployment) tagsOf(kind, identifier, property string) (tags []string) {
	d.Helper()
	in, err := json.Marshal(map[string]string{"TypeName": kind, "Identifier": identifier})
	if err != nil {
		d.Fatal(err)
	}
	answer, err := d.send("cloudcontrolapi", http.MethodPost, "/", map[string]string{
		"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "CloudApiService.GetResource",
	}, in)
	var out struct {
		ResourceDescription struct{ Properties string }
	}
	if err == nil {
		err = json.Unmarshal(answer, &out)
	}
	var properties map[string]any
	if err == nil {
		err = json.Unmarshal([]byte(out.ResourceDescription.Properties), &properties)
	}
	if err != nil {
		d.Fatalf("read %s %s: %v", kind, identifier, err)
	}
	switch all := properties[property].(type) {
	case map[string]any:
		for k, v := range all {
			tags = append(tags, fmt.Sprint(k, "=", v))
		}
	case []any:
		for _, t := range all {
			if t, ok := t.(map[string]any); ok {
				tags = append(tags, fmt.Sprint(t["Key"], "=", t["Value"]))
			}
		}
	}
	return tags
}
