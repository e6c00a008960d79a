package wire

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/api/known"
)

// What a request is for, and the form of the answer, when nothing is built: the
// answer names service and operation.
func TestRouting(t *testing.T) {
	h := New(testConfig(unimplemented()...))
	form := func(target, body string, headers ...string) *http.Request {
		return request("POST", target, body, append(headers, formType)...)
	}
	tests := []struct {
		name   string
		r      *http.Request
		status int
		parts  []string
	}{
		{"SQS in JSON", request("POST", "/", `{"QueueName":"q"}`, signed("sqs"), json10, "X-Amz-Target: AmazonSQS.CreateQueue"), 501,
			[]string{`{"__type":"com.amazonaws.sqs#NotImplemented","message":"sqs: operation CreateQueue is not implemented"}`}},
		{"SQS in Query", form("/", "Action=CreateQueue&Version=2012-11-05&QueueName=q", signed("sqs")), 501,
			[]string{"<ErrorResponse", "<Code>NotImplemented</Code><Message>sqs: operation CreateQueue is not implemented</Message>"}},
		{"SQS in Query at a queue's URL", form("/000000000000/q", "Action=SendMessage&Version=2012-11-05&MessageBody=b", signed("sqs")), 501,
			[]string{"sqs: operation SendMessage"}},
		{"SQS without a signature, by Action and Version", form("/000000000000/q", "Action=SendMessage&Version=2012-11-05&MessageBody=b"), 501,
			[]string{"<ErrorResponse", "sqs: operation SendMessage"}},
		{"SQS in Query by GET", request("GET", "/?Action=ListQueues&Version=2012-11-05", ""), 501, []string{"<ErrorResponse", "sqs: operation ListQueues"}},
		{"CloudWatch in CBOR", request("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "\xa0", signed("monitoring"), "Content-Type: application/cbor", "Smithy-Protocol: rpc-v2-cbor"), 501,
			[]string{"cloudwatch: operation PutMetricData is not implemented", "com.amazonaws.cloudwatch#NotImplemented"}},
		{"CloudWatch in JSON", request("POST", "/", "{}", signed("monitoring"), json10, "X-Amz-Target: GraniteServiceVersion20100801.PutMetricData"), 501,
			[]string{`"message":"cloudwatch: operation PutMetricData is not implemented"`}},
		{"CloudWatch in Query", form("/", "Action=PutMetricData&Version=2010-08-01", signed("monitoring")), 501,
			[]string{"<ErrorResponse", "cloudwatch: operation PutMetricData is not implemented"}},
		{"a host's prefix does not decide", request("POST", "/", "{}", signed("servicediscovery"), json11, "Host: data-servicediscovery.localhost:4566", "X-Amz-Target: Route53AutoNaming_v20170314.DiscoverInstances"), 501,
			[]string{"servicediscovery: operation DiscoverInstances"}},
		{"nor does another service's host", request("POST", "/", "{}", signed("states"), json10, "Host: sync-states.localhost", "X-Amz-Target: AWSStepFunctions.StartSyncExecution"), 501,
			[]string{"stepfunctions: operation StartSyncExecution"}},
		{"the scope before the host", form("/", "Action=DescribeStacks&Version=2010-05-15", signed("cloudformation"), "Host: sqs.us-east-1.localhost"), 501,
			[]string{"cloudformation: operation DescribeStacks"}},
		{"a host alone", request("GET", "/2015-03-31/functions/", "", "Host: lambda.us-east-1.localhost:4566"), 501, []string{"lambda: operation ListFunctions"}},
		{"a target alone", request("POST", "/", "{}", json11, "X-Amz-Target: com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"), 501, []string{"cloudtrail: operation LookupEvents"}},
		{"a presigned scope", request("GET", "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20260101%2Fus-east-1%2Fs3%2Faws4_request", ""), 501, []string{"<Error>", "s3: operation GetObject"}},
		{"STS by a presigned GET", request("GET", "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AK%2F20260101%2Fus-east-1%2Fsts%2Faws4_request", ""), 501, []string{"<ErrorResponse", "sts: operation GetCallerIdentity"}},
		{"two services under one name, by path", request("GET", "/v2/apis", "", signed("apigateway")), 501, []string{"apigatewayv2: operation GetApis"}},
		{"and the other one", request("GET", "/restapis", "", signed("apigateway")), 501, []string{"apigateway: operation GetRestApis"}},
		{"EC2's form", form("/", "Action=DescribeVpcPeeringConnections&Version=2016-11-15", signed("ec2")), 501, []string{"<Response><Errors><Error><Code>NotImplemented</Code><Message>ec2: operation DescribeVpcPeeringConnections"}},
		{"nothing told: S3", request("GET", "/bucket/key", ""), 501, []string{"<Error>", "s3: operation GetObject"}},
		{"a service that nobody has, JSON", request("POST", "/", "{}", signed("glue"), json11, "X-Amz-Target: AWSGlue.GetJobs"), 400, []string{`{"__type":"UnknownService","message":"Slipway has no service \"glue\""}`}},
		{"a service that nobody has, Query", form("/", "Action=GetX", signed("redshift")), 400, []string{"<ErrorResponse><Error><Type>Sender</Type><Code>UnknownService</Code>"}},
		{"a target that nobody has", request("POST", "/", "{}", json11, "X-Amz-Target: AWSGlue.GetJobs"), 400, []string{`"__type":"UnknownService"`}},
		{"an action that nobody has", form("/", "Action=Nothing&Version=1999-01-01"), 400, []string{"<Code>InvalidAction</Code>"}},
		{"Query to a service of JSON", form("/", "Action=GetParameter&Version=2014-11-06", signed("ssm")), 400, []string{"<ErrorResponse", "<Code>InvalidAction</Code>"}},
		{"JSON to a service of Query", request("POST", "/", "{}", signed("iam"), json11, "X-Amz-Target: IAM.GetRole"), 400, []string{`"__type":"InvalidAction"`}},
		{"no operation, JSON", request("POST", "/", "{}", signed("ssm"), json11), 400, []string{`"__type":"UnknownOperationException"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := do(h, tt.r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			mustContain(t, w.Body.String(), tt.parts...)
		})
	}
}

// requestFor builds a request for an operation that is known by name, in one
// of its service's protocols.
func requestFor(s *known.Service, p api.Protocol, op known.Operation) *http.Request {
	auth := signed(s.SigningName)
	switch p {
	case api.AWSQuery, api.EC2Query:
		return request("POST", "/", "Action="+op.Name+"&Version="+s.APIVersion, auth, formType)
	case api.AWSJSON10:
		return request("POST", "/", "{}", auth, json10, "X-Amz-Target: "+s.TargetPrefix+"."+op.Name)
	case api.AWSJSON11:
		return request("POST", "/", "{}", auth, json11, "X-Amz-Target: "+s.TargetPrefix+"."+op.Name)
	case api.RPCV2CBOR:
		return request("POST", "/service/"+s.TargetPrefix+"/operation/"+op.Name, "\xa0", auth, "Smithy-Protocol: rpc-v2-cbor")
	}
	path, query, _ := strings.Cut(op.URI, "?")
	var parts []string
	for step := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(step, "{") {
			step = url.PathEscape("a:b/c")
			if s.Name == "s3" {
				step = "label"
			}
		}
		parts = append(parts, step)
	}
	r := httptest.NewRequest(op.Method, strings.Join(parts, "/"), nil)
	if query != "" {
		query += "&"
	}
	for _, need := range op.Needs {
		if name, ok := strings.CutSuffix(need, ":"); ok {
			r.Header.Set(name, "x")
		} else {
			query += need + "=x&"
		}
	}
	r.URL.RawQuery = query
	r.Header.Set("Authorization", scoped(s.SigningName))
	return r
}

// Every operation of every service is known by name and answers 501 with it, in
// each protocol of its service; nothing else answers so.
func TestEveryKnownOperationAnswers501(t *testing.T) {
	h := New(testConfig())
	count := 0
	for _, s := range known.Services() {
		twins := sameBinding(s)
		for _, p := range s.Protocols {
			for _, op := range s.Operations() {
				count++
				w := do(h, requestFor(s, p, op))
				ok := w.Code == http.StatusNotImplemented
				if op.Method != http.MethodHead {
					named := false
					for _, name := range append(twins[op.Method+op.URI], op.Name) {
						named = named || strings.Contains(w.Body.String(), s.Name+": operation "+name+" is not implemented")
					}
					ok = ok && named && strings.Contains(w.Body.String()+w.Header().Get("x-amzn-errortype"), "NotImplemented")
				}
				if !ok {
					t.Errorf("%s %s %d: %d %s", s.Name, op.Name, p, w.Code, w.Body)
				}
			}
		}
	}
	if count < 3000 {
		t.Errorf("%d operations, want those of 41 services", count)
	}
}

// sameBinding groups the operations that no request can tell apart: S3 kept
// the older of two under one path.
func sameBinding(s *known.Service) map[string][]string {
	twins := map[string][]string{}
	for _, op := range s.Operations() {
		if op.URI != "" {
			twins[op.Method+op.URI] = append(twins[op.Method+op.URI], op.Name)
		}
	}
	return twins
}
