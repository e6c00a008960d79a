package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway/slipway/compute/boot"
)

// newBooter is a booter of an instance that is a folder.
func newBooter(t *testing.T) (*booter, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	return &booter{cfg: boot.Config{Kind: boot.Process, ID: "i-1", Root: t.TempDir()}, out: &out}, &out
}

func (b *booter) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (b *booter) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(b.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const everyPart = `Content-Type: multipart/mixed; boundary=B

--B
Content-Type: text/x-shellscript

#!/bin/sh
echo script >> log
--B
Content-Type: text/x-shellscript-per-boot

#!/bin/sh
echo perboot >> log
--B
Content-Type: text/cloud-config

bootcmd: ['echo "bootcmd $INSTANCE_ID" >> log']
runcmd: [[sh, -c, 'cat late >> log']]
write_files:
- {path: /late, content: "late\n", defer: true}
final_message: ready by $datasource, $HOME
colour: red
ntp: {enabled: true}
%s
--B
Content-Type: text/cloud-boothook

#cloud-boothook
#!/bin/sh
echo hook >> log
--B--
`

func TestPartsRunOnceOrAtEachBoot(t *testing.T) {
	for name, tc := range map[string]struct{ extra, first, second string }{
		"as cloud-init does": {"", "hook bootcmd i-1 late script perboot", "hook bootcmd i-1 perboot"},
		"scripts at each boot": {"cloud_final_modules: [[scripts-user, always]]",
			"hook bootcmd i-1 late script perboot", "hook bootcmd i-1 late script perboot"},
	} {
		t.Run(name, func(t *testing.T) {
			b, out := newBooter(t)
			parts, err := userDataParts([]byte(strings.Replace(everyPart, "%s", tc.extra, 1)))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{tc.first, tc.second} {
				b.put(t, "log", "")
				if err := b.runParts(t.Context(), parts, i == 1); err != nil {
					t.Error(err)
				}
				if got := strings.Join(strings.Fields(b.read(t, "log")), " "); got != want {
					t.Errorf("boot %d ran %q, want %q", i+1, got, want)
				}
			}
			for _, line := range []string{`"colour" is not built yet`, "ntp has no effect", "ready by DataSourceEc2, $HOME"} {
				if !strings.Contains(out.String(), line) {
					t.Errorf("the console does not say %q:\n%s", line, out)
				}
			}
		})
	}
}

func TestPlainRefusals(t *testing.T) {
	for data, want := range map[string]string{
		"#include\nhttp://127.0.0.1/x\n":                                "#include (text/x-include-url) is not built",
		"## template: jinja\n#cloud-config\n":                           "jinja templates are not built",
		"hello":                                                         "neither a script (#!)",
		"#cloud-config\nusers: [ann]\n":                                 errShared.Error(),
		"#cloud-config\nhostname: web\n":                                errShared.Error(),
		"#cloud-config\npackages: [jq]\n":                               errShared.Error(),
		"#cloud-config\nmounts: [[/dev/sdf, /data]]\n":                  errShared.Error(),
		"#cloud-config\nruncmd: {a: b}\n":                               "#cloud-config",
		"#cloud-config\nwrite_files: [{path: a, content: x}]\n":         "path is not absolute",
		"#cloud-config\nbootcmd: ['exit 3']\nruncmd: ['touch after']\n": "bootcmd: exit status 3",
	} {
		b, _ := newBooter(t)
		parts, err := userDataParts([]byte(data))
		if err == nil {
			err = b.runParts(t.Context(), parts, false)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", data, err, want)
		}
	}
}

func TestPowerState(t *testing.T) {
	for text, want := range map[string]string{
		"{mode: reboot}":              "call RebootInstances",
		"{mode: explode}":             "want poweroff or halt",
		"{mode: halt, delay: soon}":   `delay "soon"`,
		"{mode: halt, condition: {}}": "condition",
	} {
		b, _ := newBooter(t)
		c, err := b.parseCloudConfig([]byte("power_state: " + text))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.changePower(t.Context(), c.PowerState); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	b, out := newBooter(t)
	c, err := b.parseCloudConfig([]byte("power_state: {mode: poweroff, condition: 'false', message: bye}"))
	if err != nil || b.changePower(t.Context(), c.PowerState) != nil || strings.Contains(out.String(), "bye") {
		t.Errorf("a condition that fails ends the instance: %v, %s", err, out)
	}
}

func TestUsersAndKeys(t *testing.T) {
	b, out := newBooter(t)
	id := strconv.Itoa(os.Getuid())
	b.put(t, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:"+id+":"+id+"::/home/ann:/bin/sh\n")
	b.put(t, "/etc/group", "ops:x:900:\n")
	for range 2 { // twice is once
		if err := b.addKeys("ann", []string{"ssh-ed25519 A ann@example", " ssh-ed25519 B \n"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.read(t, "/home/ann/.ssh/authorized_keys"); got != "ssh-ed25519 A ann@example\nssh-ed25519 B\n" {
		t.Errorf("keys %q", got)
	}
	if err := b.addKeys("bob", []string{"k"}); err == nil {
		t.Error("keys for a user who is not there")
	}
	c, err := b.parseCloudConfig([]byte(`
groups: [staff, {web: [ann, bob]}]
users:
- default
- name: ops
  groups: wheel, adm
  shell: /bin/bash
  system: true
  sudo: ['ALL=(ALL) NOPASSWD:ALL']
`))
	if err != nil || len(c.Groups) != 2 || len(c.Users) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	var u cloudUser
	if err := c.Users[1].Decode(&u); err != nil {
		t.Fatal(err)
	}
	args := u.useradd(b.host())
	for _, want := range []string{"-M", "-r", "wheel,adm", "/bin/bash"} {
		if !slices.Contains(args, want) {
			t.Errorf("useradd %v lacks %s", args, want)
		}
	}
	if i := slices.Index(args, "-g"); i < 0 || args[i+1] != "ops" || args[len(args)-1] != "ops" || args[len(args)-2] != "--" {
		t.Errorf("useradd %v", args)
	}
	for range 2 {
		if err := b.sudo(u); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.read(t, sudoersFile); got != "# User rules for ops\nops ALL=(ALL) NOPASSWD:ALL\n" {
		t.Errorf("rules %q", got)
	}
	if out.Len() > 0 {
		t.Errorf("console: %s", out)
	}
}
