package conformance

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// commandLines are the versions of the aws command that are on this machine.
func commandLines(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	out, err := exec.Command("which", "-a", "aws").Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for _, path := range append(strings.Fields(string(out)), "/usr/bin/aws") {
		version, err := exec.Command(path, "--version").Output()
		if major, _, ok := strings.Cut(strings.TrimPrefix(string(version), "aws-cli/"), "."); err == nil && ok && found[major] == "" {
			found[major] = path
		}
	}
	if found["2"] == "" {
		t.Fatal("there is no aws command of version 2: 'make tools' installs it")
	}
	return found
}

// story is a session that every version of the command line must get through:
// each line is a command, and what its answer must show.
var story = []struct{ command, want string }{
	{"sts get-caller-identity --query Arn --output text", "arn:aws:iam::000000000000:root"},
	{"s3api create-bucket --bucket cli-$V", "cli-$V"},
	{"s3 cp server_test.go s3://cli-$V/dir/one", "upload:"},
	{"s3 ls s3://cli-$V/dir/", "one"},
	{"s3 rb s3://cli-$V --force", "remove_bucket: cli-$V"},
	{"sqs create-queue --queue-name cli-$V", "cli-$V"},
	{"sqs send-message --queue-url http://x/000000000000/cli-$V --message-body hello --query MD5OfMessageBody", "5d41402abc4b2a76b9719d911017c592"},
	{"sqs receive-message --queue-url http://x/000000000000/cli-$V --query Messages[0].Body", "hello"},
	{"ssm put-parameter --name cli-$V --type SecureString --value v --query Version", "1"},
	{"ssm get-parameter --name cli-$V --with-decryption --query Parameter.Value", "v"},
	{"kms create-alias --alias-name alias/cli-$V --target-key-id none", "!NotFoundException"},
	{"iam create-group --group-name cli-$V --query Group.Arn", "arn:aws:iam::000000000000:group/cli-$V"},
	{"iam get-group --group-name none", "!NoSuchEntity"},
	{"ec2 describe-vpcs --query Vpcs[0].IsDefault", "true"},
	{"ec2 create-security-group --group-name cli-$V --description d --query GroupId", "sg-"},
	{"ec2 run-instances --image-id ami-1", "!InvalidAMIID.Malformed"},
	{"cloudformation validate-template --template-body {\"Resources\":{\"Q\":{\"Type\":\"AWS::SQS::Queue\"}}} --query Parameters", "[]"},
	{"cloudformation describe-stacks --stack-name none", "!Stack with id none does not exist"},
}

func TestCommandLines(t *testing.T) {
	for version, path := range commandLines(t) {
		t.Run("v"+version, func(t *testing.T) {
			env := environment(t)
			for _, step := range story {
				args := append([]string{"--endpoint-url", slipway.endpoint}, strings.Fields(strings.ReplaceAll(step.command, "$V", version))...)
				want, fails := strings.CutPrefix(strings.ReplaceAll(step.want, "$V", version), "!")
				cmd := exec.Command(path, args...)
				cmd.Env = env
				out, err := cmd.CombinedOutput()
				if (err != nil) != fails || !bytes.Contains(out, []byte(want)) {
					t.Errorf("aws %s: %v\n%s\nwant %q", strings.Join(args, " "), err, out, want)
				}
			}
		})
	}
}

// The SDK for JavaScript runs its own tests, in js/, with Node's runner.
func TestJavaScript(t *testing.T) {
	cmd := exec.Command("node", "--test", "--test-reporter=tap", "slipway.test.mjs")
	cmd.Dir = "js"
	cmd.Env = environment(t)
	out, err := cmd.CombinedOutput()
	if err != nil || !slices.Contains(strings.Split(string(out), "\n"), "# fail 0") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
