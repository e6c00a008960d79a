package crash

import "strings"

// providedHead begins the templates whose resources the provider's function makes,
// changes or judges. Another version changes them, another zone replaces them.
const providedHead = `
Parameters:
  Version: { Type: Number }
  Zone: { Type: String }
Outputs:
  Version: { Value: !Ref Version }
Resources:
  Parameter:
    Type: AWS::SSM::Parameter
    Properties: { Name: !Sub '/crash/${AWS::StackName}', Type: String, Value: !Ref Version }
`

// failing is a resource that the service refuses, after all others.
const failing = `
  Broken:
    Type: AWS::SSM::Parameter
    DependsOn: [Parameter, Queue]
    Properties: { Type: String, Value: x, AllowedPattern: never }
`

// customTemplate has custom resources, one that needs the other's answer.
func customTemplate(fails bool) string {
	const resource = `
    Type: ` + customType + `
    Properties:
      ServiceToken: ` + providerARN + `
      ServiceTimeout: 170
      Stack: !Ref AWS::StackName
      Zone: !Ref Zone
`
	t := providedHead + "  First:" + resource + "      Version: !Ref Version\n  Second:" + resource + "      Version: !GetAtt First.Version\n"
	if fails {
		t += "  Broken:\n    DependsOn: [Parameter, Second]" + resource + "      Version: none\n      Fails: 'yes'\n"
	}
	return t
}

// macroTemplate becomes whole by the macro, which writes the version into it.
func macroTemplate(fails bool) string {
	t := "Transform: CrashHarness\n" + strings.Replace(providedHead, "String, Value: !Ref Version", "String, Value: unprocessed", 1) + `
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Sub '${AWS::StackName}-${Zone}' }
`
	if fails {
		t += failing
	}
	return t
}

// hookTemplate is of resources that the hook is asked of. It forbids one that fails.
func hookTemplate(fails bool) string {
	t := providedHead + `
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Sub '${AWS::StackName}-${Zone}' }
`
	if fails {
		t += strings.Replace(failing, "Value: x, AllowedPattern: never", "Value: !Sub 'forbidden in ${Version}'", 1)
	}
	return t
}

// itemTemplate has resources of the registered type.
func itemTemplate(fails bool) string {
	const resource = `
    Type: ` + itemType + `
    Properties:
      Stack: !Ref AWS::StackName
      Zone: !Ref Zone
      Version: !Ref Version
`
	t := providedHead + "  First:" + resource + "  Second:\n    DependsOn: First" + resource
	if fails {
		t += "  Broken:\n    DependsOn: [Parameter, Second]" + resource + "      Fails: 'yes'\n"
	}
	return t
}

// providedSlots are the stacks of those templates.
func providedSlots() []*slot {
	return []*slot{
		{name: "crash-custom", template: customTemplate, refusal: "as it is to"}, {name: "crash-macro", template: macroTemplate, refusal: "allowedPattern"},
		{name: "crash-hook", template: hookTemplate, hooked: true, refusal: "The following hook(s) failed: [Crash::Harness::Hook]"}, {name: "crash-item", template: itemTemplate, refusal: "as it is to"},
	}
}
