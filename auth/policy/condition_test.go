package policy

import "testing"

func TestConditions(t *testing.T) {
	keys := Context{
		"aws:username": {"ann"}, "aws:currenttime": {"2026-11-22T12:00:00Z"}, "aws:epochtime": {"1795348800"},
		"s3:max-keys": {"10"}, "aws:sourceip": {"2001:db8::1"}, "aws:principalarn": {"arn:aws:iam::123456789012:role/a/deploy"},
		"aws:tagkeys": {"Team", "Stage"}, "aws:securetransport": {"true"}, "sdb:blob": {"QmluYXJ5"}, "aws:empty": {""},
		"none": nil, "none:two": nil, "aws:principaltag/team": {"re*"}, "aws:principaltag/path": {"a/b"},
	}
	for _, c := range []struct {
		condition string
		want      bool
	}{
		{`"StringEquals":{"aws:username":"ann"}`, true},
		{`"stringequals":{"aws:username":"ann"}`, true},
		{`"StringEquals":{"aws:username":"Ann"}`, false},
		{`"StringEquals":{"aws:username":"a*"}`, false},
		{`"StringEqualsIgnoreCase":{"aws:username":"ANN"}`, true},
		{`"StringNotEqualsIgnoreCase":{"aws:username":"ANN"}`, false},
		{`"StringLike":{"aws:username":["b*","a?n"]}`, true},
		{`"StringNotLike":{"aws:username":["b*","a?n"]}`, false},
		{`"StringNotEquals":{"aws:username":["bob","eve"]}`, true},
		{`"StringNotEquals":{"none":"x"}`, true},
		{`"StringEquals":{"none":"x"}`, false},
		{`"StringEqualsIfExists":{"none":"x"}`, true},
		{`"StringEqualsIfExists":{"aws:username":"bob"}`, false},
		{`"StringEquals":{"aws:username":[]}`, false},
		{`"StringNotEquals":{"aws:username":[]}`, true},
		{`"NumericEquals":{"s3:max-keys":"10.0"}`, true},
		{`"NumericNotEquals":{"s3:max-keys":10}`, false},
		{`"NumericLessThan":{"s3:max-keys":11}`, true},
		{`"NumericLessThan":{"s3:max-keys":10}`, false},
		{`"NumericLessThanEquals":{"s3:max-keys":10}`, true},
		{`"NumericGreaterThan":{"s3:max-keys":9}`, true},
		{`"NumericGreaterThanEquals":{"s3:max-keys":11}`, false},
		{`"NumericEquals":{"aws:username":10}`, false},
		{`"NumericLessThanIfExists":{"none":10}`, true},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-11-22T11:59:59Z"}`, true},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-11-22T14:00:00+01:00"}`, false},
		{`"DateLessThan":{"aws:CurrentTime":"2026-11-23"}`, true},
		{`"DateEquals":{"aws:CurrentTime":"1795348800"}`, true},
		{`"DateEquals":{"aws:EpochTime":"2026-11-22T12:00:00Z"}`, true},
		{`"DateNotEquals":{"aws:EpochTime":"2026-11-22T12:00:00Z"}`, false},
		{`"DateLessThanEquals":{"aws:EpochTime":"2026"}`, false},
		{`"DateGreaterThanEquals":{"none":"2026"}`, false},
		{`"Bool":{"aws:SecureTransport":"True"}`, true},
		{`"Bool":{"aws:SecureTransport":false}`, false},
		{`"BoolIfExists":{"none":"false"}`, true},
		{`"Bool":{"none":"false"}`, false},
		{`"BinaryEquals":{"sdb:blob":"QmluYXJ5"}`, true},
		{`"BinaryEquals":{"sdb:blob":"QmluYXJ4"}`, false},
		{`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`, true},
		{`"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::1"]}`, true},
		{`"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}`, true},
		{`"IpAddress":{"aws:SourceIp":"not a network"}`, false},
		{`"NotIpAddress":{"none":"10.0.0.0/8"}`, true},
		{`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/a/*"}`, true},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}`, false},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:*:role/a/deploy"}`, false},
		{`"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}`, true},
		{`"ArnNotEquals":{"none":"arn:aws:iam::*:user/*"}`, true},
		{`"Null":{"none":"true"}`, true},
		{`"Null":{"aws:username":true}`, false},
		{`"Null":{"aws:username":"false"}`, true},
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["Team","Stage","Cost"]}`, true},
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["Team"]}`, false},
		{`"ForAllValues:StringEquals":{"none":["Team"]}`, true},
		{`"ForAllValues:StringEquals":{"aws:empty":["Team"]}`, true},
		{`"ForAllValues:StringNotEquals":{"aws:TagKeys":["Cost"]}`, true},
		{`"ForAllValues:StringNotEquals":{"aws:TagKeys":["Team"]}`, false},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":["Team","Cost"]}`, true},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":["Cost"]}`, false},
		{`"ForAnyValue:StringEquals":{"none":["Cost"]}`, false},
		{`"ForAnyValue:StringEqualsIfExists":{"none":["Cost"]}`, true},
		{`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["Team"]}`, true},
		{`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["Team","Stage"]}`, false},
		{`"ForAnyValue:StringNotEquals":{"none":["Team"]}`, false},
		{`"ForAnyValue:StringLike":{"aws:TagKeys":["St*"]}`, true},
		{`"StringEquals":{"aws:username":"${aws:username}"}`, true},
		{`"StringEquals":{"aws:username":"${none}"}`, false},
		{`"StringNotEquals":{"aws:username":"${none}"}`, true},
		{`"StringEquals":{"aws:username":"${none, 'ann'}"}`, true},
		{`"StringEquals":{"aws:username":"${ aws:UserName , 'bob'}"}`, true},
		{`"StringLike":{"aws:PrincipalTag/team":"${aws:PrincipalTag/Team}"}`, true},
		{`"StringLike":{"aws:PrincipalTag/team":"re${*}"}`, true},
		{`"StringLike":{"aws:username":"a${?}n"}`, false},
		{`"StringEquals":{"aws:PrincipalTag/path":"a/b"},"StringLike":{"aws:username":"a*"}`, true},
		{`"StringEquals":{"aws:PrincipalTag/path":"a/b"},"StringLike":{"aws:username":"b*"}`, false},
	} {
		doc, err := Parse(statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+c.condition+`}`), Resource)
		if err == nil || doc != nil {
			t.Fatal("a resource policy without a principal was accepted")
		}
		doc, err = Parse(statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+c.condition+`}`), Identity)
		if err != nil {
			t.Errorf("%s: %v", c.condition, err)
			continue
		}
		if got := Evaluate([]*Document{doc}, Request{Action: "s3:ListBucket", Resource: "arn:aws:s3:::b", Context: keys}) == Allowed; got != c.want {
			t.Errorf("%s: %v", c.condition, got)
		}
	}
}

// TestVariables are those in resources; the older version has none.
func TestVariables(t *testing.T) {
	keys := Context{"aws:username": {"ann"}, "wild": {"*"}, "none": nil}
	for _, c := range []struct {
		version, resource, asked string
		want                     Decision
	}{
		{version2012, "arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/ann/x", Allowed},
		{version2012, "arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/bob/x", NoMatch},
		{version2008, "arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/ann/x", NoMatch},
		{version2008, "arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/${aws:username}/x", Allowed},
		{version2012, "arn:aws:s3:::home/${wild}", "arn:aws:s3:::home/ann", NoMatch},
		{version2012, "arn:aws:s3:::home/${wild}", "arn:aws:s3:::home/*", Allowed},
		{version2012, "arn:aws:s3:::home/${none, 'all'}/*", "arn:aws:s3:::home/all/x", Allowed},
		{version2012, "arn:aws:s3:::a${$}${*}${?}b", "arn:aws:s3:::a$*?b", Allowed},
		{version2012, "arn:aws:s3:::a${$}${*}${?}b", "arn:aws:s3:::a$xyb", NoMatch},
		{version2012, "arn:aws:s3:::a${open", "arn:aws:s3:::a${open", Allowed},
		{version2012, "arn:aws:s3:::a?c", "arn:aws:s3:::aéc", Allowed},
	} {
		doc, err := Parse(`{"Version":"`+c.version+`","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"`+c.resource+`"}}`, Identity)
		if err != nil {
			t.Fatal(err)
		}
		if got := Evaluate([]*Document{doc}, Request{Action: "s3:GetObject", Resource: c.asked, Context: keys}); got != c.want {
			t.Errorf("%s %s on %s: %d", c.version, c.resource, c.asked, got)
		}
	}
}
