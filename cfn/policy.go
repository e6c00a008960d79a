package cfn

// What becomes of a resource that leaves its stack ("DeletionPolicy attribute",
// "UpdateReplacePolicy attribute", CloudFormation User Guide).
const (
	PolicyDelete               = "Delete"
	PolicyRetain               = "Retain"
	PolicyRetainExceptOnCreate = "RetainExceptOnCreate"
	PolicySnapshot             = "Snapshot"
)

// snapshotted are the types of which AWS makes snapshots before it deletes them.
var snapshotted = map[string]bool{
	"AWS::DocDB::DBCluster": true, "AWS::EC2::Volume": true, "AWS::ElastiCache::CacheCluster": true,
	"AWS::ElastiCache::ReplicationGroup": true, "AWS::Neptune::DBCluster": true, "AWS::RDS::DBCluster": true,
	"AWS::RDS::DBInstance": true, "AWS::Redshift::Cluster": true,
}

// HasSnapshots reports whether the policies of a type may be Snapshot.
func HasSnapshots(typeName string) bool { return snapshotted[typeName] }

// DeletionPolicy is a resource's policy: the template's, or the type's own where
// the template gives none. A database outlives its stack as a snapshot.
func DeletionPolicy(typeName, given string, p Properties) string {
	cluster, _ := p["DBClusterIdentifier"].(string)
	switch {
	case given != "":
		return given
	case typeName == "AWS::RDS::DBCluster", typeName == "AWS::RDS::DBInstance" && cluster == "":
		return PolicySnapshot
	}
	return PolicyDelete
}
