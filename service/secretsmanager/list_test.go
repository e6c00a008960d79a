package secretsmanager

import (
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
)

func TestList(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ name, description, key, value string }{
		{"prod/db", "The main Database", "team", "web"}, {"prod/api", "token of the partner", "team", "data"}, {"Test", "", "", ""}, {"dev/db", "Main copy", "stage", "dev"},
	} {
		in := &api.CreateSecretInput{Name: c.name, Description: c.description, SecretString: "x", ClientRequestToken: id(1)}
		if c.key != "" {
			in.Tags = []api.Tag{{Key: c.key, Value: c.value}}
		}
		if _, err := b.CreateSecret(b.ctx, in); err != nil {
			t.Fatal(err)
		}
		b.time = b.time.Add(time.Minute)
	}
	b.time = b.time.AddDate(0, 0, 1)
	b.get(api.GetSecretValueInput{SecretId: "prod/api"})
	b.put("prod/db", 2, "y")
	filter := func(pairs ...string) (out []api.Filter) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, api.Filter{Key: pairs[i], Values: strings.Split(pairs[i+1], "|")})
		}
		return out
	}
	for _, c := range []struct {
		in   api.ListSecretsInput
		want string
	}{
		{api.ListSecretsInput{}, "prod/db prod/api Test dev/db"},
		{api.ListSecretsInput{SortOrder: "desc"}, "dev/db Test prod/api prod/db"},
		{api.ListSecretsInput{SortBy: "name"}, "Test dev/db prod/api prod/db"},
		{api.ListSecretsInput{SortBy: "last-changed-date"}, "prod/api Test dev/db prod/db"},
		{api.ListSecretsInput{SortBy: "last-accessed-date", SortOrder: "desc"}, "prod/api prod/db dev/db Test"},
		{api.ListSecretsInput{Filters: filter("name", "prod/")}, "prod/db prod/api"},
		{api.ListSecretsInput{Filters: filter("name", "test")}, ""},
		{api.ListSecretsInput{Filters: filter("name", "!prod/")}, "Test dev/db"},
		{api.ListSecretsInput{Filters: filter("name", "prod/|Te")}, "prod/db prod/api Test"},
		{api.ListSecretsInput{Filters: filter("name", "prod/|!prod/a")}, "prod/db"},
		{api.ListSecretsInput{Filters: filter("description", "the MAIN")}, "prod/db"},
		{api.ListSecretsInput{Filters: filter("tag-key", "te")}, "prod/db prod/api"},
		{api.ListSecretsInput{Filters: filter("tag-key", "team", "tag-value", "da")}, "prod/api"},
		{api.ListSecretsInput{Filters: filter("all", "MAIN dev")}, "prod/db dev/db"},
		{api.ListSecretsInput{Filters: filter("primary-region", "us-east-1")}, ""},
		{api.ListSecretsInput{Filters: filter("owning-service", "!rds")}, "prod/db prod/api Test dev/db"},
	} {
		for _, limit := range []int32{100, 1, 3} {
			in := c.in
			in.MaxResults = &limit
			var got []string
			for {
				out, err := b.ListSecrets(b.ctx, &in)
				if err != nil || len(out.SecretList) > int(limit) {
					t.Fatal(len(out.SecretList), err)
				}
				for _, s := range out.SecretList {
					got = append(got, s.Name)
				}
				if in.NextToken = out.NextToken; in.NextToken == "" {
					break
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%+v by %d: %s, want %s", c.in, limit, s, c.want)
			}
		}
	}
	first, err := b.ListSecrets(b.ctx, &api.ListSecretsInput{MaxResults: new(int32(1))})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []api.ListSecretsInput{{NextToken: "nonsense"}, {NextToken: first.NextToken, SortBy: "name"}} {
		_, err := b.ListSecrets(b.ctx, &in)
		wants(t, err, fault.InvalidNextTokenException, "")
	}
}

func TestListVersions(t *testing.T) {
	b := newBench(t)
	b.create("a", "1")
	for n := 2; n <= 5; n++ {
		b.put("a", n, "x")
	}
	in := &api.ListSecretVersionIdsInput{SecretId: "a", MaxResults: new(int32(2)), IncludeDeprecated: new(true)}
	n := 0
	for {
		out, err := b.ListSecretVersionIds(b.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.Versions {
			if n++; v.VersionId != id(n) {
				t.Errorf("version %d is %s", n, v.VersionId)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
	}
	if n != 5 {
		t.Errorf("%d versions", n)
	}
	in.NextToken = "bm9uZQ"
	_, err := b.ListSecretVersionIds(b.ctx, in)
	wants(t, err, fault.InvalidNextTokenException, "")
}

func TestBatch(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a1", "a2", "b1"} {
		b.create(name, "of "+name)
	}
	if _, err := b.DeleteSecret(b.ctx, &api.DeleteSecretInput{SecretId: "a2"}); err != nil {
		t.Fatal(err)
	}
	out, err := b.BatchGetSecretValue(b.ctx, &api.BatchGetSecretValueInput{SecretIdList: []string{"b1", "a2", "none", "a1"}})
	if err != nil || len(out.SecretValues) != 2 || out.SecretValues[0].SecretString != "of b1" || out.SecretValues[1].SecretString != "of a1" ||
		len(out.Errors) != 2 || out.Errors[0].ErrorCode != fault.InvalidRequestException || out.Errors[1].ErrorCode != fault.ResourceNotFoundException {
		t.Errorf("%+v, %v", out, err)
	}
	in := &api.BatchGetSecretValueInput{Filters: []api.Filter{{Key: "name", Values: []string{"a", "b"}}}, MaxResults: new(int32(1))}
	var got []string
	for {
		out, err := b.BatchGetSecretValue(b.ctx, in)
		if err != nil || len(out.Errors) > 0 {
			t.Fatal(out, err)
		}
		for _, v := range out.SecretValues {
			got = append(got, v.SecretString)
		}
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
	}
	if s := strings.Join(got, ", "); s != "of a1, of b1" {
		t.Errorf("by filters: %s", s)
	}
	for _, in := range []api.BatchGetSecretValueInput{{}, {SecretIdList: []string{"a"}, Filters: in.Filters}, {SecretIdList: []string{"a"}, MaxResults: new(int32(1))}} {
		_, err := b.BatchGetSecretValue(b.ctx, &in)
		wants(t, err, fault.InvalidParameterException, "")
	}
}
