package sts

import "testing"

// TestWhereKeysMayBe: a provider that a user names may be at home, what its
// document names may not.
func TestWhereKeysMayBe(t *testing.T) {
	for address, want := range map[string][2]bool{
		"127.0.0.1:443": {true, false}, "10.1.2.3:443": {true, false}, "[::1]:443": {true, false}, "[fd00::1]:443": {true, false},
		"[::ffff:192.168.0.1]:443": {true, false}, "93.184.216.34:443": {true, true},
		"169.254.169.254:443": {false, false}, "[fe80::1]:443": {false, false}, "0.0.0.0:443": {false, false}, "224.0.0.1:443": {false, false},
	} {
		got := [2]bool{anywhere("tcp", address, nil) == nil, outside("tcp", address, nil) == nil}
		if got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}
