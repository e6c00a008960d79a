package cfn

import "testing"

func TestDeletionPolicy(t *testing.T) {
	for _, c := range []struct {
		typeName, given string
		p               Properties
		want            string
	}{
		{"AWS::SQS::Queue", "", nil, PolicyDelete},
		{"AWS::SQS::Queue", "Retain", nil, PolicyRetain},
		{"AWS::EC2::Volume", "", nil, PolicyDelete},
		{"AWS::RDS::DBCluster", "", nil, PolicySnapshot},
		{"AWS::RDS::DBCluster", "Delete", nil, PolicyDelete},
		{"AWS::RDS::DBInstance", "", Properties{}, PolicySnapshot},
		{"AWS::RDS::DBInstance", "", Properties{"DBClusterIdentifier": "c"}, PolicyDelete},
	} {
		if got := DeletionPolicy(c.typeName, c.given, c.p); got != c.want {
			t.Errorf("%s with policy %q and %v: %s, want %s", c.typeName, c.given, c.p, got, c.want)
		}
	}
}
