package lambda

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	api "github.com/slipway/slipway/api/lambda"
)

// recordedNames are the names and qualifiers of the cases of TestRecordedNaming,
// which their records do not all spell out.
var recordedNames = map[string][2]string{
	"function_name_is_single_invalid":     {"*"},
	"invalid_characters_in_function_name": {"my-function!"},
	"invalid_characters_in_qualifier":     {"my-function", "invalid!"},
	"invalid_account_id_in_partial_arn":   {"invalid-account:function:my-function"},
	"invalid_region_in_arn":               {"arn:aws:lambda:invalid-region:111111111111:function:my-function"},
	"non_lambda_arn":                      {"arn:aws:ec2:us-east-1:111111111111:instance:i-1234567890abcdef0"},
	"function_name_too_long":              {strings.Repeat("a", 65)},
	"qualifier_too_long":                  {"my-function", strings.Repeat("a", 129)},
	"qualifier_too_long0":                 {"my-function", strings.Repeat("a", 129)},
	"qualifier_too_long1":                 {"my-function:" + strings.Repeat("a", 65)},
	"function_name_and_qualifier_too_long": {
		"my-function:" + strings.Repeat("a", 65),
	},
	"full_arn_with_multiple_qualifiers":                  {"arn:aws:lambda:us-east-1:111111111111:function:my-function:1:2"},
	"incomplete_arn":                                     {"arn:aws:lambda:us-east-1:111111111111:function"},
	"partial_arn_with_extra_qualifier":                   {"function:my-function:$LATEST:extra"},
	"latest_version_with_additional_qualifier":           {"my-function:$LATEST", "1"},
	"lowercase_latest_qualifier":                         {"my-function", "$latest"},
	"missing_region_in_arn":                              {"arn:aws:lambda::111111111111:function:my-function"},
	"missing_account_id_in_arn":                          {"arn:aws:lambda:us-east-1::function:my-function"},
	"misspelled_latest_in_arn":                           {"arn:aws:lambda:us-east-1:111111111111:function:my-function:$LATES"},
	"full_arn_and_qualifier_too_long_and_invalid_region": {"arn:aws:lambda:invalid-region:111111111111:function:my-function-" + strings.Repeat("a", 170) + ":" + strings.Repeat("a", 129)},
}

// recordedNothing are the cases whose records have no answer.
var recordedNothing = map[string]bool{
	"qualifier_too_long1-create_function": true, "incomplete_arn-create_function": true, "function_name_and_qualifier_too_long-create_function": true,
}

// manyLetters shortens texts as the records do.
var manyLetters = strings.NewReplacer(
	strings.Repeat("a", 140), "<a:len(140)>", strings.Repeat("a", 129), "<a:len(129)>", strings.Repeat("a", 65), "<a:len(65)>",
)

// naming is the input of a call that names a function.
func naming(c *recorded, operation string, named [2]string) any {
	switch name, qualifier := named[0], named[1]; operation {
	case "invoke":
		return &api.InvokeInput{FunctionName: name, Qualifier: qualifier}
	case "get_function":
		return &api.GetFunctionInput{FunctionName: name, Qualifier: qualifier}
	case "delete_function":
		return &api.DeleteFunctionInput{FunctionName: name, Qualifier: qualifier}
	case "create_function":
		in := c.creation(name)
		if qualifier != "" {
			in.FunctionName += ":" + qualifier
		}
		if qualifier == "$latest" {
			in.FunctionName = "arn:aws:lambda:us-east-1:111111111111:function:" + in.FunctionName
		}
		return in
	}
	c.Case.Fatalf("the operation %s is not known", operation)
	return nil
}

func anyOf(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

// violations is an error in the form of these records: what a validator has found is
// a list.
func violations(code, message string) map[string]any {
	count, list, several := strings.Cut(message, " detected: ")
	n, _, _ := strings.Cut(count, " validation error")
	number, err := strconv.Atoi(n)
	if !several || err != nil {
		return map[string]any{"Code": code, "Message": message}
	}
	// The model of the records is a newer one: it knows regions of one more kind.
	all := strings.Split(strings.ReplaceAll(list, "([a-z]{2}((-gov)", "((eusc-)?[a-z]{2}((-gov)"), "; ")
	slices.Sort(all) // nobody promises an order
	return map[string]any{"Code": code, "Count": float64(number), "Errors": anyOf(all)}
}

func TestRecordedNaming(t *testing.T) {
	each(t, recordedAPI, "TestLambdaFunction::test_function_name_and_qualifier_validation", func(c *recorded, parameter string) {
		scenario, operation, _ := strings.Cut(parameter, "-")
		named, known := recordedNames[scenario]
		if !known {
			c.Case.Fatalf("the scenario %s is not known", scenario)
		}
		if recordedNothing[parameter] {
			return
		}
		e, _ := c.Refusal(c.ctx, naming(c, operation, named))
		c.Hold(operation+"_exception", violations(e.Code, manyLetters.Replace(e.Message)))
	})
}
