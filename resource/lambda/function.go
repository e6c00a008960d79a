// Package lambda holds the resource types of AWS Lambda. It calls api/lambda alone.
package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/lambda"
	"github.com/slipway/slipway/cfn"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/resource"
)

// Types are the resource types of Lambda.
func Types(svc api.Service) []cfn.Type {
	return []cfn.Type{
		functionType(svc), versionType(svc), aliasType(svc), permissionType(svc), layerType(svc), layerPermissionType(svc),
		mappingType(svc), invokeConfigType(svc), urlType(svc),
	}
}

const (
	functionName    = "AWS::Lambda::Function"
	maxFunctionName = 64
)

type functionProperties struct {
	FunctionName                 string            `json:"FunctionName,omitempty"`
	Code                         *code             `json:"Code,omitempty"`
	Runtime                      string            `json:"Runtime,omitempty"`
	Handler                      string            `json:"Handler,omitempty"`
	Role                         string            `json:"Role,omitempty"`
	Description                  string            `json:"Description,omitempty"`
	Timeout                      *int32            `json:"Timeout,omitempty"`
	MemorySize                   *int32            `json:"MemorySize,omitempty"`
	Environment                  *environment      `json:"Environment,omitempty"`
	Layers                       []string          `json:"Layers,omitempty"`
	EphemeralStorage             *ephemeralStorage `json:"EphemeralStorage,omitempty"`
	Architectures                []string          `json:"Architectures,omitempty"`
	PackageType                  string            `json:"PackageType,omitempty"`
	DeadLetterConfig             *deadLetter       `json:"DeadLetterConfig,omitempty"`
	ReservedConcurrentExecutions *int32            `json:"ReservedConcurrentExecutions,omitempty"`
	TracingConfig                *mode             `json:"TracingConfig,omitempty"`
	LoggingConfig                *logging          `json:"LoggingConfig,omitempty"`
	SnapStart                    *applyOn          `json:"SnapStart,omitempty"`
	VpcConfig                    *vpc              `json:"VpcConfig,omitempty"`
	KmsKeyArn                    string            `json:"KmsKeyArn,omitempty"`
	Tags                         []resource.Tag    `json:"Tags,omitempty"`
	Arn                          string            `json:"Arn,omitempty"`
}

type code struct {
	ZipFile         string `json:"ZipFile,omitempty"`
	S3Bucket        string `json:"S3Bucket,omitempty"`
	S3Key           string `json:"S3Key,omitempty"`
	S3ObjectVersion string `json:"S3ObjectVersion,omitempty"`
	ImageURI        string `json:"ImageUri,omitempty"`
	SourceKMSKeyArn string `json:"SourceKMSKeyArn,omitempty"`
}

type environment struct {
	Variables map[string]text `json:"Variables,omitempty"`
}

// text is a value of a variable, whichever scalar a template gives it as.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case string:
		*t = text(v)
	case bool, float64:
		*t = text(bytes.TrimSpace(b))
	default:
		return fmt.Errorf("the value of a variable must be a string")
	}
	return nil
}

type ephemeralStorage struct {
	Size *int32 `json:"Size,omitempty"`
}

type deadLetter struct {
	TargetArn string `json:"TargetArn,omitempty"`
}

type mode struct {
	Mode string `json:"Mode,omitempty"`
}

type logging struct {
	LogFormat           string `json:"LogFormat,omitempty"`
	LogGroup            string `json:"LogGroup,omitempty"`
	ApplicationLogLevel string `json:"ApplicationLogLevel,omitempty"`
	SystemLogLevel      string `json:"SystemLogLevel,omitempty"`
}

type applyOn struct {
	ApplyOn string `json:"ApplyOn,omitempty"`
}

type vpc struct {
	SubnetIDs               []string `json:"SubnetIds,omitempty"`
	SecurityGroupIDs        []string `json:"SecurityGroupIds,omitempty"`
	Ipv6AllowedForDualStack *bool    `json:"Ipv6AllowedForDualStack,omitempty"`
}

type functionHandler struct{ svc api.Service }

func functionType(svc api.Service) cfn.Type {
	h := functionHandler{svc}
	return cfn.Type{Name: functionName, Create: h.create, Read: h.read, Update: h.update, Delete: h.delete, List: h.list}
}

// source is the code as the API takes it. Inline code becomes the file that its
// runtime's handlers are in ("AWS::Lambda::Function Code", CloudFormation Template
// Reference).
func (c *code) source(runtime string) (*api.FunctionCode, error) {
	if c == nil {
		return nil, fault.New(fault.ValidationError, "%s: Code is required", functionName)
	}
	out := &api.FunctionCode{
		S3Bucket: c.S3Bucket, S3Key: c.S3Key, S3ObjectVersion: c.S3ObjectVersion, ImageUri: c.ImageURI, SourceKMSKeyArn: c.SourceKMSKeyArn,
	}
	if c.ZipFile == "" {
		return out, nil
	}
	name := ""
	switch {
	case strings.HasPrefix(runtime, "python"):
		name = "index.py"
	case strings.HasPrefix(runtime, "nodejs"):
		name = "index.js"
	default:
		return nil, fault.New(fault.InvalidParameterValueException, "ZipFile can only be used when Runtime is set to either of nodejs or python.")
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	// The same text makes the same archive.
	head := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	head.SetMode(0o644)
	w, err := z.CreateHeader(head)
	if err == nil {
		_, err = w.Write([]byte(c.ZipFile))
	}
	if err == nil {
		err = z.Close()
	}
	out.ZipFile = b.Bytes()
	return out, err
}

func (p *functionProperties) variables() *api.Environment {
	if p.Environment == nil {
		return nil
	}
	e := &api.Environment{Variables: map[string]string{}}
	for k, v := range p.Environment.Variables {
		e.Variables[k] = string(v)
	}
	return e
}

func (p *functionProperties) logging() *api.LoggingConfig {
	if l := p.LoggingConfig; l != nil {
		return &api.LoggingConfig{LogFormat: l.LogFormat, LogGroup: l.LogGroup, ApplicationLogLevel: l.ApplicationLogLevel, SystemLogLevel: l.SystemLogLevel}
	}
	return nil
}

func (p *functionProperties) input() (*api.CreateFunctionInput, error) {
	in := &api.CreateFunctionInput{
		FunctionName: p.FunctionName, Runtime: p.Runtime, Handler: p.Handler, Role: p.Role, Description: p.Description, Timeout: p.Timeout,
		MemorySize: p.MemorySize, Environment: p.variables(), Layers: p.Layers, Architectures: p.Architectures, PackageType: p.PackageType,
		LoggingConfig: p.logging(), KMSKeyArn: p.KmsKeyArn,
	}
	if p.EphemeralStorage != nil {
		in.EphemeralStorage = &api.EphemeralStorage{Size: p.EphemeralStorage.Size}
	}
	if p.DeadLetterConfig != nil {
		in.DeadLetterConfig = &api.DeadLetterConfig{TargetArn: p.DeadLetterConfig.TargetArn}
	}
	if p.TracingConfig != nil {
		in.TracingConfig = &api.TracingConfig{Mode: p.TracingConfig.Mode}
	}
	if p.SnapStart != nil {
		in.SnapStart = &api.SnapStart{ApplyOn: p.SnapStart.ApplyOn}
	}
	if p.VpcConfig != nil {
		in.VpcConfig = &api.VpcConfig{SubnetIds: p.VpcConfig.SubnetIDs, SecurityGroupIds: p.VpcConfig.SecurityGroupIDs}
	}
	var err error
	in.Code, err = p.Code.source(p.Runtime)
	return in, err
}

func (h functionHandler) create(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p functionProperties
	if err := resource.Decode(functionName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	in, err := p.input()
	if err != nil {
		return cfn.Result{}, err
	}
	in.FunctionName, in.Tags = resource.Name(r, p.FunctionName, maxFunctionName), resource.Tags(r, p.Tags)
	if _, err := h.svc.CreateFunction(ctx, in); err != nil {
		return cfn.Result{}, err
	}
	r.Initiated(in.FunctionName)
	res := cfn.Result{PhysicalID: in.FunctionName}
	if p.ReservedConcurrentExecutions != nil {
		if err := h.reserve(ctx, in.FunctionName, p.ReservedConcurrentExecutions); err != nil {
			return res, err
		}
	}
	c, err := h.settled(ctx, in.FunctionName)
	if err != nil {
		return res, err
	}
	res.Attributes = attributes(c)
	return res, nil
}

func attributes(c *api.GetFunctionConfigurationOutput) cfn.Properties {
	return cfn.Properties{"Arn": c.FunctionArn}
}

func (h functionHandler) reserve(ctx context.Context, name string, n *int32) error {
	var err error
	if n == nil {
		_, err = h.svc.DeleteFunctionConcurrency(ctx, &api.DeleteFunctionConcurrencyInput{FunctionName: name})
	} else {
		_, err = h.svc.PutFunctionConcurrency(ctx, &api.PutFunctionConcurrencyInput{FunctionName: name, ReservedConcurrentExecutions: n})
	}
	return err
}

// look is how often a function that is being changed is looked at.
const look = 10 * time.Millisecond

// settled waits until nothing of a function is under way. A function that failed is
// an error.
func (h functionHandler) settled(ctx context.Context, name string) (*api.GetFunctionConfigurationOutput, error) {
	for {
		c, err := h.svc.GetFunctionConfiguration(ctx, &api.GetFunctionConfigurationInput{FunctionName: name})
		switch {
		case err != nil:
			return nil, err
		case c.State == api.StateFailed:
			return nil, fault.New(fault.InvalidParameterValueException, "The function %s has failed: %s", name, c.StateReason)
		case c.LastUpdateStatus == api.LastUpdateStatusFailed:
			return nil, fault.New(fault.InvalidParameterValueException, "The update of function %s has failed: %s", name, c.LastUpdateStatusReason)
		case c.State == api.StateActive && c.LastUpdateStatus != api.LastUpdateStatusInProgress:
			return c, nil
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

func (h functionHandler) get(ctx context.Context, name string) (*api.GetFunctionOutput, error) {
	out, err := h.svc.GetFunction(ctx, &api.GetFunctionInput{FunctionName: name})
	if err != nil {
		return nil, resource.Found(err, functionName, name, fault.ResourceNotFoundException)
	}
	return out, nil
}

func (h functionHandler) read(ctx context.Context, r cfn.Request) (cfn.Properties, error) {
	out, err := h.get(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	c := out.Configuration
	p := functionProperties{
		FunctionName: c.FunctionName, Runtime: c.Runtime, Handler: c.Handler, Role: c.Role, Description: c.Description, Timeout: c.Timeout,
		MemorySize: c.MemorySize, Architectures: c.Architectures, PackageType: c.PackageType, Tags: resource.OwnTags(out.Tags), Arn: c.FunctionArn,
		EphemeralStorage: &ephemeralStorage{c.EphemeralStorage.Size}, TracingConfig: &mode{c.TracingConfig.Mode},
		LoggingConfig: &logging{LogFormat: c.LoggingConfig.LogFormat, LogGroup: c.LoggingConfig.LogGroup},
	}
	for _, l := range c.Layers {
		p.Layers = append(p.Layers, l.Arn)
	}
	if c.Environment != nil {
		p.Environment = &environment{Variables: map[string]text{}}
		for k, v := range c.Environment.Variables {
			p.Environment.Variables[k] = text(v)
		}
	}
	if c.DeadLetterConfig != nil {
		p.DeadLetterConfig = &deadLetter{c.DeadLetterConfig.TargetArn}
	}
	if out.Concurrency != nil {
		p.ReservedConcurrentExecutions = out.Concurrency.ReservedConcurrentExecutions
	}
	return resource.Encode(p)
}

// Defaults of what a template leaves out.
const (
	defaultTimeout = 3
	defaultMemory  = 128
	defaultTmp     = 512
)

// change is the configuration that a template asks for. What it leaves out is what
// it would be in a new function.
func (p *functionProperties) change(name string) (*api.UpdateFunctionConfigurationInput, error) {
	in, err := p.input()
	if err != nil {
		return nil, err
	}
	out := &api.UpdateFunctionConfigurationInput{
		FunctionName: name, Runtime: in.Runtime, Handler: in.Handler, Role: in.Role, Description: in.Description, Timeout: in.Timeout,
		MemorySize: in.MemorySize, Environment: in.Environment, Layers: in.Layers, EphemeralStorage: in.EphemeralStorage,
		DeadLetterConfig: in.DeadLetterConfig, TracingConfig: in.TracingConfig, LoggingConfig: in.LoggingConfig, SnapStart: in.SnapStart,
		VpcConfig: in.VpcConfig, KMSKeyArn: in.KMSKeyArn,
	}
	if out.Timeout == nil {
		out.Timeout = new(int32(defaultTimeout))
	}
	if out.MemorySize == nil {
		out.MemorySize = new(int32(defaultMemory))
	}
	if out.EphemeralStorage == nil {
		out.EphemeralStorage = &api.EphemeralStorage{Size: new(int32(defaultTmp))}
	}
	if out.Environment == nil {
		out.Environment = &api.Environment{}
	}
	if out.Layers == nil {
		out.Layers = []string{}
	}
	if out.DeadLetterConfig == nil {
		out.DeadLetterConfig = &api.DeadLetterConfig{}
	}
	if out.LoggingConfig == nil {
		out.LoggingConfig = &api.LoggingConfig{}
	}
	return out, nil
}

// configured are the properties that UpdateFunctionConfiguration changes.
func (p functionProperties) configured() functionProperties {
	p.Code, p.ReservedConcurrentExecutions, p.Tags, p.Architectures = nil, nil, nil, nil
	return p
}

func (h functionHandler) update(ctx context.Context, r cfn.Request) (cfn.Result, error) {
	var p, prior functionProperties
	if err := resource.Decode(functionName, r.Properties, &p); err != nil {
		return cfn.Result{}, err
	}
	if err := resource.Decode(functionName, r.Prior, &prior); err != nil {
		return cfn.Result{}, err
	}
	name := r.PhysicalID
	was, err := h.get(ctx, name)
	if err != nil {
		return cfn.Result{}, err
	}
	if p.Description == "" && was.Configuration.Description != "" {
		return cfn.Result{}, fault.New(fault.NotImplemented, "%s: taking a Description away is not built in Slipway yet", functionName)
	}
	if err := h.reconfigure(ctx, name, &p, &prior); err != nil {
		return cfn.Result{}, err
	}
	if !reflect.DeepEqual(p.ReservedConcurrentExecutions, prior.ReservedConcurrentExecutions) {
		if err := h.reserve(ctx, name, p.ReservedConcurrentExecutions); err != nil {
			return cfn.Result{}, err
		}
	}
	if err := h.retag(ctx, r, &p, was); err != nil {
		return cfn.Result{}, err
	}
	c, err := h.settled(ctx, name)
	if err != nil {
		return cfn.Result{}, err
	}
	return cfn.Result{PhysicalID: name, Attributes: attributes(c)}, nil
}

// reconfigure gives a function the configuration and the code that a template asks
// for, each once the one before is through.
func (h functionHandler) reconfigure(ctx context.Context, name string, p, prior *functionProperties) error {
	if !reflect.DeepEqual(p.configured(), prior.configured()) {
		in, err := p.change(name)
		if err == nil {
			err = h.unchanging(ctx, name)
		}
		if err == nil {
			_, err = h.svc.UpdateFunctionConfiguration(ctx, in)
		}
		if err == nil {
			_, err = h.settled(ctx, name)
		}
		if err != nil {
			return err
		}
	}
	if reflect.DeepEqual(p.Code, prior.Code) && slices.Equal(p.Architectures, prior.Architectures) {
		return nil
	}
	c, err := p.Code.source(p.Runtime)
	if err == nil {
		err = h.unchanging(ctx, name)
	}
	if err != nil {
		return err
	}
	_, err = h.svc.UpdateFunctionCode(ctx, &api.UpdateFunctionCodeInput{
		FunctionName: name, ZipFile: c.ZipFile, S3Bucket: c.S3Bucket, S3Key: c.S3Key, S3ObjectVersion: c.S3ObjectVersion, ImageUri: c.ImageUri,
		SourceKMSKeyArn: c.SourceKMSKeyArn, Architectures: p.Architectures,
	})
	return err
}

// unchanging waits until a function may be changed: one that failed may, too.
func (h functionHandler) unchanging(ctx context.Context, name string) error {
	_, err := h.settled(ctx, name)
	if fault.Is(err, fault.InvalidParameterValueException) {
		return nil
	}
	return err
}

func (h functionHandler) retag(ctx context.Context, r cfn.Request, p *functionProperties, was *api.GetFunctionOutput) error {
	set, remove := resource.Retag(was.Tags, resource.Tags(r, p.Tags))
	if len(set) > 0 {
		if _, err := h.svc.TagResource(ctx, &api.TagResourceInput{Resource: was.Configuration.FunctionArn, Tags: set}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if _, err := h.svc.UntagResource(ctx, &api.UntagResourceInput{Resource: was.Configuration.FunctionArn, TagKeys: remove}); err != nil {
			return err
		}
	}
	return nil
}

func (h functionHandler) delete(ctx context.Context, r cfn.Request) error {
	_, err := h.svc.DeleteFunction(ctx, &api.DeleteFunctionInput{FunctionName: r.PhysicalID})
	return resource.Gone(err, fault.ResourceNotFoundException)
}

func (h functionHandler) list(ctx context.Context) ([]string, error) {
	in := &api.ListFunctionsInput{}
	ids := map[string]bool{}
	for {
		out, err := h.svc.ListFunctions(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, f := range out.Functions {
			ids[f.FunctionName] = true
		}
		if in.Marker = out.NextMarker; in.Marker == "" {
			return slices.Sorted(maps.Keys(ids)), nil
		}
	}
}
