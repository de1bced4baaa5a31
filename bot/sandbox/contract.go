package sandbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed contract/*.gz
var contractFiles embed.FS

type object = map[string]any

// contract is GitHub's description of its API, cut down to what belay uses.
type contract struct {
	rest     *openapi3.T
	hooks    *openapi3.T
	schemas  map[string]*openapi3.SchemaRef // of webhooks, by event and action
	examples map[string]object              // of webhooks, by event and action
	graphql  *ast.Schema

	mu   sync.Mutex
	seen map[string]int // validated, by operation
}

func readContract(name string) ([]byte, error) {
	f, err := contractFiles.Open("contract/" + name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

var loadContract = sync.OnceValues(func() (*contract, error) {
	c := &contract{schemas: map[string]*openapi3.SchemaRef{}, examples: map[string]object{}, seen: map[string]int{}}
	data, err := readContract("rest.json.gz")
	if err != nil {
		return nil, err
	}
	if c.rest, err = openapi3.NewLoader().LoadFromData(data); err != nil {
		return nil, fmt.Errorf("GitHub's description: %w", err)
	}
	if data, err = readContract("webhooks.json.gz"); err != nil {
		return nil, err
	}
	if c.hooks, err = openapi3.NewLoader().LoadFromData(data); err != nil {
		return nil, fmt.Errorf("GitHub's description of webhooks: %w", err)
	}
	var hooks struct {
		Schemas map[string]struct {
			Ref string `json:"$ref"`
		} `json:"x-webhooks"`
	}
	if err := json.Unmarshal(data, &hooks); err != nil {
		return nil, err
	}
	for name, s := range hooks.Schemas {
		c.schemas[name] = c.hooks.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	if err := c.pickExamples(); err != nil {
		return nil, err
	}
	if data, err = readContract("schema.graphql.gz"); err != nil {
		return nil, err
	}
	c.graphql, err = gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: string(data)})
	return c, err
})

// count notes that something was validated.
func (c *contract) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[what]++
}

// Webhooks lists the webhooks of the description, as "pull_request opened".
func Webhooks() []string {
	c, err := loadContract()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.schemas))
}

// Validated says how often each operation, query and webhook was held against
// GitHub's descriptions in this process.
func Validated() map[string]int {
	c, err := loadContract()
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.seen)
}

// Operations lists the REST operations of the description, as "GET /app".
func Operations() []string {
	c, err := loadContract()
	if err != nil {
		return nil
	}
	var out []string
	for path, item := range c.rest.Paths.Map() {
		for method := range item.Operations() {
			out = append(out, method+" "+path)
		}
	}
	slices.Sort(out)
	return out
}

func (c *contract) operation(method, path string) *openapi3.Operation {
	item := c.rest.Paths.Find(path)
	if item == nil {
		return nil
	}
	return item.GetOperation(method)
}

// example is GitHub's own example of an answer; of a list, its first element.
func (c *contract) example(method, path string, status int) object {
	op := c.operation(method, path)
	if op == nil {
		panic("no operation " + method + " " + path)
	}
	content := op.Responses.Status(status).Value.Content["application/json"]
	names := make([]string, 0, len(content.Examples))
	for n := range content.Examples {
		names = append(names, n)
	}
	slices.Sort(names)
	value := content.Examples[names[0]].Value.Value
	if list, ok := value.([]any); ok {
		value = list[0]
	}
	out, ok := value.(map[string]any)
	if !ok {
		panic("the example of " + method + " " + path + " is no object")
	}
	return copied(out).(object)
}

// copied is a deep copy of decoded JSON.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(object, len(v))
		for k, inner := range v {
			out[k] = copied(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = copied(inner)
		}
		return out
	}
	return v
}

// with lays values over an example: objects are merged, all else is replaced.
func with(base, over object) object {
	out := copied(base).(object)
	for k, v := range over {
		a, okA := out[k].(object)
		b, okB := v.(object)
		if okA && okB {
			out[k] = with(a, b)
			continue
		}
		out[k] = v
	}
	return out
}

// checkRequest holds a request against its operation: parameters, body, and
// that it says nothing that the description does not know.
func (c *contract) checkRequest(r *http.Request, body []byte, path string, params map[string]string) error {
	op := c.operation(r.Method, path)
	if op == nil {
		return fmt.Errorf("%s %s: GitHub's description knows no such operation", r.Method, path)
	}
	if at, ok := params["path"]; ok && at == "" {
		params["path"] = "/" // GitHub takes no path for the top directory
	}
	req := r.Clone(context.Background())
	req.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 || string(bytes.TrimSpace(body)) == "null" {
		req.Body = http.NoBody // "null" is how ghinstallation says nothing
		req.ContentLength = 0
		body = nil
	}
	input := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, QueryParams: r.URL.Query(),
		Route:   &routers.Route{Spec: c.rest, Path: path, PathItem: c.rest.Paths.Find(path), Method: r.Method, Operation: op},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		return fmt.Errorf("%s %s: request: %w", r.Method, path, brief(err))
	}
	for name := range r.URL.Query() {
		if op.Parameters.GetByInAndName("query", name) == nil && c.rest.Paths.Find(path).Parameters.GetByInAndName("query", name) == nil {
			return fmt.Errorf("%s %s: request: unknown query parameter %q", r.Method, path, name)
		}
	}
	return unknownFields(op, body, r.Method+" "+path)
}

func unknownFields(op *openapi3.Operation, body []byte, where string) error {
	if len(body) == 0 {
		return nil
	}
	var got object
	_ = json.Unmarshal(body, &got) // what is no object was held against the schema
	if op.RequestBody == nil {
		return fmt.Errorf("%s: request: a body where none is described", where)
	}
	known := map[string]bool{}
	collect(op.RequestBody.Value.Content["application/json"].Schema, known)
	for name := range got {
		if !known[name] {
			return fmt.Errorf("%s: request: unknown field %q", where, name)
		}
	}
	return nil
}

func collect(s *openapi3.SchemaRef, into map[string]bool) {
	if s == nil || s.Value == nil {
		return
	}
	for name := range s.Value.Properties {
		into[name] = true
	}
	for _, list := range []openapi3.SchemaRefs{s.Value.AnyOf, s.Value.OneOf, s.Value.AllOf} {
		for _, inner := range list {
			collect(inner, into)
		}
	}
}

// checkResponse holds an answer against the schema of its status.
func (c *contract) checkResponse(method, path string, status int, body []byte) error {
	s := c.answerSchema(method, path, status)
	if s == nil {
		return fmt.Errorf("%s %s: response: the description has no status %d with JSON", method, path, status)
	}
	if err := visit(s, body); err != nil {
		return fmt.Errorf("%s %s: response: %w", method, path, err)
	}
	c.count(method + " " + path)
	return nil
}

func visit(s *openapi3.SchemaRef, body []byte) error {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return brief(s.Value.VisitJSON(v, openapi3.MultiErrors()))
}

// brief says what is wrong and where, without the schema, which fills pages.
func brief(err error) error {
	if err == nil {
		return nil
	}
	var all []string
	var walk func(err error)
	walk = func(err error) {
		var list openapi3.MultiError
		var one *openapi3.SchemaError
		var request *openapi3filter.RequestError
		switch {
		case errors.As(err, &request) && request.Parameter != nil && request.Err != nil:
			all = append(all, fmt.Sprintf("parameter %q", request.Parameter.Name))
			walk(request.Err)
		case errors.As(err, &one):
			if one.Origin != nil {
				walk(one.Origin)
				return
			}
			all = append(all, "/"+strings.Join(one.JSONPointer(), "/")+": "+one.Reason)
		case errors.As(err, &list):
			for _, e := range list {
				walk(e)
			}
		default:
			all = append(all, err.Error())
		}
	}
	walk(err)
	return errors.New(strings.Join(all, "; "))
}

// checkHook holds a webhook against its schema and its example.
func (c *contract) checkHook(name string, body []byte) error {
	s := c.hookSchema(name)
	if s == nil {
		return fmt.Errorf("webhook %s: not described", name)
	}
	if err := visit(s, body); err != nil {
		return fmt.Errorf("webhook %s: %w", name, err)
	}
	if err := c.checkFields(name, body); err != nil {
		return err
	}
	c.count("webhook " + name)
	return nil
}
