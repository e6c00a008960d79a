package cfn

// Macro is what stands behind the name of a transform: a function that processes
// templates. Names are unique in an account and region.
type Macro struct {
	Name         string
	FunctionName string
	Description  string `json:",omitempty"`
	LogGroupName string `json:",omitempty"`
	LogRoleARN   string `json:",omitempty"`
}
