package cloudformation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/cloudformation"
	"github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/api/s3"
	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/cfn/apply"
	"github.com/slipway/slipway/cfn/transform"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
	"github.com/slipway/slipway/workflow"
)

// registration is a request to register an extension.
type registration struct {
	Token       string // UUID
	Scope       arn.Scope
	Kind, Name  string
	Package     string // URL
	Role        string
	LogRole     string
	LogGroup    string
	Caller      apply.Caller
	Status      string
	Description string
	Version     string // that it has made
	ClientToken string
	Started     time.Time
}

// registrations are keyed by scope and token.
var registrations = store.NewCollection("cloudformation/registration", store.Index[registration]{
	Name: "client", Keys: func(_ string, r *registration) []string {
		if r.ClientToken == "" {
			return nil
		}
		return []string{r.Scope.Key() + "/" + r.ClientToken}
	},
})

func (r *registration) key() string { return r.Scope.Key() + "/" + r.Token }

// registrationWorkflow is the workflow of a registration.
const registrationWorkflow = "cloudformation/registration"

// reservedNames are organizations that no extension may name ("RegisterType",
// CloudFormation API Reference).
var reservedNames = []string{"alexa", "amzn", "amazon", "aws", "custom", "dev"}

// maxPackage bounds an extension's package, in bytes.
const maxPackage = 64 << 20

// RegisterType begins to make a version of an extension of the package that "cfn
// submit" uploads.
func (s *Service) RegisterType(ctx context.Context, in *api.RegisterTypeInput) (*api.RegisterTypeOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	kind := in.Type
	if kind == "" {
		kind = resourceKind
	}
	organization, _, _ := strings.Cut(in.TypeName, "::")
	switch {
	case slices.Contains(reservedNames, strings.ToLower(organization)):
		return nil, fault.New(fault.CFNRegistry, "The organization %s is reserved and cannot be used in extension names.", organization)
	case transform.IsModule(in.TypeName) != (kind == moduleKind):
		return nil, fault.New(fault.CFNRegistry, "Type is %s, and the names of modules, and no others, end in ::MODULE: %s.", kind, in.TypeName)
	case s.cfg.S3 == nil || kind != moduleKind && (s.cfg.Lambda == nil || s.cfg.Ring == nil):
		return nil, fault.New(fault.NotImplemented, "RegisterType is not implemented: this Slipway has no Lambda")
	}
	if in.ExecutionRoleArn != "" && kind != moduleKind {
		service := handlersService
		if kind == hookKind {
			service = hooksService
		}
		if err := s.assumable(ctx, in.ExecutionRoleArn, service); err != nil {
			return nil, err
		}
	}
	r := registration{
		Token: arn.NewUUID(), Scope: c.Scope, Kind: kind, Name: in.TypeName, Package: in.SchemaHandlerPackage, Role: in.ExecutionRoleArn,
		Caller: apply.Caller{Principal: c.Principal, Endpoint: c.Endpoint, RequestID: c.RequestID}, Status: api.RegistrationStatusInProgress,
		ClientToken: in.ClientRequestToken, Started: s.cfg.Now(),
	}
	if in.LoggingConfig != nil {
		r.LogRole, r.LogGroup = in.LoggingConfig.LogRoleArn, in.LoggingConfig.LogGroupName
	}
	out := &api.RegisterTypeOutput{RegistrationToken: r.Token}
	err = s.update(ctx, func(l *apply.Ledger) error {
		out.RegistrationToken = r.Token
		if r.ClientToken != "" {
			for it, err := range registrations.ByIndex(l.Tx, "client", c.Scope.Key()+"/"+r.ClientToken) {
				if err == nil && (it.Value.Name != r.Name || it.Value.Package != r.Package) {
					err = fault.New(fault.CFNRegistry, "ClientRequestToken %s was used for another registration.", r.ClientToken)
				}
				if err != nil {
					return err
				}
				out.RegistrationToken = it.Value.Token
				return nil
			}
		}
		return errors.Join(registrations.Put(l.Tx, r.key(), &r), s.cfg.Workflows.Begin(l.Tx, registrationWorkflow, registrationWorkflow+"/"+r.key(), registrationParams{r.key()}))
	})
	return out, err
}

type registrationParams struct{ Key string }

// madeHandler is what a registration's package came to.
type madeHandler struct {
	Package  extensionPackage
	Function string
}

// runRegistration reads a package, makes the function that handles the extension, and
// the version.
func (s *Service) runRegistration(f *workflow.Flow, p registrationParams) error {
	var r *registration
	err := s.view(f.Context(), func(tx store.Tx) (err error) {
		r, err = registrations.Get(tx, p.Key)
		return err
	})
	if err != nil {
		return err
	}
	out, stepErr := workflow.Step(f, "make", func(ctx context.Context, token string) (madeHandler, error) {
		return s.makeHandler(contextOf(ctx, s, r.Caller, r.Scope, "RegisterType", token), r)
	}, workflow.Attempts(5))
	if interrupted(f, stepErr) {
		return stepErr
	}
	if stepErr != nil && r.Kind != moduleKind { // it may have come as far as the function
		if err := s.unmake(f, r.Caller, r.Scope, r.function()); err != nil {
			return err
		}
	}
	_, err = workflow.Tx(f, "keep", func(tx store.Tx) (bool, error) {
		now, err := registrations.Get(tx, p.Key)
		if err != nil {
			return false, err
		}
		if stepErr != nil {
			now.Status, now.Description = api.RegistrationStatusFailed, internalError
			if e, ok := fault.As(stepErr); ok {
				now.Description = e.Message
			} else {
				s.cfg.Logger.Error("registration failed", "type", now.Name, "error", stepErr)
			}
			return false, registrations.Put(tx, p.Key, now)
		}
		k := out.Package
		e, err := addVersion(tx, extension{Kind: now.Kind, Name: now.Name, Scope: now.Scope}, extensionVersion{
			Description: k.Description, Schema: k.Schema, Provisioning: k.Provisioning, Source: k.Source, Docs: k.Docs,
			Function: out.Function, Fragment: k.Fragment, Role: now.Role, LogRole: now.LogRole, LogGroup: now.LogGroup,
		}, s.cfg.Now())
		if err != nil {
			return false, err
		}
		now.Status, now.Version = api.RegistrationStatusComplete, versionID(e.Latest)
		now.Description = "Deployment is currently in DEPLOY_STAGE of status COMPLETED"
		return true, registrations.Put(tx, p.Key, now)
	})
	return err
}

// function is the name of the function that handles what is registered.
func (r *registration) function() string {
	return "cfn-" + strings.ToLower(r.Kind) + "-" + cut(strings.ReplaceAll(r.Name, "::", "-"), 34) + "-" + arn.SuffixFrom(r.Token, 12)
}

// packageOf reads the package of a registration.
func (s *Service) packageOf(ctx context.Context, r *registration) ([]byte, error) {
	bucket, key, ok := s3URI(r.Package)
	version := ""
	if !ok {
		var err error
		bucket, key, version, err = bucketOf(r.Package, r.Caller.Endpoint)
		ok = err == nil && bucket != "" && key != ""
	}
	if !ok {
		return nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage %s is not the URL of an object in S3", r.Package)
	}
	got, err := s.cfg.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: version})
	if err != nil {
		if e, ok := fault.As(err); ok {
			err = fault.New(fault.CFNRegistry, "SchemaHandlerPackage cannot be read: S3 error: %s (%s)", e.Message, e.Code)
		}
		return nil, err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(io.LimitReader(got.Body, maxPackage+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.Package, err)
	}
	if len(body) > maxPackage {
		return nil, fault.New(fault.CFNRegistry, "SchemaHandlerPackage has more than %d bytes", maxPackage)
	}
	return body, nil
}

// makeHandler reads a package and makes its handler, which modules have not. The same
// step finds what it made before.
func (s *Service) makeHandler(ctx context.Context, r *registration) (out madeHandler, err error) {
	body, err := s.packageOf(ctx, r)
	if err != nil {
		return out, err
	}
	if r.Kind == moduleKind {
		out.Package, err = readModule(body, r.Name)
		return out, err
	}
	k, code, err := readPackage(body, r.Kind, r.Name)
	if err != nil {
		return out, err
	}
	if k.Runtime == localRuntime {
		return s.makeLocal(ctx, r, k, code)
	}
	return s.makeFunction(ctx, r, k, code)
}

// makeFunction makes the function of a handler, and waits until it can be called.
func (s *Service) makeFunction(ctx context.Context, r *registration, k extensionPackage, code []byte) (out madeHandler, err error) {
	role := r.Role
	if role == "" {
		role = r.Scope.Global("iam", "role/aws-service-role/"+handlersService+"/AWSServiceRoleForCloudFormationHandlers").String()
	}
	name := r.function()
	in := &lambda.CreateFunctionInput{
		FunctionName: name, Runtime: k.Runtime, Handler: k.Entrypoint, Role: role, Code: &lambda.FunctionCode{ZipFile: code},
		Timeout: new(int32(60)), MemorySize: new(int32(256)), Description: "Handler of " + r.Name,
	}
	if r.LogGroup != "" {
		in.LoggingConfig = &lambda.LoggingConfig{LogGroup: r.LogGroup}
	}
	fn, err := s.cfg.Lambda.CreateFunction(ctx, in)
	if err != nil {
		if e, ok := fault.As(err); ok {
			err = fault.New(fault.CFNRegistry, "The handler's function cannot be made: %s (%s)", e.Message, e.Code)
		}
		return out, err
	}
	_, err = s.cfg.Lambda.AddPermission(auth.WithToken(ctx, ""), &lambda.AddPermissionInput{
		FunctionName: name, StatementId: "cloudformation", Action: "lambda:InvokeFunction", Principal: "cloudformation.amazonaws.com", SourceAccount: r.Scope.Account,
	})
	if e, ok := fault.As(err); ok && e.Code == "ResourceConflictException" {
		err = nil // the step has done so before
	} else if ok {
		err = fault.New(fault.CFNRegistry, "CloudFormation cannot be let call the handler's function: %s (%s)", e.Message, e.Code)
	}
	if err == nil {
		err = s.active(ctx, name)
	}
	return madeHandler{Package: k, Function: fn.FunctionArn}, err
}

// activeWithin is how long a function may take until it can be called.
const activeWithin = 2 * time.Minute

// active waits until a function can be called.
func (s *Service) active(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, activeWithin)
	defer cancel()
	for {
		fn, err := s.cfg.Lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: name})
		switch {
		case err != nil:
			return err
		case fn.State == lambda.StateActive:
			return nil
		case fn.State == lambda.StateFailed:
			return fault.New(fault.CFNRegistry, "The handler's function cannot be run: %s", fn.StateReason)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// DescribeTypeRegistration tells how far a registration is.
func (s *Service) DescribeTypeRegistration(ctx context.Context, in *api.DescribeTypeRegistrationInput) (*api.DescribeTypeRegistrationOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeTypeRegistrationOutput{}
	err = s.view(ctx, func(tx store.Tx) error {
		r, err := registrations.Get(tx, c.Scope.Key()+"/"+in.RegistrationToken)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrInvalid) {
			return fault.New(fault.CFNRegistry, "No registration token matches %s.", in.RegistrationToken)
		}
		if err != nil {
			return err
		}
		out.ProgressStatus, out.Description = r.Status, r.Description
		if r.Version != "" {
			out.TypeArn = extensionARN(r.Scope, r.Kind, r.Name)
			out.TypeVersionArn = out.TypeArn + "/" + r.Version
		}
		return nil
	})
	return out, err
}

// ListTypeRegistrations lists the tokens of registrations: those in progress, where
// no status is asked for.
func (s *Service) ListTypeRegistrations(ctx context.Context, in *api.ListTypeRegistrationsInput) (*api.ListTypeRegistrationsOutput, error) {
	c, err := s.call(ctx)
	if err != nil {
		return nil, err
	}
	n := named{Kind: in.Type, Name: in.TypeName}
	if in.TypeArn != "" {
		if n, err = extensionNamed(c.Scope, named{ARN: in.TypeArn}); err != nil {
			return nil, err
		}
	}
	status := cmp.Or(in.RegistrationStatusFilter, api.RegistrationStatusInProgress)
	out := &api.ListTypeRegistrationsOutput{RegistrationTokenList: []string{}}
	err = s.view(ctx, func(tx store.Tx) error {
		items, next, err := registrations.Page(tx, c.Scope.Key()+"/", in.NextToken, listSize(in.MaxResults), func(r *registration) bool {
			return (n.Kind == "" || r.Kind == n.Kind) && (n.Name == "" || r.Name == n.Name) && r.Status == status
		})
		for _, it := range items {
			out.RegistrationTokenList = append(out.RegistrationTokenList, it.Value.Token)
		}
		out.NextToken = next
		return tokenError(err, in.NextToken)
	})
	return out, err
}
