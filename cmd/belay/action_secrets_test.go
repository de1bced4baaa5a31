package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/sandbox"
)

// TestActionStartsNoPrograms: a kubeconfig that would start one is refused in
// every form, and nothing is started.
func TestActionStartsNoPrograms(t *testing.T) {
	w := newWorkflows(t, nil)
	seen := filepath.Join(t.TempDir(), "seen")
	config := map[string]any{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": "u"}}},
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": "https://127.0.0.1:1"}}},
		"users": []any{map[string]any{"name": "u", "user": map[string]any{"exec": map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
			"command": "sh", "args": []any{"-c", "env > " + seen}}}}}}
	line, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, given := range map[string]string{"in one line": string(line), "in several": string(lines), "in a file": file} {
		t.Run(name, func(t *testing.T) {
			r := w.run("schedule", map[string]any{}, map[string]string{"kubeconfig": given})
			if r.code != 2 || !strings.Contains(r.stdout, "::error::input kubeconfig: its credentials come from a program (exec: sh)") || !strings.Contains(r.logs, "docs/action.md") {
				t.Errorf("ended with %d\n%s\n%s", r.code, r.stdout, r.logs)
			}
		})
	}
	if _, err := os.Stat(seen); err == nil {
		t.Error("the program was started")
	}
}

// TestActionAsksTheAdviser where it is given a key, and may only raise the risk.
func TestActionAsksTheAdviser(t *testing.T) {
	api, err := sandbox.NewMessages(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	api.Answer(func(sandbox.MessageRequest) sandbox.MessageAnswer {
		return sandbox.MessageAnswer{Text: `{"risk":"caution","summary":["Empty lists are an error from now on."],"findings":[{"version":"1.0.1","quote":"a crash when the list is empty","text":"It is an error now.","settings":[]}]}`}
	})
	for _, tc := range []struct {
		name   string
		inputs map[string]string
		asked  int // in all so far
		title  string
	}{
		{"without a key, nobody is asked", map[string]string{"adviser-url": api.URL()}, 0, "SAFE"},
		{"with one, its word counts", map[string]string{"adviser-url": api.URL(), "adviser-key": api.Key()}, 1, "CAUTION"},
	} {
		w := newWorkflows(t, nil)
		r := w.ok(w.dispatch("acme/web", "1.0.1", tc.inputs))
		if p := w.pull(1); !strings.Contains(p.Body, tc.title) {
			t.Errorf("%s: the pull request says nothing of %s\n%s\n%s", tc.name, tc.title, p.Body, r.logs)
		}
		if got := len(api.Requests()); got != tc.asked {
			t.Errorf("%s: asked %d times, want %d", tc.name, got, tc.asked)
		}
		if strings.Contains(r.logs+r.summary+strings.ReplaceAll(r.stdout, "::add-mask::"+api.Key()+"\n", ""), api.Key()) {
			t.Errorf("%s: the key is told", tc.name)
		}
		if strings.Contains(r.stdout, "::add-mask::"+api.Key()) != (tc.asked > 0) {
			t.Errorf("%s: masks\n%s", tc.name, r.stdout)
		}
	}
	r := newWorkflows(t, nil).run("schedule", map[string]any{}, map[string]string{"adviser-key": "sk-ant-something", "adviser-url": "nowhere"})
	if r.code != 2 || !strings.Contains(r.stdout, "::error::input adviser-url is not a URL") {
		t.Errorf("ended with %d\n%s", r.code, r.stdout)
	}
}
