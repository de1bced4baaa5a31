package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
)

// workflows is a stand-in GitHub with one repository, in which workflows run
// belay action as a process of its own.
type workflows struct {
	t     *testing.T
	gh    *sandbox.GitHub
	repo  *sandbox.Repository
	web   *sandbox.Repository
	token string
	runs  atomic.Int64
}

const actionConfig = `
sources: { docker.io/acme/web: proj/web, docker.io/acme/data: proj/data }
apply: { checks: [deploy], timeout: 15m }
verify: { safe: 10ms, caution: 10ms, unknown: 10ms, interval: 1s, extend: 1s, settle: 1s }
dashboard: { issue: false }
`

func stackOf(image string) string {
	return fmt.Sprintf("resource \"kubernetes_deployment\" \"app\" {\n  spec {\n    template {\n      spec {\n        container {\n          image = %q\n          env {\n            name  = \"OLD_SETTING\"\n            value = \"1\"\n          }\n        }\n      }\n    }\n  }\n}\n", image)
}

func newWorkflows(t *testing.T, files map[string]string) *workflows {
	t.Helper()
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	all := map[string]string{".github/belay.yml": actionConfig, "stacks/web/main.tf": stackOf("acme/web:1.0.0"), "stacks/data/main.tf": stackOf("acme/data:2.0.0")}
	maps.Copy(all, files)
	repo, err := gh.AddRepository("acme", "home-ops", all)
	if err != nil {
		t.Fatal(err)
	}
	var web *sandbox.Repository
	for _, name := range []string{"data", "web"} {
		up, err := gh.AddUpstream("proj", name, map[string]string{"README.md": name})
		if err != nil {
			t.Fatal(err)
		}
		for tag, body := range map[string]string{"1.0.1": "### Fixed\n\n- a crash when the list is empty", "2.0.1": "### Fixed\n\n- a typo", "1.1.0": "### Added\n\n- dark mode",
			"3.0.0": "### Breaking changes\n\n- `OLD_SETTING` was removed, use `NEW_SETTING`"} {
			if err := up.Release(tag, body); err != nil {
				t.Fatal(err)
			}
		}
		web = up
	}
	repo.AutoChecks(map[string]string{"ci": "pending"})
	return &workflows{t: t, gh: gh, repo: repo, web: web, token: repo.WorkflowToken()}
}

// ran is what became of a run.
type ran struct {
	code         int
	stdout, logs string
	outputs      map[string]string
	summary      string
}

// example is GitHub's own example of an event, with some values of the test's.
func example(t *testing.T, event, action string, change map[string]any) map[string]any {
	t.Helper()
	all, err := sandbox.WebhookExamples()
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range all[event] {
		var e map[string]any
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatal(err)
		}
		if action != "" && e["action"] != action {
			continue
		}
		return merged(e, change)
	}
	t.Fatalf("there is no example of %s %s", event, action)
	return nil
}

func merged(into, change map[string]any) map[string]any {
	for k, v := range change {
		deep, ok := v.(map[string]any)
		old, was := into[k].(map[string]any)
		if ok && was {
			into[k] = merged(old, deep)
			continue
		}
		into[k] = v
	}
	return into
}

// run has a workflow run belay action for an event, as the runner would.
func (w *workflows) run(event string, payload any, inputs map[string]string) ran {
	w.t.Helper()
	dir := w.t.TempDir()
	data, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			w.t.Fatal(err)
		}
		return path
	}
	number := 9_000_000_000 + w.runs.Add(1) // several run at once
	env := map[string]string{"PATH": os.Getenv("PATH"), "HOME": dir, "RUNNER_TEMP": dir, "CI": "true", "GITHUB_ACTIONS": "true",
		"GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": file("event.json", data), "GITHUB_OUTPUT": file("output", nil), "GITHUB_STEP_SUMMARY": file("summary", nil),
		"GITHUB_REPOSITORY": w.repo.FullName(), "GITHUB_SERVER_URL": w.gh.URL(), "GITHUB_API_URL": w.gh.URL() + "/api/v3", "GITHUB_WORKSPACE": dir,
		"GITHUB_RUN_ID": fmt.Sprint(number), "GITHUB_RUN_ATTEMPT": "1", "INPUT_TOKEN": w.token, "INPUT_WAIT": "0s", "INPUT_SCAN": "false"}
	for k, v := range inputs {
		env["INPUT_"+strings.ToUpper(k)] = v
	}
	cmd := exec.Command("belay", "action", "--upstream-api", w.gh.URL()+"/api/v3")
	for _, k := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, k+"="+env[k])
	}
	var stdout, logs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &logs
	out := ran{outputs: map[string]string{}}
	if err := cmd.Run(); err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			w.t.Fatal(err)
		}
		out.code = exit.ExitCode()
	}
	out.stdout, out.logs = stdout.String(), logs.String()
	for name, into := range map[string]*string{"summary": &out.summary} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			w.t.Fatal(err)
		}
		*into = string(text)
	}
	text, err := os.ReadFile(filepath.Join(dir, "output"))
	if err != nil {
		w.t.Fatal(err)
	}
	out.outputs = outputs(w.t, string(text))
	for _, where := range []string{out.logs, out.summary, string(text), strings.ReplaceAll(out.stdout, "::add-mask::"+w.token, "")} {
		if strings.Contains(where, w.token) {
			w.t.Errorf("the token stands in %q", where)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "belay-*")); len(left) > 0 {
		w.t.Errorf("the run left %v", left)
	}
	return out
}

// outputs reads the file of GITHUB_OUTPUT as the runner does.
func outputs(t *testing.T, text string) map[string]string {
	t.Helper()
	out := map[string]string{}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok {
			if lines[i] != "" {
				t.Errorf("a line of GITHUB_OUTPUT that is none: %q", lines[i])
			}
			continue
		}
		var value []string
		for i++; i < len(lines) && lines[i] != delimiter; i++ {
			value = append(value, lines[i])
		}
		out[name] = strings.Join(value, "\n")
	}
	return out
}

// ok fails the test where a run failed.
func (w *workflows) ok(r ran) ran {
	w.t.Helper()
	if r.code != 0 {
		w.t.Fatalf("the run ended with %d\n%s\n%s", r.code, r.stdout, r.logs)
	}
	return r
}

// pull is a pull request as it stands.
func (w *workflows) pull(number int) sandbox.Pull {
	w.t.Helper()
	for _, p := range w.repo.Pulls() {
		if p.Number == number {
			return p
		}
	}
	w.t.Fatalf("there is no pull request %d", number)
	return sandbox.Pull{}
}

func (w *workflows) dispatch(image, tag string, inputs map[string]string) ran {
	w.t.Helper()
	return w.run("repository_dispatch", example(w.t, "repository_dispatch", "", map[string]any{"action": "diun",
		"client_payload": map[string]any{"diun_entry_image": "docker.io/" + image, "diun_entry_imagetag": tag, "diun_entry_status": "new"}}), inputs)
}

// TestActionDispatchOpensAPullRequest: what DIUN's message asks for is done by a
// run that has nothing but the event.
func TestActionDispatchOpensAPullRequest(t *testing.T) {
	w := newWorkflows(t, nil)
	r := w.ok(w.dispatch("acme/web", "1.0.1", nil))
	p := w.pull(1)
	if p.State != "open" || p.Branch != "belay/web/1.0.1" || p.Author != "github-actions[bot]" {
		t.Errorf("pull request %+v", p)
	}
	m, err := report.ParseMarker(p.Body)
	if err != nil || m.Owner != "action" || m.Service != "web" || len(m.Moves) == 0 {
		t.Errorf("marker %+v, %v", m, err)
	}
	if got := r.outputs["opened"]; got != "[1]" {
		t.Errorf("output opened %q", got)
	}
	if !strings.Contains(r.summary, "| web | `1.0.0` | `1.0.1` | [#1](") {
		t.Errorf("summary\n%s", r.summary)
	}
	if !strings.Contains(r.stdout, "GitHub starts no workflows for what GITHUB_TOKEN opens") {
		t.Errorf("no warning about GITHUB_TOKEN in\n%s", r.stdout)
	}
	// The next run finds the same state, and does nothing twice.
	w.ok(w.dispatch("acme/web", "1.0.1", nil))
	if n := len(w.repo.Pulls()); n != 1 {
		t.Errorf("%d pull requests", n)
	}
	if n := len(w.pull(1).Comments); n != 1 {
		t.Errorf("%d comments", n)
	}
}
