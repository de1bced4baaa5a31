package upstream

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// description is GitHub's description of its API, as far as belay uses it (see
// bot/sandbox/contract).
var description = sync.OnceValues(func() (*openapi3.T, error) {
	f, err := os.Open(filepath.Join("..", "sandbox", "contract", "rest.json.gz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(data)
})

var placeholder = regexp.MustCompile(`\\\{[a-z_]+\\\}`)

// operation finds what a request asks for: "/repos/acme/web/tags" is
// "/repos/{owner}/{repo}/tags".
func operation(doc *openapi3.T, path string) (string, *openapi3.Operation) {
	for _, template := range doc.Paths.InMatchingOrder() {
		form := placeholder.ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		form = strings.TrimSuffix(form, "contents/[^/]+") + map[bool]string{true: "contents/.*"}[strings.HasSuffix(form, "contents/[^/]+")]
		if item := doc.Paths.Find(template); item.Get != nil && regexp.MustCompile("^"+form+"$").MatchString(path) {
			return template, item.Get
		}
	}
	return "", nil
}

// HoldsGitHub holds a request for GitHub's API and the test's answer to it
// against GitHub's description: the operation, its parameters, and the name and
// type of every field that the answer has. Tests leave out the fields that
// belay does not read, so nothing is asked about those.
func HoldsGitHub(r *http.Request, body string) error {
	doc, err := description()
	if err != nil {
		return err
	}
	template, op := operation(doc, r.URL.Path)
	if op == nil {
		return fmt.Errorf("GitHub has no GET %s: add it to hack/openapi when belay is to ask for it", r.URL.Path)
	}
	for name := range r.URL.Query() {
		if op.Parameters.GetByInAndName("query", name) == nil {
			return fmt.Errorf("GET %s has no parameter %q", template, name)
		}
	}
	if strings.Contains(r.Header.Get("Accept"), "raw") {
		return nil // the file itself
	}
	content := op.Responses.Status(http.StatusOK).Value.Content["application/json"]
	if content == nil {
		for _, c := range op.Responses.Status(http.StatusOK).Value.Content {
			content = c
		}
	}
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return fmt.Errorf("GET %s: the answer is no JSON: %w", template, err)
	}
	return fits(content.Schema.Value, v, "GET "+template)
}

// fits reports a field that a schema does not have, or has in another type.
func fits(s *openapi3.Schema, v any, at string) error {
	for _, choices := range [][]*openapi3.SchemaRef{s.OneOf, s.AnyOf} {
		if len(choices) == 0 {
			continue
		}
		var err error
		for _, c := range choices {
			if err = fits(c.Value, v, at); err == nil {
				return nil
			}
		}
		return err
	}
	switch v := v.(type) {
	case map[string]any:
		if !s.Type.Permits("object") {
			return fmt.Errorf("%s is no object", at)
		}
		for name, inner := range v {
			p := property(s, name)
			if p == nil {
				return fmt.Errorf("%s has no field %q", at, name)
			}
			if err := fits(p, inner, at+"."+name); err != nil {
				return err
			}
		}
	case []any:
		if !s.Type.Permits("array") || s.Items == nil {
			return fmt.Errorf("%s is no list", at)
		}
		for _, inner := range v {
			if err := fits(s.Items.Value, inner, at+"[]"); err != nil {
				return err
			}
		}
	default:
		if err := s.VisitJSON(v); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func property(s *openapi3.Schema, name string) *openapi3.Schema {
	if p := s.Properties[name]; p != nil {
		return p.Value
	}
	for _, part := range s.AllOf {
		if p := property(part.Value, name); p != nil {
			return p
		}
	}
	return nil
}

func TestAnswersAreHeldAgainstGitHubsDescription(t *testing.T) {
	for name, tc := range map[string]struct{ path, body, want string }{
		"a release as GitHub writes it":    {"/repos/acme/web/releases?per_page=100&page=2", `[{"tag_name":"v1","name":null,"draft":false,"prerelease":true,"published_at":"2026-01-02T03:04:05Z"}]`, ""},
		"a field that GitHub has not":      {"/repos/acme/web/releases", `[{"tag":"v1"}]`, `has no field "tag"`},
		"a field in another type":          {"/repos/acme/web/releases", `[{"draft":"no"}]`, ".draft"},
		"a parameter that GitHub ignores":  {"/repos/acme/web/releases?since=v1", `[]`, `no parameter "since"`},
		"an operation that GitHub has not": {"/repos/acme/web/changelog", `{}`, "GitHub has no GET /repos/acme/web/changelog"},
		"a directory":                      {"/repos/acme/web/contents/docs", `[{"type":"file","name":"a.md","path":"docs/a.md","sha":"abc"}]`, ""},
		"tags":                             {"/repos/acme/web/tags?per_page=100", `[{"name":"v1"}]`, ""},
	} {
		r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1"+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = HoldsGitHub(r, tc.body)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
