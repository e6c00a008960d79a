package crash

import (
	"context"
	"fmt"
	"strings"

	"github.com/slipway/slipway/arn"
)

const (
	itemBucket  = "crash-harness-registry"
	packagePath = "/" + itemBucket + "/item.zip"
	packageURL  = "s3://" + itemBucket + "/item.zip"
	// handlers begins the names of the functions that registrations make.
	handlers = "cfn-resource-"
)

// itemSchema is that of the registered type.
const itemSchema = `{"typeName":"` + itemType + `","description":"What the crash harness registers.","additionalProperties":false,
"properties":{"Id":{"type":"string"},"Stack":{"type":"string"},"Zone":{"type":"string"},"Version":{"type":"string"},"Fails":{"type":"string"}},
"required":["Stack","Zone","Version"],"createOnlyProperties":["/properties/Zone","/properties/Stack"],"readOnlyProperties":["/properties/Id"],
"writeOnlyProperties":["/properties/Fails"],"primaryIdentifier":["/properties/Id"],"handlers":{"create":{"permissions":[]},
"read":{"permissions":[]},"update":{"permissions":[]},"delete":{"permissions":[]},"list":{"permissions":[]}}}`

// registration is use of the registry: each version that was acknowledged is there,
// with one function, and no function is there without its version.
type registration struct {
	asked    string   // the client's token of the round's registration
	given    string   // the token that was given for it
	handlers []string // the functions of the versions that stay
}

// newRegistration registers the type, and the hook that judges one stack.
func newRegistration(ctx context.Context, c *client, p *provider) (*registration, error) {
	code, err := p.code()
	if err != nil {
		return nil, err
	}
	pack, err := archive(map[string][]byte{
		"schema.json": []byte(itemSchema), "code.zip": code,
		".rpdk-config": []byte(`{"typeName":"` + itemType + `","runtime":"python3.12","entrypoint":"index.resource"}`),
	})
	if err != nil {
		return nil, err
	}
	if _, err := c.s3(ctx, "PUT", "/"+itemBucket, nil); err != nil {
		return nil, err
	}
	if _, err := c.s3(ctx, "PUT", packagePath, pack); err != nil {
		return nil, err
	}
	r := &registration{}
	if err := r.register(ctx, c); err != nil {
		return nil, err
	}
	if wrong, err := r.complete(ctx, c); err != nil || len(wrong) > 0 {
		return nil, fmt.Errorf("%v, %w", wrong, err)
	}
	r.asked, r.given = "", ""
	r.handlers, err = functionsNamed(ctx, c, handlers)
	if err != nil {
		return nil, err
	}
	return r, newHook(ctx, c)
}

// newHook has the provider's function judge the parameters of one stack.
func newHook(ctx context.Context, c *client) error {
	const alias = "Crash::Harness::Hook"
	_, err := c.query(ctx, "cloudformation", "ActivateType", "Type", "HOOK", "TypeName", "AWS::Hooks::LambdaHook", "TypeNameAlias", alias, "ExecutionRoleArn", providerRoleARN)
	if err != nil {
		return err
	}
	_, err = c.query(ctx, "cloudformation", "SetTypeConfiguration", "Type", "HOOK", "TypeName", alias, "Configuration",
		`{"CloudFormationConfiguration": {"HookConfiguration": {"HookInvocationStatus": "ENABLED", "TargetOperations": ["RESOURCE"], "FailureMode": "FAIL",
		"TargetFilters": {"TargetNames": ["AWS::SSM::*"], "Actions": ["CREATE", "UPDATE"]},
		"StackFilters": {"FilteringCriteria": "ALL", "StackNames": {"Include": ["crash-hook"]}},
		"Properties": {"LambdaFunction": "`+providerFunction+`"}}}}`)
	return err
}

func functionsNamed(ctx context.Context, c *client, prefix string) (names []string, err error) {
	i := inventory{}
	err = i.functions(ctx, c)
	for _, name := range i["AWS::Lambda::Function"] {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, err
}

func (r *registration) owned(i inventory) {
	i.add("AWS::S3::Bucket", itemBucket)
	i.add("AWS::Lambda::Function", r.handlers...)
}

func (r *registration) flow(ctx context.Context, c *client) error {
	return repeat(ctx, c, 1, r.register)
}

func (r *registration) register(ctx context.Context, c *client) error {
	if r.asked == "" {
		r.asked = arn.NewUUID()
	}
	out, err := c.query(ctx, "cloudformation", "RegisterType", "TypeName", itemType, "SchemaHandlerPackage", packageURL,
		"ExecutionRoleArn", providerRoleARN, "ClientRequestToken", r.asked)
	if err != nil {
		return err
	}
	token := out.text("RegistrationToken")
	if r.given != "" && r.given != token {
		return fmt.Errorf("registration %s has two tokens, %s and %s", r.asked, r.given, token)
	}
	r.given = token
	return nil
}

// complete asks again, as clients do that have no answer, and waits for the end.
func (r *registration) complete(ctx context.Context, c *client) (wrong []string, err error) {
	if err := r.register(ctx, c); err != nil {
		return nil, err
	}
	status, reason := "", ""
	err = poll(ctx, c, func() (bool, error) {
		out, err := c.query(ctx, "cloudformation", "DescribeTypeRegistration", "RegistrationToken", r.given)
		if err != nil {
			return false, err
		}
		status, reason = out.text("ProgressStatus"), out.text("Description")
		return status != "IN_PROGRESS", nil
	})
	if err == nil && status != "COMPLETE" {
		wrong = append(wrong, fmt.Sprintf("registration %s is %s: %s", r.given, status, reason))
	}
	return wrong, err
}

// check counts versions and functions, and takes all but the first away.
func (r *registration) check(ctx context.Context, c *client) (wrong []string, err error) {
	if r.asked == "" {
		return nil, nil
	}
	if wrong, err = r.complete(ctx, c); err != nil || len(wrong) > 0 {
		return wrong, err
	}
	r.asked, r.given = "", ""
	versions, err := c.query(ctx, "cloudformation", "ListTypeVersions", "Type", "RESOURCE", "TypeName", itemType)
	if err != nil {
		return nil, err
	}
	functions, err := functionsNamed(ctx, c, handlers)
	if err != nil {
		return nil, err
	}
	list := versions.all("TypeVersionSummaries/member")
	if len(list) != len(r.handlers)+1 || len(functions) != len(list) {
		wrong = append(wrong, fmt.Sprintf("one registration more than %v led to %d versions and the functions %v", r.handlers, len(list), functions))
	}
	for _, v := range list {
		if v.text("IsDefaultVersion") == "true" {
			continue
		}
		_, err := c.query(ctx, "cloudformation", "DeregisterType", "Arn", v.text("Arn"))
		if err != nil {
			return nil, err
		}
	}
	// The functions go with their versions.
	err = poll(ctx, c, func() (bool, error) {
		functions, err = functionsNamed(ctx, c, handlers)
		return len(functions) <= len(r.handlers), err
	})
	if err != nil {
		return nil, fmt.Errorf("the versions are deregistered, and there are the functions %v: %w", functions, err)
	}
	return wrong, nil
}
