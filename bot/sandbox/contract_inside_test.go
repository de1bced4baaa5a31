package sandbox

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestContractRefusesAnswers proves that the stand-in cannot drift: an answer or
// a webhook that GitHub would not send is refused, whatever is wrong with it.
func TestContractRefusesAnswers(t *testing.T) {
	c, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	const pulls = "/repos/{owner}/{repo}/pulls"
	whole := func(change func(o object)) []byte {
		o := complete(c.answerSchema("POST", pulls, 201), c.example("POST", pulls, 201)).(object)
		change(o)
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, tc := range []struct {
		name   string
		status int
		change func(o object)
		want   string // "" is a good answer
	}{
		{"GitHub's own example", 201, func(object) {}, ""},
		{"a field of another type", 201, func(o object) { o["number"] = "7" }, "/number: value must be an integer"},
		{"a field that is missing", 201, func(o object) { delete(o, "number") }, `property "number" is missing`},
		{"a field deep down that is missing", 201, func(o object) { delete(o["head"].(object), "sha") }, `property "sha" is missing`},
		{"a null that may not be one", 201, func(o object) { o["title"] = nil }, "/title"},
		{"a value that is none of the choices", 201, func(o object) { o["state"] = "merged" }, "/state: value is not one of the allowed values"},
		{"a status that the operation does not have", 418, func(object) {}, "no status 418"},
	} {
		t.Run(tc.name, func(t *testing.T) { judge(t, c.checkResponse("POST", pulls, tc.status, whole(tc.change)), tc.want) })
	}
	t.Run("an answer that is no JSON", func(t *testing.T) {
		judge(t, c.checkResponse("POST", pulls, 201, []byte("<html>")), "invalid character")
	})
	t.Run("an operation that is not described", func(t *testing.T) { judge(t, c.checkResponse("POST", "/teapot", 201, []byte("{}")), "POST /teapot") })
}

// TestContractRefusesWebhooks holds webhooks against their schemas and against
// the fields of GitHub's real examples.
func TestContractRefusesWebhooks(t *testing.T) {
	c, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, hook string
		change     func(o object)
		want       string
	}{
		{"GitHub's own example", "issue_comment created", func(object) {}, ""},
		{"another action than it says", "issue_comment created", func(o object) { o["action"] = "shouted" }, "/action"},
		{"a field of another type", "issue_comment created", func(o object) { o["comment"].(object)["id"] = "seven" }, "/comment/id"},
		{"a part that is missing", "issue_comment created", func(o object) { delete(o, "issue") }, "issue"},
		{"a field that the schema leaves open, but GitHub's example has", "push", func(o object) { delete(o["repository"].(object), "master_branch") }, "GitHub's example has /repository/master_branch"},
		{"a field of the example only", "repository_dispatch", func(o object) { delete(o["sender"].(object), "login") }, "login"},
		{"a dispatch with any payload and any action", "repository_dispatch", func(o object) { o["action"], o["client_payload"] = "diun", object{"image": "acme/web"} }, ""},
		{"a webhook that is not described", "gollum", func(object) {}, "not described"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			payload := object{}
			if s := c.hookSchema(tc.hook); s != nil {
				payload = complete(s, c.hookExample(tc.hook)).(object)
			}
			tc.change(payload)
			data, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			judge(t, c.checkHook(tc.hook, data), tc.want)
		})
	}
}

func TestLacking(t *testing.T) {
	example := object{"a": 1, "b": object{"c": 1, "d": object{"e": 1}}, "list": []any{object{"f": 1}}, "n": object{"g": 1}}
	got := strings.Join(lacking(example, object{"b": object{"d": object{}}, "list": []any{}, "n": nil, "more": 1}, ""), " ")
	if want := "/a /b/c /b/d/e"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func judge(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil {
		t.Errorf("refused: %v", err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got %v, want something about %q", err, want)
	}
}
