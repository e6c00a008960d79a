//go:build linux || darwin

package proc

import (
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestTree(t *testing.T) {
	root := Identity{PID: 100, Start: 50, Boot: bootID()}
	leader := Process{PID: 100, Parent: 1, Session: 100, Start: 50}
	others := []Process{{PID: 1, Session: 1}, {PID: 7, Parent: 1, Session: 7, Start: 9}}
	for _, tt := range []struct {
		name    string
		session bool
		marks   map[int]Mark
		tables  [][]Process
		want    []int // in the last table
	}{
		{"a child", true, nil, [][]Process{{leader, {PID: 101, Parent: 100, Session: 100, Start: 51}}}, []int{101}},
		{"an orphan of the session", true, nil, [][]Process{{leader, {PID: 101, Parent: 1, Session: 100, Start: 51}}}, []int{101}},
		{"without the leader", true, nil, [][]Process{{{PID: 101, Parent: 1, Session: 100, Start: 51}}}, []int{101}},
		{"a child with a session of its own", true, nil, [][]Process{{leader, {PID: 101, Parent: 100, Session: 101, Start: 51}}}, []int{101}},
		{"its child", true, nil, [][]Process{{
			{PID: 101, Parent: 1, Session: 100, Start: 51}, {PID: 102, Parent: 101, Session: 102, Start: 52}}}, []int{101, 102}},
		{"one that left after a look", true, nil, [][]Process{
			{leader, {PID: 101, Parent: 100, Session: 101, Start: 51}},
			{leader, {PID: 101, Parent: 1, Session: 101, Start: 51}}}, []int{101}},
		{"another with its number", true, nil, [][]Process{
			{leader, {PID: 101, Parent: 100, Session: 101, Start: 51}},
			{leader, {PID: 101, Parent: 1, Session: 101, Start: 99}}}, nil},
		{"one that left before", true, nil, [][]Process{{leader, {PID: 101, Parent: 1, Session: 101, Start: 51}}}, nil},
		{"and has the mark", true, map[int]Mark{101: Ours}, [][]Process{{leader, {PID: 101, Parent: 1, Session: 101, Start: 51}}}, []int{101}},
		{"another leader with the number", true, nil, [][]Process{{
			{PID: 100, Parent: 1, Session: 100, Start: 99}, {PID: 101, Parent: 100, Session: 100, Start: 100}}}, nil},
		{"a later session whose mark is another", true, map[int]Mark{101: Others}, [][]Process{{{PID: 101, Parent: 1, Session: 100, Start: 99}}}, nil},
		{"a cleared environment below the leader", true, map[int]Mark{101: Others}, [][]Process{{leader, {PID: 101, Parent: 1, Session: 100, Start: 51}}}, []int{101}},
		{"older than the leader", true, nil, [][]Process{{{PID: 101, Parent: 1, Session: 100, Start: 49}}}, nil},
		{"a session that is over", false, nil, [][]Process{{{PID: 101, Parent: 1, Session: 100, Start: 51}}}, nil},
		{"but for the mark", false, map[int]Mark{101: Ours}, [][]Process{{{PID: 101, Parent: 1, Session: 3, Start: 51}}}, []int{101}},
		{"a zombie", true, nil, [][]Process{{leader, {PID: 101, Parent: 100, Session: 100, Start: 51, Ended: true}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := NewTree(root, tt.session, func(pid int) Mark { return tt.marks[pid] })
			var got []int
			for _, table := range tt.tables {
				got = nil
				for _, p := range tree.among(append(slices.Clone(others), table...)) {
					got = append(got, p.PID)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("members %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTreeOfAnotherBoot(t *testing.T) {
	tree := NewTree(Identity{PID: 100, Start: 50, Boot: "another"}, true, nil)
	if got := tree.among([]Process{{PID: 101, Parent: 1, Session: 100, Start: 51}}); len(got) > 0 {
		t.Errorf("members %v", got)
	}
}

func TestMarked(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.Env = []string{"A=1", "OURS=yes"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	// The kernel tells the environment a moment after the program was loaded.
	for deadline := time.Now().Add(10 * time.Second); Marked("A=1")(cmd.Process.Pid) == Unread && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	for line, want := range map[string]Mark{"OURS=yes": Ours, "OURS=ye": Others} {
		if got := Marked(line)(cmd.Process.Pid); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
	if got := Marked("A=1")(1 << 30); got != Unread {
		t.Errorf("of no process: %v", got)
	}
	if Marked("") != nil {
		t.Error("no mark marks something")
	}
}
