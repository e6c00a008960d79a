package wire

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway/slipway/api"
	"github.com/slipway/slipway/fault"
)

// A service of REST and JSON, as apigen would describe it: none is generated
// yet. Its types and tables stand in the same order.
type (
	widgetInput struct {
		Name     string
		Tags     []string
		At       *time.Time
		Token    string
		Meta     map[string]string
		Settings *widgetSettings
		Count    *int32
	}
	widgetSettings struct {
		Size  *float64
		Parts []widgetPart
		Extra any
	}
	widgetPart   struct{ Id string }
	widgetOutput struct {
		Status   *int32
		Location string
		Made     *time.Time
		Settings *widgetSettings
	}
)

func widgets(call func(context.Context, any, any) (any, error)) *api.Service {
	str, num, dbl, when, list, strs, doc, part, parts, sets, wmap := int32(1), int32(2), int32(3), int32(4), int32(0), int32(5), int32(6), int32(7), int32(8), int32(9), int32(10)
	_ = list
	return &api.Service{
		Name: "widgets", ID: "Widgets", EndpointPrefix: "widgets", SigningName: "widgets", APIVersion: "2026-01-01", Protocols: []api.Protocol{api.RESTJSON},
		Operations: []api.Operation{{Name: "PutWidget", Method: "PUT", URI: "/2026-01-01/widgets/{Name}/settings", Status: 201, Input: 11, Output: 12, Errors: []int32{13},
			NewInput: func() any { return new(widgetInput) }, Call: call}},
		Shapes: []api.Shape{
			{}, {Name: "String", Kind: api.String, Flags: api.HasMin, Min: 1}, {Name: "Int", Kind: api.Integer}, {Name: "Double", Kind: api.Double},
			{Name: "Time", Kind: api.Timestamp}, {Name: "Strings", Kind: api.List, Members: []api.Member{{Shape: str}}}, {Name: "Doc", Kind: api.Document},
			{Name: "Part", Members: []api.Member{{Name: "Id", Shape: str, Flags: api.Required, Wire: "id"}}},
			{Name: "Parts", Kind: api.List, Members: []api.Member{{Shape: part}}},
			{Name: "Settings", Members: []api.Member{{Name: "Size", Shape: dbl}, {Name: "Parts", Shape: parts}, {Name: "Extra", Shape: doc}}},
			{Name: "Map", Kind: api.Map, Members: []api.Member{{Shape: str}, {Shape: str}}},
			{Name: "PutWidgetRequest", Payload: "", Members: []api.Member{
				{Name: "Name", Shape: str, Location: api.InURI, Flags: api.Required}, {Name: "Tags", Shape: strs, Location: api.InQuery, Wire: "tag"},
				{Name: "At", Shape: when, Location: api.InQuery, Wire: "at"}, {Name: "Token", Shape: str, Location: api.InHeader, Wire: "X-Token"},
				{Name: "Meta", Shape: wmap, Location: api.InHeaders, Wire: "x-meta-"}, {Name: "Settings", Shape: sets}, {Name: "Count", Shape: num, Wire: "count"}}},
			{Name: "PutWidgetResponse", Members: []api.Member{
				{Name: "Status", Shape: num, Location: api.InStatus}, {Name: "Location", Shape: str, Location: api.InHeader},
				{Name: "Made", Shape: when}, {Name: "Settings", Shape: sets}}},
			{Name: "WidgetBusy", Code: "WidgetBusy", Status: 409, Flags: api.Exception, Members: []api.Member{{Name: "Message", Shape: str}, {Name: "Holder", Shape: part, Wire: "holder"}}},
		},
	}
}

func TestRESTJSON(t *testing.T) {
	var got any
	h := New(testConfig(Mount{Impl: struct{}{}, Desc: widgets(func(_ context.Context, _, in any) (any, error) {
		got = in
		return &widgetOutput{Status: ptr(int32(202)), Location: "/there", Made: ptr(time.Unix(1700000000, 0)), Settings: &widgetSettings{Extra: []any{"x"}}}, nil
	})}))
	w := do(h, request("PUT", "/2026-01-01/widgets/a%2Fb/settings?tag=x&tag=y&at=2026-01-02T03:04:05Z", `{"Settings":{"Size":1.5,"Parts":[{"id":"p"}],"Extra":{"k":[1]}},"count":3}`,
		signed("widgets"), "X-Token: t", "X-Meta-Colour: blue", "Content-Type: application/json"))
	want := &widgetInput{Name: "a/b", Tags: []string{"x", "y"}, At: ptr(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), Token: "t", Meta: map[string]string{"colour": "blue"}, Count: ptr(int32(3)),
		Settings: &widgetSettings{Size: ptr(1.5), Parts: []widgetPart{{Id: "p"}}, Extra: map[string]any{"k": []any{1.0}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if w.Code != 202 || w.Header().Get("Location") != "/there" || w.Body.String() != `{"Made":1700000000,"Settings":{"Extra":["x"]}}` || w.Header().Get("Content-Type") != "application/json" {
		t.Error(w.Code, w.Header(), w.Body)
	}
}

func TestRESTJSONErrors(t *testing.T) {
	h := New(testConfig(Mount{Impl: struct{}{}, Desc: widgets(func(context.Context, any, any) (any, error) {
		return nil, fault.New("WidgetBusy", "busy").With("Holder", widgetPart{Id: "me"})
	})}))
	for _, tt := range []struct {
		method, target, body string
		status               int
		typ, want            string
	}{
		{"PUT", "/2026-01-01/widgets/a/settings", "{}", 409, "WidgetBusy", `{"Message":"busy","holder":{"id":"me"}}`},
		{"PUT", "/2026-01-01/widgets/a/settings", `{"count":"x"}`, 400, "SerializationException", `{"message":"count: STRING_VALUE can not be converted to an Integer"}`},
		{"PUT", "/2026-01-01/widgets/a/settings", `{"Settings":{"Parts":[{}]}}`, 400, "ValidationException",
			`{"message":"1 validation error detected: Value null at 'settings.parts.1.member.id' failed to satisfy constraint: Member must not be null"}`},
		{"GET", "/2026-01-01/widgets/a/settings", "", 400, "UnknownOperationException", `{"message":"widgets has no operation at GET /2026-01-01/widgets/a/settings"}`},
	} {
		w := do(h, request(tt.method, tt.target, tt.body, signed("widgets")))
		if w.Code != tt.status || w.Header().Get("x-amzn-ErrorType") != tt.typ || w.Body.String() != tt.want || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %d %s %s", tt.method, tt.body, w.Code, w.Header().Get("x-amzn-ErrorType"), w.Body)
		}
	}
	if w := do(h, request(http.MethodPut, "/2026-01-01/widgets//settings", "{}", signed("widgets"))); w.Code != 400 {
		t.Error("an empty label:", w.Code)
	}
}
