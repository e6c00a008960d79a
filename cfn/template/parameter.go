package template

// Given is a parameter as a request has it.
type Given struct {
	Key         string
	Value       string
	UsePrevious bool
}

// Value is a parameter's value.
type Value struct {
	Text     string // as given, or the default
	Resolved string // of AWS::SSM::Parameter::Value types: the value that Text names
	List     bool   // the type is a list; the text is comma-separated
	NoEcho   bool
}

// Values are the values of a template's parameters.
type Values map[string]Value
