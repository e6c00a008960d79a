package ssm

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/ssm"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/store/storetest"
)

const account = "123456789012"

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func as(t testing.TB, token string) context.Context {
	return auth.With(t.Context(), auth.Call{
		Principal: auth.RootOf(account), Scope: arn.Scope{Account: account, Region: "eu-west-1"}, Token: token,
	})
}

func newService(t testing.TB) *Service {
	return New(Config{
		Store: storetest.New(t), Ring: keyring.Ephemeral(), KMS: newKeys(), Now: func() time.Time { return now }, Arch: "amd64",
		BuiltinImage: func(s arn.Scope) string { return "ami-" + s.Region },
	})
}

func put(t testing.TB, s *Service, in api.PutParameterInput) *api.PutParameterOutput {
	t.Helper()
	out, err := s.PutParameter(as(t, ""), &in)
	if err != nil {
		t.Fatalf("put %s: %v", in.Name, err)
	}
	return out
}

// value is a parameter's, or its error's code.
func value(t testing.TB, s *Service, name string) string {
	t.Helper()
	out, err := s.GetParameter(as(t, ""), &api.GetParameterInput{Name: name, WithDecryption: new(true)})
	if f, ok := fault.As(err); ok {
		return f.Code
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Parameter.Value
}

func TestPutAndGet(t *testing.T) {
	s := newService(t)
	out := put(t, s, api.PutParameterInput{Name: "/a/b", Value: "1", Type: "String", Tags: []api.Tag{{Key: "k", Value: "v"}}})
	if *out.Version != 1 || out.Tier != "Standard" {
		t.Errorf("put %+v", out)
	}
	got, err := s.GetParameter(as(t, ""), &api.GetParameterInput{Name: "/a/b"})
	if err != nil {
		t.Fatal(err)
	}
	p := got.Parameter
	if p.Name != "/a/b" || p.Type != "String" || p.Value != "1" || *p.Version != 1 || p.DataType != "text" ||
		p.ARN != "arn:aws:ssm:eu-west-1:123456789012:parameter/a/b" || !p.LastModifiedDate.Equal(now) || p.Selector != "" {
		t.Errorf("got %+v", p)
	}
	if out := put(t, s, api.PutParameterInput{Name: "/a/b", Value: "2", Overwrite: new(true)}); *out.Version != 2 {
		t.Errorf("overwritten: %+v", out)
	}
	put(t, s, api.PutParameterInput{Name: "plain", Value: "3", Type: "String"})
	for name, want := range map[string]string{
		"/a/b": "2", "/a/b:1": "1", "/a/b:2": "2", "/a/b:3": fault.ParameterVersionNotFound, "/a/b:prod": fault.ParameterVersionNotFound,
		"a/b": fault.ParameterNotFound, "/a": fault.ParameterNotFound, "/A/b": fault.ParameterNotFound,
		"arn:aws:ssm:eu-west-1:123456789012:parameter/a/b": "2", "arn:aws:ssm:eu-west-1:123456789012:parameter/a/b:1": "1",
		"arn:aws:ssm:eu-west-1:123456789012:parameter/plain": "3", "arn:aws:ssm:us-east-1:123456789012:parameter/a/b": fault.ParameterNotFound,
		"/a/b:": fault.ValidationException,
	} {
		if got := value(t, s, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestPutRefusals(t *testing.T) {
	s := newService(t)
	put(t, s, api.PutParameterInput{Name: "there", Value: "1", Type: "String"})
	put(t, s, api.PutParameterInput{Name: "advanced", Value: "1", Type: "String", Tier: "Advanced"})
	for _, c := range []struct {
		name string
		in   api.PutParameterInput
		want string
	}{
		{"exists", api.PutParameterInput{Name: "there", Value: "2", Type: "String"}, "ParameterAlreadyExists: The parameter already exists. To overwrite this value, set the overwrite option in the request to true."},
		{"no type", api.PutParameterInput{Name: "x", Value: "2"}, "ValidationException: A parameter type is required when you create a parameter."},
		{"other type", api.PutParameterInput{Name: "there", Value: "2", Type: "SecureString", Overwrite: new(true)}, "HierarchyTypeMismatchException"},
		{"unknown type", api.PutParameterInput{Name: "x", Value: "2", Type: "Integer"}, "UnsupportedParameterType"},
		{"reserved", api.PutParameterInput{Name: "/aws/x", Value: "2", Type: "String"}, "AccessDeniedException: No access to reserved parameter name: /aws/x."},
		{"aws prefix", api.PutParameterInput{Name: "AwsThing", Value: "2", Type: "String"}, "ValidationException: Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive)."},
		{"ssm prefix", api.PutParameterInput{Name: "/ssm/x", Value: "2", Type: "String"}, "ValidationException: Parameter name"},
		{"space inside", api.PutParameterInput{Name: "a b", Value: "2", Type: "String"}, "ValidationException: Parameter name"},
		{"not qualified", api.PutParameterInput{Name: "a/b", Value: "2", Type: "String"}, "ValidationException: Parameter name must be a fully qualified name."},
		{"too deep", api.PutParameterInput{Name: strings.Repeat("/a", 16), Value: "2", Type: "String"}, "HierarchyLevelLimitExceededException"},
		{"pattern", api.PutParameterInput{Name: "x", Value: "12a", Type: "String", AllowedPattern: `\d+`}, `ParameterPatternMismatchException: Parameter value, cannot be validated against allowedPattern: \d+`},
		{"bad pattern", api.PutParameterInput{Name: "x", Value: "1", Type: "String", AllowedPattern: "("}, "InvalidAllowedPatternException"},
		{"too large", api.PutParameterInput{Name: "x", Value: strings.Repeat("a", 4097), Type: "String"}, "ValidationException: Standard tier parameters support a maximum parameter value of 4096 characters."},
		{"too large for advanced", api.PutParameterInput{Name: "x", Value: strings.Repeat("a", 8193), Type: "String", Tier: "Intelligent-Tiering"}, "ValidationException: Advanced tier"},
		{"back to standard", api.PutParameterInput{Name: "advanced", Value: "1", Tier: "Standard", Overwrite: new(true)}, "ValidationException: This parameter uses the advanced-parameter tier."},
		{"key without secret", api.PutParameterInput{Name: "x", Value: "1", Type: "String", KeyId: "alias/aws/ssm"}, "ValidationException: KeyId is required for SecureString type parameter only."},
		{"other key", api.PutParameterInput{Name: "x", Value: "1", Type: "SecureString", KeyId: "alias/mine"}, "InvalidKeyId: Alias alias/mine is not found."},
		{"tags with overwrite", api.PutParameterInput{Name: "there", Value: "1", Overwrite: new(true), Tags: []api.Tag{{Key: "a", Value: "b"}}}, "ValidationException: Invalid request: tags and overwrite can't be used together."},
		{"image", api.PutParameterInput{Name: "x", Value: "ami-1", Type: "String", DataType: "aws:ec2:image"}, "NotImplemented: PutParameter: DataType"},
		{"nested", api.PutParameterInput{Name: "x", Value: "{{ssm:a}}", Type: "String"}, "ValidationException: Parameter value can't nest another parameter."},
		{"empty", api.PutParameterInput{Name: "x", Type: "String"}, "ValidationException: 1 validation error detected"},
	} {
		_, err := s.PutParameter(as(t, ""), &c.in)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if out := put(t, s, api.PutParameterInput{Name: "tiered", Value: strings.Repeat("a", 5000), Type: "String", Tier: "Intelligent-Tiering"}); out.Tier != "Advanced" {
		t.Errorf("tier %s", out.Tier)
	}
	put(t, s, api.PutParameterInput{Name: "digits", Value: "12", Type: "String", AllowedPattern: `\d|\d\d`})
}

func TestSecureStringsAreSealed(t *testing.T) {
	s := newService(t)
	put(t, s, api.PutParameterInput{Name: "secret", Value: "hunter2-hunter2", Type: "SecureString"})
	sealed, err := s.GetParameter(as(t, ""), &api.GetParameterInput{Name: "secret"})
	if err != nil || strings.Contains(sealed.Parameter.Value, "hunter2") || sealed.Parameter.Type != "SecureString" {
		t.Fatalf("%+v, %v", sealed, err)
	}
	if got := value(t, s, "secret"); got != "hunter2-hunter2" {
		t.Errorf("decrypted: %s", got)
	}
	var all bytes.Buffer
	err = s.store.View(as(t, ""), func(tx store.Tx) error {
		for doc, err := range tx.Scan("", "") {
			if err != nil {
				return err
			}
			all.Write(doc.Value)
		}
		return nil
	})
	if err != nil || bytes.Contains(all.Bytes(), []byte("hunter2")) {
		t.Fatalf("the secret stands in the store (%v)", err)
	}
	put(t, s, api.PutParameterInput{Name: "secret", Value: "newer", Overwrite: new(true)})
	h, err := s.GetParameterHistory(as(t, ""), &api.GetParameterHistoryInput{Name: "secret", WithDecryption: new(true)})
	if err != nil || len(h.Parameters) != 2 || h.Parameters[0].Value != "hunter2-hunter2" || h.Parameters[1].Value != "newer" || h.Parameters[0].KeyId != "alias/aws/ssm" {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestDurableStepPutsOnce(t *testing.T) {
	s := newService(t)
	in := &api.PutParameterInput{Name: "p", Value: "1", Type: "String", Tags: []api.Tag{{Key: "aws:cloudformation:stack-name", Value: "s"}}}
	for range 2 {
		if out, err := s.PutParameter(as(t, "step-1"), in); err != nil || *out.Version != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	if _, err := s.PutParameter(as(t, "step-2"), in); !fault.Is(err, fault.ParameterAlreadyExists) {
		t.Fatalf("another step: %v", err)
	}
	over := &api.PutParameterInput{Name: "p", Value: "2", Overwrite: new(true)}
	for range 2 {
		if out, err := s.PutParameter(as(t, "step-3"), over); err != nil || *out.Version != 2 {
			t.Fatalf("%+v, %v", out, err)
		}
	}
}

func TestGetParameters(t *testing.T) {
	s := newService(t)
	for _, n := range []string{"b", "a", "/c/d"} {
		put(t, s, api.PutParameterInput{Name: n, Value: n, Type: "String"})
	}
	out, err := s.GetParameters(as(t, ""), &api.GetParametersInput{Names: []string{"b", "none", "/c/d:1", "a", "a:7"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range out.Parameters {
		got = append(got, p.Name+p.Selector)
	}
	if !slices.Equal(got, []string{"/c/d:1", "a", "b"}) || !slices.Equal(out.InvalidParameters, []string{"a:7", "none"}) {
		t.Errorf("%v, invalid %v", got, out.InvalidParameters)
	}
	if _, err := s.GetParameters(as(t, ""), &api.GetParametersInput{}); !fault.Is(err, fault.ValidationException) {
		t.Errorf("no names: %v", err)
	}
}

func TestGetParametersByPath(t *testing.T) {
	s := newService(t)
	for _, n := range []string{"/a/1", "/a/2", "/a/b/3", "/a/b/c/4", "/ab/5", "/a-b/6"} {
		put(t, s, api.PutParameterInput{Name: n, Value: n, Type: "String"})
	}
	put(t, s, api.PutParameterInput{Name: "/a/s", Value: "secret", Type: "SecureString"})
	for _, c := range []struct {
		in   api.GetParametersByPathInput
		want string
	}{
		{api.GetParametersByPathInput{Path: "/a"}, "/a/1 /a/2 /a/s"},
		{api.GetParametersByPathInput{Path: "/a/"}, "/a/1 /a/2 /a/s"},
		{api.GetParametersByPathInput{Path: "/a", Recursive: new(true)}, "/a/1 /a/2 /a/b/3 /a/b/c/4 /a/s"},
		{api.GetParametersByPathInput{Path: "/a/b", Recursive: new(true), MaxResults: new(int32(1))}, "/a/b/3 | /a/b/c/4"},
		{api.GetParametersByPathInput{Path: "/a", ParameterFilters: []api.ParameterStringFilter{{Key: "Type", Values: []string{"SecureString"}}}}, "/a/s"},
		{api.GetParametersByPathInput{Path: "/none"}, ""},
		{api.GetParametersByPathInput{Path: "a"}, fault.ValidationException},
		{api.GetParametersByPathInput{Path: "/a", NextToken: "x"}, fault.InvalidNextToken},
		{api.GetParametersByPathInput{Path: "/a", ParameterFilters: []api.ParameterStringFilter{{Key: "Name", Values: []string{"x"}}}}, fault.InvalidFilterKey},
	} {
		if got := pages(t, func(token string) ([]string, string, error) {
			if token != "" {
				c.in.NextToken = token
			}
			out, err := s.GetParametersByPath(as(t, ""), &c.in)
			if err != nil {
				return nil, "", err
			}
			var names []string
			for _, p := range out.Parameters {
				names = append(names, p.Name)
			}
			return names, out.NextToken, nil
		}); got != c.want {
			t.Errorf("%+v: %s, want %s", c.in, got, c.want)
		}
	}
}

// pages walks a listing: names by spaces, pages by bars, or an error's code.
func pages(t *testing.T, next func(token string) ([]string, string, error)) string {
	t.Helper()
	var all []string
	token := ""
	for {
		names, after, err := next(token)
		if f, ok := fault.As(err); ok {
			return f.Code
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Join(names, " "))
		if after == "" {
			return strings.Join(all, " | ")
		}
		token = after
	}
}

func TestDescribeParameters(t *testing.T) {
	s := newService(t)
	put(t, s, api.PutParameterInput{Name: "/web/port", Value: "80", Type: "String", Description: "d", Tags: []api.Tag{{Key: "env", Value: "prod"}}})
	put(t, s, api.PutParameterInput{Name: "/web/db/password", Value: "x", Type: "SecureString", Tier: "Advanced"})
	put(t, s, api.PutParameterInput{Name: "list", Value: "a,b", Type: "StringList"})
	f := func(key, option string, values ...string) []api.ParameterStringFilter {
		return []api.ParameterStringFilter{{Key: key, Option: option, Values: values}}
	}
	for _, c := range []struct {
		in   api.DescribeParametersInput
		want string
	}{
		{api.DescribeParametersInput{}, "/web/db/password /web/port list"},
		{api.DescribeParametersInput{MaxResults: new(int32(2))}, "/web/db/password /web/port | list"},
		{api.DescribeParametersInput{ParameterFilters: f("Name", "", "/web/port", "list")}, "/web/port list"},
		{api.DescribeParametersInput{ParameterFilters: f("Name", "BeginsWith", "/web")}, "/web/db/password /web/port"},
		{api.DescribeParametersInput{ParameterFilters: f("Name", "Contains", "db")}, "/web/db/password"},
		{api.DescribeParametersInput{ParameterFilters: f("Path", "", "/web")}, "/web/port"},
		{api.DescribeParametersInput{ParameterFilters: f("Path", "Recursive", "/web/")}, "/web/db/password /web/port"},
		{api.DescribeParametersInput{ParameterFilters: f("Type", "", "StringList")}, "list"},
		{api.DescribeParametersInput{ParameterFilters: f("Tier", "", "Advanced")}, "/web/db/password"},
		{api.DescribeParametersInput{ParameterFilters: f("KeyId", "BeginsWith", "alias/")}, "/web/db/password"},
		{api.DescribeParametersInput{ParameterFilters: f("tag:env", "", "prod")}, "/web/port"},
		{api.DescribeParametersInput{ParameterFilters: f("tag:env", "")}, "/web/port"},
		{api.DescribeParametersInput{Filters: []api.ParametersFilter{{Key: "Type", Values: []string{"String"}}}}, "/web/port"},
		{api.DescribeParametersInput{ParameterFilters: f("Label", "", "x")}, fault.InvalidFilterKey},
		{api.DescribeParametersInput{ParameterFilters: f("Type", "Contains", "x")}, fault.InvalidFilterOption},
		{api.DescribeParametersInput{ParameterFilters: f("Type", "")}, fault.InvalidFilterValue},
		{api.DescribeParametersInput{NextToken: "x"}, fault.InvalidNextToken},
	} {
		got := pages(t, func(token string) ([]string, string, error) {
			if token != "" {
				c.in.NextToken = token
			}
			out, err := s.DescribeParameters(as(t, ""), &c.in)
			if err != nil {
				return nil, "", err
			}
			var names []string
			for _, p := range out.Parameters {
				names = append(names, p.Name)
			}
			return names, out.NextToken, nil
		})
		if got != c.want {
			t.Errorf("%+v: %s, want %s", c.in, got, c.want)
		}
	}
	out, err := s.DescribeParameters(as(t, ""), &api.DescribeParametersInput{ParameterFilters: f("Name", "", "/web/port")})
	if err != nil {
		t.Fatal(err)
	}
	if p := out.Parameters[0]; p.Description != "d" || p.LastModifiedUser != "arn:aws:iam::123456789012:root" || p.Tier != "Standard" || *p.Version != 1 {
		t.Errorf("metadata %+v", p)
	}
}

func TestHistoryAndItsLimit(t *testing.T) {
	s := newService(t)
	put(t, s, api.PutParameterInput{Name: "p", Value: "1", Type: "String"})
	if _, err := s.LabelParameterVersion(as(t, ""), &api.LabelParameterVersionInput{Name: "p", Labels: []string{"first"}}); err != nil {
		t.Fatal(err)
	}
	for i := 2; i <= 100; i++ {
		put(t, s, api.PutParameterInput{Name: "p", Value: fmt.Sprint(i), Overwrite: new(true)})
	}
	over := &api.PutParameterInput{Name: "p", Value: "101", Overwrite: new(true)}
	if _, err := s.PutParameter(as(t, ""), over); !fault.Is(err, fault.ParameterMaxVersions) {
		t.Fatalf("the labelled oldest version was dropped: %v", err)
	}
	if _, err := s.LabelParameterVersion(as(t, ""), &api.LabelParameterVersionInput{Name: "p", Labels: []string{"first"}, ParameterVersion: new(int64(2))}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UnlabelParameterVersion(as(t, ""), &api.UnlabelParameterVersionInput{Name: "p", Labels: []string{"first"}, ParameterVersion: new(int64(2))}); err != nil {
		t.Fatal(err)
	}
	put(t, s, *over)
	var got []string
	in := &api.GetParameterHistoryInput{Name: "p", MaxResults: new(int32(40))}
	for {
		out, err := s.GetParameterHistory(as(t, ""), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range out.Parameters {
			got = append(got, h.Value)
		}
		if out.NextToken == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	if len(got) != 100 || got[0] != "2" || got[99] != "101" {
		t.Errorf("%d versions, %v", len(got), got)
	}
	if _, err := s.DeleteParameter(as(t, ""), &api.DeleteParameterInput{Name: "p"}); err != nil {
		t.Fatal(err)
	}
	err := s.store.View(as(t, ""), func(tx store.Tx) error {
		for doc, err := range tx.Scan("ssm/", store.PrefixEnd("ssm/")) {
			return fmt.Errorf("left behind: %s %v", doc.Key, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestLabels(t *testing.T) {
	s := newService(t)
	put(t, s, api.PutParameterInput{Name: "p", Value: "1", Type: "String"})
	put(t, s, api.PutParameterInput{Name: "p", Value: "2", Overwrite: new(true)})
	label := func(version int64, labels ...string) ([]string, error) {
		out, err := s.LabelParameterVersion(as(t, ""), &api.LabelParameterVersionInput{Name: "p", ParameterVersion: &version, Labels: labels})
		if err != nil {
			return nil, err
		}
		return out.InvalidLabels, nil
	}
	if invalid, err := label(1, "prod", "aws-x", "1st", "ok.1"); err != nil || !slices.Equal(invalid, []string{"aws-x", "1st"}) {
		t.Fatalf("%v, %v", invalid, err)
	}
	if got := value(t, s, "p:prod"); got != "1" {
		t.Errorf("prod is %s", got)
	}
	if _, err := label(2, "prod"); err != nil {
		t.Fatal(err)
	}
	if got := value(t, s, "p:prod"); got != "2" {
		t.Errorf("prod moved to %s", got)
	}
	if _, err := label(3, "x"); !fault.Is(err, fault.ParameterVersionNotFound) {
		t.Errorf("no version: %v", err)
	}
	if _, err := label(1, strings.Split("a b c d e f g h i j", " ")...); !fault.Is(err, fault.ParameterVersionLabels) {
		t.Errorf("eleven labels: %v", err)
	}
}

func TestDeleteAndTags(t *testing.T) {
	s := newService(t)
	ctx := as(t, "")
	put(t, s, api.PutParameterInput{Name: "a", Value: "1", Type: "String", Tags: []api.Tag{{Key: "x", Value: "1"}}})
	if _, err := s.AddTagsToResource(ctx, &api.AddTagsToResourceInput{ResourceType: "Parameter", ResourceId: "a", Tags: []api.Tag{{Key: "y", Value: "2"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RemoveTagsFromResource(ctx, &api.RemoveTagsFromResourceInput{ResourceType: "Parameter", ResourceId: "a", TagKeys: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	out, err := s.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceType: "Parameter", ResourceId: "a"})
	if err != nil || len(out.TagList) != 1 || out.TagList[0] != (api.Tag{Key: "y", Value: "2"}) {
		t.Errorf("%+v, %v", out, err)
	}
	for want, in := range map[string]*api.ListTagsForResourceInput{
		fault.InvalidResourceID: {ResourceType: "Parameter", ResourceId: "none"},
		fault.NotImplemented:    {ResourceType: "Document", ResourceId: "a"},
	} {
		if _, err := s.ListTagsForResource(ctx, in); !fault.Is(err, want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	deleted, err := s.DeleteParameters(ctx, &api.DeleteParametersInput{Names: []string{"none", "a"}})
	if err != nil || !slices.Equal(deleted.DeletedParameters, []string{"a"}) || !slices.Equal(deleted.InvalidParameters, []string{"none"}) {
		t.Errorf("%+v, %v", deleted, err)
	}
	if _, err := s.DeleteParameter(ctx, &api.DeleteParameterInput{Name: "a"}); !fault.Is(err, fault.ParameterNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestPublicImages(t *testing.T) {
	s := newService(t)
	for name, want := range map[string]string{
		"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64":              "ami-eu-west-1",
		"/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2":                      "ami-eu-west-1",
		"/aws/service/debian/release/12/latest/amd64":                                        "ami-eu-west-1",
		"/aws/service/debian/release/12/latest/arm64":                                        fault.ParameterNotFound,
		"/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id": "ami-eu-west-1",
		"arn:aws:ssm:eu-west-1::parameter/aws/service/debian/release/12/latest/amd64":        "ami-eu-west-1",
		"/aws/service/ami-amazon-linux-latest":                                               fault.ParameterNotFound,
	} {
		if got := value(t, s, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	in := &api.GetParametersByPathInput{Path: "/aws/service/ami-amazon-linux-latest", MaxResults: new(int32(4))}
	got := pages(t, func(token string) ([]string, string, error) {
		in.NextToken = token
		out, err := s.GetParametersByPath(as(t, ""), in)
		if err != nil {
			return nil, "", err
		}
		return []string{fmt.Sprint(len(out.Parameters))}, out.NextToken, nil
	})
	if got != "4 | 2" {
		t.Errorf("pages of %s", got)
	}
	if _, err := s.DeleteParameter(as(t, ""), &api.DeleteParameterInput{Name: "/aws/service/debian/release/12/latest/amd64"}); !fault.Is(err, fault.ParameterNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

// TestFiltersNarrowTheScan: what prefix leaves out can match no filter.
func TestFiltersNarrowTheScan(t *testing.T) {
	for want, fs := range map[string]filters{
		"/a": {{"Type", "Equals", []string{"String"}}, {"Name", "BeginsWith", []string{"/a"}}},
		"/b": {{"Name", "Equals", []string{"/b"}}},
		"":   {{"Name", "Contains", []string{"c"}}},
	} {
		if got := fs.prefix(); got != want {
			t.Errorf("%v: %q, want %q", fs, got, want)
		}
	}
	if got := (filters{{"Name", "Equals", []string{"x", "y"}}}).prefix(); got != "" {
		t.Errorf("two names: %q", got)
	}
}
