package fault

// Codes of EC2's volumes, snapshots and images ("Error codes for the Amazon EC2 API").
const (
	InvalidAMINameDuplicate    = "InvalidAMIName.Duplicate"
	InvalidAMINameMalformed    = "InvalidAMIName.Malformed"
	InvalidAMIIDUnavailable    = "InvalidAMIID.Unavailable"
	InvalidAttachmentNotFound  = "InvalidAttachment.NotFound"
	InvalidBlockDeviceMapping  = "InvalidBlockDeviceMapping"
	InvalidManifest            = "InvalidManifest"
	InvalidSnapshotInUse       = "InvalidSnapshot.InUse"
	InvalidSnapshotNotFound    = "InvalidSnapshot.NotFound"
	InvalidSnapshotIDMalformed = "InvalidSnapshotID.Malformed"
	InvalidVolumeZoneMismatch  = "InvalidVolume.ZoneMismatch"
	VolumeInUse                = "VolumeInUse"
)
