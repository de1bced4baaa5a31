package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/sandbox"
)

// TestPlanAsksTheAdviser goes the whole way of the command line, with a stand-in
// for the API.
func TestPlanAsksTheAdviser(t *testing.T) {
	api, err := sandbox.NewMessages(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	api.Answer(func(sandbox.MessageRequest) sandbox.MessageAnswer {
		return sandbox.MessageAnswer{Text: `{"risk":"caution","summary":["Words for LOG_LEVEL are taken for 0."],"findings":[{"version":"v1.1.0","quote":"LOG_LEVEL takes numbers from now on","text":"It is set here.","settings":["LOG_LEVEL"]}]}`}
	})
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("repo/web/main.tf", "resource \"kubernetes_deployment\" \"web\" {\n  spec {\n    template {\n      spec {\n        container {\n          image = \"acme/web:v1.0.0\"\n          env {\n            name  = \"LOG_LEVEL\"\n            value = \"hunter2\"\n          }\n        }\n      }\n    }\n  }\n}\n")
	changes := write("CHANGELOG.md", "# Changelog\n\n## v1.1.0\n\n- `LOG_LEVEL` takes numbers from now on, words are taken for 0\n\n## v1.0.0\n\n- First\n")
	for _, name := range []string{"BELAY_ADVISER_KEY", "BELAY_ADVISER_TOKEN", "BELAY_ADVISER_SPARE_KEY", "BELAY_ADVISER_SPARE_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"} {
		t.Setenv(name, "")
		t.Setenv(name+"_FILE", "")
	}
	plan := func(more ...string) (string, string, int) {
		t.Helper()
		args := append([]string{"plan", "--repo", filepath.Join(dir, "repo"), "--image", "acme/web", "--tag", "v1.1.0", "--notes", changes,
			"--cache", filepath.Join(dir, "cache"), "--adviser-url", api.URL()}, more...)
		var out, errs bytes.Buffer
		code := run(args, strings.NewReader(""), &out, &errs)
		return out.String(), errs.String(), code
	}
	if _, errs, code := plan("--adviser"); code != 2 || !strings.Contains(errs, "BELAY_ADVISER_KEY") {
		t.Errorf("without a key: %d, %s", code, errs)
	}
	t.Setenv("ANTHROPIC_API_KEY", "sk-ant-api03-wrong")
	t.Setenv("BELAY_ADVISER_SPARE_TOKEN_FILE", write("token", api.Token()+"\n"))
	if out, errs, code := plan(); code != 0 || strings.Contains(out, "advice") || len(api.Requests()) != 0 {
		t.Errorf("a key alone is no wish to spend it: %d\n%s%s", code, out, errs)
	}
	if _, errs, code := plan("--adviser", "--offline"); code != 2 || !strings.Contains(errs, "--offline") {
		t.Errorf("offline: %d, %s", code, errs)
	}
	out, errs, code := plan("--adviser")
	for _, want := range []string{"CAUTION", "a language model; may be wrong", "Words for LOG_LEVEL are taken for 0.", "LOG_LEVEL is set in web/main.tf:8", "by the rules alone"} {
		if code != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("%q is missing: %d\n%s%s", want, code, out, errs)
		}
	}
	out, _, _ = plan("--adviser", "--format", "json")
	var got planJSON
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Upgrades) != 1 || got.Upgrades[0].Adviser == nil {
		t.Fatalf("%v in %s", err, out)
	}
	if u := got.Upgrades[0]; u.Risk != "caution" || u.Adviser.Risk != "caution" || len(u.Adviser.Findings) != 1 || strings.Join(u.Adviser.Findings[0].UsedAt, " ") != "web/main.tf:8" {
		t.Errorf("got %+v", u.Adviser)
	}
	used := api.Used()
	if len(used) != 2 || used[0] != "sk-ant-api03-wrong" || used[1] != api.Token() {
		t.Errorf("asked %d times; the refused key and the spare token are one question, and the second plan none", len(used))
	}
	for _, req := range api.Requests() {
		if strings.Contains(req.Raw, "hunter2") || strings.Contains(req.Raw, dir) {
			t.Error("a value or a path is sent")
		}
	}
	for _, text := range []string{out, errs} {
		if strings.Contains(text, "sk-ant-") {
			t.Error("a secret is shown")
		}
	}
}
