package template

// Limits of a template ("AWS CloudFormation quotas"). Those without an AWS
// counterpart keep a hostile template from costing more than its size.
const (
	MaxBody           = 1_000_000 // bytes, by URL; 51,200 in the request, which the service checks
	MaxResources      = 500
	MaxParameters     = 200
	MaxOutputs        = 200
	MaxMappings       = 200
	MaxMapAttributes  = 200
	MaxParameterBytes = 4096
	MaxDescription    = 1024
	MaxName           = 255
	maxDepth          = 100
	maxNodes          = 200_000
	maxProblems       = 1000
)
