package sandbox

import (
	"encoding/json"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// complete adds the properties that a schema requires and a value lacks: some
// of GitHub's examples are older than its schemas. null where that is allowed,
// else the plainest value of the type.
func complete(s *openapi3.SchemaRef, v any) any {
	if s == nil || s.Value == nil || v == nil {
		return v
	}
	for _, inner := range s.Value.AllOf {
		v = complete(inner, v)
	}
	for _, list := range []openapi3.SchemaRefs{s.Value.AnyOf, s.Value.OneOf} {
		for _, inner := range list {
			if full := complete(inner, copied(v)); inner.Value.VisitJSON(plainJSON(full)) == nil {
				v = full
				break
			}
		}
	}
	switch value := v.(type) {
	case object:
		for _, name := range s.Value.Required {
			if _, ok := value[name]; !ok {
				value[name] = plainest(s.Value.Properties[name])
			}
		}
		for name, inner := range value {
			if p := s.Value.Properties[name]; p != nil {
				value[name] = complete(p, inner)
			}
		}
		return value
	case []any:
		for i := range value {
			value[i] = complete(s.Value.Items, value[i])
		}
		return value
	}
	return v
}

// plainJSON gives numbers the type that the validator takes.
func plainJSON(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	_ = json.Unmarshal(data, &out)
	return out
}

func plainest(s *openapi3.SchemaRef) any {
	if s == nil || s.Value == nil || nullable(s) {
		return nil
	}
	switch {
	case len(s.Value.Enum) > 0:
		return s.Value.Enum[0]
	case s.Value.Type.Is("boolean"):
		return false
	case s.Value.Type.Is("integer"), s.Value.Type.Is("number"):
		return 0
	case s.Value.Type.Is("array"):
		return []any{}
	case s.Value.Type.Is("string") && s.Value.Format == "date-time":
		return "2026-01-01T00:00:00Z"
	case s.Value.Type.Is("string") && s.Value.Format == "uri":
		return "https://example.org"
	case s.Value.Type.Is("string"):
		return ""
	}
	return complete(s, object{})
}

func nullable(s *openapi3.SchemaRef) bool {
	if s.Value.Nullable || s.Value.Type.Includes("null") {
		return true
	}
	for _, list := range []openapi3.SchemaRefs{s.Value.AnyOf, s.Value.OneOf} {
		for _, inner := range list {
			if nullable(inner) {
				return true
			}
		}
	}
	return false
}

// answerSchema is the schema of an operation's answer, nil where none is described.
func (c *contract) answerSchema(method, path string, status int) *openapi3.SchemaRef {
	op := c.operation(method, path)
	if op == nil {
		return nil
	}
	resp := op.Responses.Status(status)
	if resp == nil || resp.Value.Content["application/json"] == nil {
		return nil
	}
	return resp.Value.Content["application/json"].Schema
}

// hookSchema is the schema of a webhook, by event and action or by event.
func (c *contract) hookSchema(name string) *openapi3.SchemaRef {
	event, _, _ := strings.Cut(name, " ")
	if s := c.schemas[name]; s != nil {
		return s
	}
	return c.schemas[event]
}
