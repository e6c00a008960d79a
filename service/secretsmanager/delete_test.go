package secretsmanager

import (
	"fmt"
	"strings"
	"testing"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
)

func TestDeletion(t *testing.T) {
	b := newBench(t)
	b.create("a", "one")
	b.create("b", "one")
	first := b.create("c", "one")
	for _, days := range []int64{6, 31, -1} {
		_, err := b.DeleteSecret(b.ctx, &api.DeleteSecretInput{SecretId: "a", RecoveryWindowInDays: &days})
		wants(t, err, fault.InvalidParameterException, "between 7 and 30 days")
	}
	_, err := b.DeleteSecret(b.ctx, &api.DeleteSecretInput{SecretId: "a", RecoveryWindowInDays: new(int64(7)), ForceDeleteWithoutRecovery: new(true)})
	wants(t, err, fault.InvalidParameterException, "in conjunction")
	out, err := b.DeleteSecret(b.ctx, &api.DeleteSecretInput{SecretId: "a", RecoveryWindowInDays: new(int64(7))})
	if err != nil || !out.DeletionDate.Equal(b.time.AddDate(0, 0, 7)) {
		t.Errorf("deletion: %+v, %v", out, err)
	}
	if out, err = b.DeleteSecret(b.ctx, &api.DeleteSecretInput{SecretId: "b"}); err != nil || !out.DeletionDate.Equal(b.time.AddDate(0, 0, 30)) {
		t.Errorf("deletion: %+v, %v", out, err)
	}
	if got := b.get(api.GetSecretValueInput{SecretId: "a"}); got != fault.InvalidRequestException {
		t.Errorf("a deleted secret tells %s", got)
	}
	listed, err := b.ListSecrets(b.ctx, &api.ListSecretsInput{})
	all, allErr := b.ListSecrets(b.ctx, &api.ListSecretsInput{IncludePlannedDeletion: new(true)})
	if err != nil || allErr != nil || len(listed.SecretList) != 1 || len(all.SecretList) != 3 || all.SecretList[0].DeletedDate == nil {
		t.Errorf("listed %+v, all %+v", listed, all)
	}

	// At the end of its window a goes, b is restored and stays.
	b.time = b.time.AddDate(0, 0, 7).Add(-time.Second)
	b.upkeepOnce()
	if n := b.kept("secretsmanager/value/"); n != 3 {
		t.Errorf("%d values before the end of the window", n)
	}
	b.time = b.time.Add(time.Second)
	b.upkeepOnce()
	if n := b.kept("secretsmanager/value/"); n != 2 {
		t.Errorf("%d values behind the end of the window", n)
	}
	if _, err := b.RestoreSecret(b.ctx, &api.RestoreSecretInput{SecretId: "a"}); !fault.Is(err, fault.ResourceNotFoundException) {
		t.Errorf("a is there: %v", err)
	}
	if _, err := b.RestoreSecret(b.ctx, &api.RestoreSecretInput{SecretId: "b"}); err != nil {
		t.Error(err)
	}
	b.time = b.time.AddDate(1, 0, 0)
	b.upkeepOnce()
	if got := b.get(api.GetSecretValueInput{SecretId: "b"}); got != "one" {
		t.Errorf("a restored secret tells %s", got)
	}

	// What is forced leaves nothing, and the name has another ARN afterwards.
	for range 2 {
		if out, err = b.DeleteSecret(b.ctx, &api.DeleteSecretInput{SecretId: "c", ForceDeleteWithoutRecovery: new(true)}); err != nil || !strings.HasPrefix(first, out.ARN) {
			t.Errorf("forced: %+v, %v", out, err)
		}
	}
	if second := b.create("c", "two"); second == first || b.get(api.GetSecretValueInput{SecretId: first}) != fault.ResourceNotFoundException {
		t.Errorf("the ARN of a deleted secret leads to another one of its name: %s", second)
	}
}

func (b *bench) upkeepOnce() {
	b.t.Helper()
	if err := b.keepUp(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func TestVersionsAreBounded(t *testing.T) {
	b := newBench(t)
	b.create("a", "value 1")
	for n := 2; n <= maxVersions; n++ {
		b.put("a", n, fmt.Sprint("value ", n))
	}
	_, err := b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "a", ClientRequestToken: id(999), SecretString: "x"})
	wants(t, err, fault.LimitExceededException, "versions")
	b.upkeepOnce()
	if n := b.kept("secretsmanager/value/"); n != maxVersions {
		t.Errorf("%d values of the last day, want %d", n, maxVersions)
	}
	b.time = b.time.Add(keptFor)
	b.upkeepOnce()
	if n := b.kept("secretsmanager/value/"); n != keptVersions {
		t.Errorf("%d values after a day, want %d", n, keptVersions)
	}
	for n, want := range map[int]string{maxVersions - keptVersions: fault.ResourceNotFoundException, maxVersions - keptVersions + 1: fmt.Sprint("value ", maxVersions-keptVersions+1)} {
		if got := b.get(api.GetSecretValueInput{SecretId: "a", VersionId: id(n)}); got != want {
			t.Errorf("version %d is %s, want %s", n, got, want)
		}
	}
	b.put("a", 999, "x")
}

func TestStages(t *testing.T) {
	b := newBench(t)
	b.create("a", "one")
	b.put("a", 2, "two", pending)
	move := func(stage, from, to string) error {
		_, err := b.UpdateSecretVersionStage(b.ctx, &api.UpdateSecretVersionStageInput{SecretId: "a", VersionStage: stage, RemoveFromVersionId: from, MoveToVersionId: to})
		return err
	}
	for _, c := range []struct{ stage, from, to, code, says string }{
		{current, "", id(2), fault.InvalidParameterException, "can't be empty. Staging label AWSCURRENT is currently attached to version " + id(1)},
		{current, id(2), id(2), fault.InvalidParameterException, "isn't attached to version " + id(2)},
		{current, id(1), "", fault.InvalidParameterException, "It can't be completely removed."},
		{current, id(1), id(9), fault.ResourceNotFoundException, "VersionId: " + id(9)},
		{current, "", "", fault.InvalidParameterException, "MoveToVersionId"},
	} {
		wants(t, move(c.stage, c.from, c.to), c.code, c.says)
	}
	stages := func() string {
		d, err := b.DescribeSecret(b.ctx, &api.DescribeSecretInput{SecretId: "a"})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(d.VersionIdsToStages[id(1)], d.VersionIdsToStages[id(2)])
	}
	for _, c := range []struct{ stage, from, to, want string }{
		{current, id(1), id(2), "[AWSPREVIOUS] [AWSCURRENT AWSPENDING]"},
		{current, "", id(2), "[AWSPREVIOUS] [AWSCURRENT AWSPENDING]"}, // has it
		{pending, id(2), "", "[AWSPREVIOUS] [AWSCURRENT]"},
		{current, id(2), id(1), "[AWSCURRENT] [AWSPREVIOUS]"},
		{"mine", "", id(1), "[AWSCURRENT mine] [AWSPREVIOUS]"},
		{previous, id(2), "", "[AWSCURRENT mine] []"},
	} {
		if err := move(c.stage, c.from, c.to); err != nil || stages() != c.want {
			t.Errorf("%s from %q to %q: %s, %v, want %s", c.stage, c.from, c.to, stages(), err, c.want)
		}
	}
	var many []string
	for n := range maxStages {
		many = append(many, fmt.Sprint("s", n))
	}
	_, err := b.PutSecretValue(b.ctx, &api.PutSecretValueInput{SecretId: "a", ClientRequestToken: id(3), SecretString: "x", VersionStages: many})
	wants(t, err, fault.LimitExceededException, "staging labels")
	b.put("a", 3, "x", many[:maxStages-2]...)
	wants(t, move("more", "", id(1)), fault.LimitExceededException, "staging labels")
}
