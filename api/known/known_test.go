package known

import "testing"

func TestHas(t *testing.T) {
	for _, s := range Services() {
		ops := s.Operations()
		if len(ops) == 0 {
			t.Errorf("%s has no operations", s.Name)
		}
		for _, op := range ops {
			if !s.Has(op.Name) {
				t.Errorf("%s has %s and does not say so", s.Name, op.Name)
			}
			if s.REST() != (op.Method != "") {
				t.Errorf("%s %s: binding %q", s.Name, op.Name, op.Method)
			}
		}
		for _, no := range []string{"", " ", "\n", ops[0].Name + "x", ops[0].Name[:3], "GET", ops[0].Name + "\n" + ops[0].Name} {
			if s.Has(no) {
				t.Errorf("%s has %q", s.Name, no)
			}
		}
	}
}
