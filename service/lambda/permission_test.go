package lambda

import (
	"testing"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
)

func TestPermissions(t *testing.T) {
	w := newWorld(t)
	f := w.make("f")
	bucket := "arn:aws:s3:::b"
	byS3 := func(source string) error {
		c := auth.From(w.ctx)
		c.Principal = auth.Principal{Kind: auth.Service, Account: account, Name: "s3.amazonaws.com", ARN: "s3.amazonaws.com"}
		c.SourceARN = source
		_, err := w.Invoke(auth.With(w.ctx, c), &api.InvokeInput{FunctionName: f.FunctionArn})
		return err
	}
	refused(t, byS3(bucket), fault.AccessDeniedException, "no resource-based policy allows")
	out, err := w.AddPermission(w.ctx, &api.AddPermissionInput{FunctionName: "f", StatementId: "s3", Action: "lambda:InvokeFunction", Principal: "s3.amazonaws.com", SourceArn: bucket})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"` + f.FunctionArn + `","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"}}}`
	if out.Statement != want {
		t.Errorf("the statement is %s", out.Statement)
	}
	if err := byS3(bucket); err != nil {
		t.Error(err)
	}
	refused(t, byS3("arn:aws:s3:::c"), fault.AccessDeniedException, "no resource-based policy allows")
	other := as(t.Context(), "222222222222")
	_, err = w.Invoke(other, &api.InvokeInput{FunctionName: f.FunctionArn})
	refused(t, err, fault.AccessDeniedException, "no resource-based policy allows")
	if _, err := w.AddPermission(w.ctx, &api.AddPermissionInput{FunctionName: "f", StatementId: "them", Action: "lambda:InvokeFunction", Principal: "222222222222"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Invoke(other, &api.InvokeInput{FunctionName: f.FunctionArn}); err != nil {
		t.Error(err)
	}
	for _, sid := range []string{"s3", "them"} {
		if _, err := w.RemovePermission(w.ctx, &api.RemovePermissionInput{FunctionName: "f", StatementId: sid}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.GetPolicy(w.ctx, &api.GetPolicyInput{FunctionName: "f"})
	refused(t, err, fault.ResourceNotFoundException, "The resource you requested does not exist.")
}
