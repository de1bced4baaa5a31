package main

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
)

// propose has somebody open a pull request that changes files.
func (w *workflows) propose(login, branch string, fork bool, files map[string]string) int {
	w.t.Helper()
	if _, err := w.repo.Push(login, branch, "change", files); err != nil {
		w.t.Fatal(err)
	}
	if fork {
		return w.repo.OpenFork(login, branch, "a change")
	}
	return w.repo.OpenPull(login, branch, "a change")
}

// opened is the run for a pull request that was opened.
func (w *workflows) opened(event string, number int, inputs map[string]string) ran {
	w.t.Helper()
	return w.run(event, example(w.t, "pull_request", "opened", map[string]any{"number": number,
		"pull_request": map[string]any{"number": number, "head": map[string]any{"sha": w.pull(number).Head}}}), inputs)
}

func checkOf(p sandbox.Pull, name string) (sandbox.CheckRun, bool) {
	for _, c := range p.CheckRuns {
		if c.Name == name {
			return c, true
		}
	}
	return sandbox.CheckRun{}, false
}

// TestActionJudgesAnybodysPullRequest: Renovate's, Dependabot's, a person's, a fork's.
func TestActionJudgesAnybodysPullRequest(t *testing.T) {
	for _, tc := range []struct {
		name, login, event string
		fork               bool
		files, inputs      map[string]string
		conclusion, title  string // of the check; "" for none
		says               []string
	}{
		{"a safe bump of Renovate's", "renovate[bot]", "pull_request", false, map[string]string{"stacks/web/main.tf": stackOf("acme/web:1.0.1")}, nil,
			"success", "SAFE: web 1.0.0 → 1.0.1", []string{"**SAFE**"}},
		{"a major bump of Dependabot's", "dependabot[bot]", "pull_request", false, map[string]string{"stacks/web/main.tf": stackOf("acme/web:3.0.0")}, nil,
			"neutral", "CAUTION: web 1.0.0 → 3.0.0", []string{"::warning file=stacks/web/main.tf,line=6,title=CAUTION%3A web 1.0.0 to 3.0.0::", "file=stacks/web/main.tf,line=8,title=web 3.0.0%3A OLD_SETTING"}},
		{"one that has to fail", "renovate[bot]", "pull_request_target", false, map[string]string{"stacks/web/main.tf": stackOf("acme/web:3.0.0")}, map[string]string{"fail-on": "caution"},
			"failure", "CAUTION: web 1.0.0 → 3.0.0", nil},
		{"two services in one", "ana", "pull_request", false, map[string]string{"stacks/web/main.tf": stackOf("acme/web:1.0.1"), "stacks/data/main.tf": stackOf("acme/data:3.0.0")}, nil,
			"neutral", "CAUTION: data 2.0.0 → 3.0.0, web 1.0.0 → 1.0.1", nil},
		{"a downgrade", "ana", "pull_request", false, map[string]string{"stacks/data/main.tf": stackOf("acme/data:1.0.0")}, nil,
			"neutral", "UNKNOWN: 1 change not judged", []string{"2.0.0 → 1.0.0"}},
		{"no version changes", "ana", "pull_request", false, map[string]string{"README.md": "hello\n"}, nil, "", "", []string{"changes no version"}},
		{"a fork's, whose token only reads", "mallory", "pull_request", true, map[string]string{"stacks/web/main.tf": stackOf("acme/web:3.0.0")}, nil,
			"", "", []string{"**CAUTION**", "was not written: this run's token may not write checks", "::warning file=stacks/web/main.tf,line=6"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorkflows(t, nil)
			n := w.propose(tc.login, "topic", tc.fork, tc.files)
			if tc.fork {
				w.token = w.repo.ForkToken()
			}
			r := w.ok(w.opened(tc.event, n, tc.inputs))
			c, ok := checkOf(w.pull(n), "belay/risk")
			if ok != (tc.conclusion != "") || c.Conclusion != tc.conclusion || c.Title != tc.title {
				t.Errorf("check %+v\n%s", c, r.logs)
			}
			for _, want := range tc.says {
				if !strings.Contains(r.summary+r.stdout+c.Summary, want) {
					t.Errorf("nothing says %q\n%s\n%s", want, r.stdout, r.summary)
				}
			}
		})
	}
}

// TestActionReadsTheDefaultBranchsConfiguration: what a pull request says about
// belay changes nothing about how it is judged.
func TestActionReadsTheDefaultBranchsConfiguration(t *testing.T) {
	w := newWorkflows(t, nil)
	hostile := "services: { ignore: [\"*\"] }\nrisk: { keywords: [nothing], strict: false, zero_major: false }\nsources: { docker.io/acme/web: mallory/web }\n"
	n := w.propose("mallory", "topic", true, map[string]string{".github/belay.yml": hostile, "stacks/web/main.tf": stackOf("acme/web:3.0.0")})
	w.ok(w.opened("pull_request_target", n, nil))
	c, _ := checkOf(w.pull(n), "belay/risk")
	if !strings.HasPrefix(c.Title, "CAUTION: web 1.0.0 → 3.0.0") || !strings.Contains(c.Summary, "OLD_SETTING") {
		t.Errorf("check %+v", c)
	}
	// One that is no configuration at all stops nothing, either.
	n = w.propose("mallory", "other", true, map[string]string{".github/belay.yml": "][", "stacks/web/main.tf": stackOf("acme/web:1.0.1")})
	w.ok(w.opened("pull_request_target", n, nil))
	if c, _ := checkOf(w.pull(n), "belay/risk"); c.Conclusion != "success" {
		t.Errorf("check %+v", c)
	}
}

// TestActionLeavesTheAppsPullRequests: whoever holds the marker acts, and the
// other says so.
func TestActionLeavesTheAppsPullRequests(t *testing.T) {
	w := newWorkflows(t, nil)
	w.token = w.repo.AppToken() // the Action acts as the very App
	w.ok(w.dispatch("acme/web", "1.0.1", nil))
	p := w.pull(1)
	m, err := report.ParseMarker(p.Body)
	if err != nil {
		t.Fatal(err)
	}
	m.Owner = "" // as the App writes it
	w.repo.SetBody(1, report.Remark(p.Body, m))
	w.green(p.Head)

	r := w.ok(w.schedule(nil))
	if got := w.pull(1).State; got != "open" || !strings.Contains(r.summary, "is left to the App") {
		t.Errorf("it is %s\n%s", got, r.summary)
	}
	r = w.ok(w.dispatch("acme/web", "1.1.0", nil))
	if n := len(w.repo.Pulls()); n != 1 || !strings.Contains(r.summary, "left to the App of belay") {
		t.Errorf("%d pull requests\n%s", n, r.summary)
	}
	r = w.ok(w.comment(1, "ana", "/upgrade status", nil))
	if !strings.Contains(r.summary, "Nothing to do") {
		t.Errorf("summary\n%s", r.summary)
	}
	// Unless it is told to.
	r = w.ok(w.schedule(map[string]string{"take-over": "true", "time-limit": "3s"}))
	if got := w.pull(1).State; got != "merged" {
		t.Errorf("it is %s after the take-over\n%s\n%s", got, r.logs, r.summary)
	}
}

// TestActionAnothersIdentity: a pull request that somebody else opened is not
// taken up, whatever its marker says.
func TestActionAnothersIdentity(t *testing.T) {
	w := newWorkflows(t, nil)
	w.ok(w.dispatch("acme/web", "1.0.1", nil))
	w.green(w.pull(1).Head)
	w.token = w.repo.PersonalToken("bo")
	r := w.ok(w.schedule(nil))
	if got := w.pull(1).State; got != "open" || !strings.Contains(r.summary, "left to the Action of github-actions") {
		t.Errorf("it is %s\n%s", got, r.summary)
	}
}

// TestActionTwoRunsAtOnce: nothing is doubled.
func TestActionTwoRunsAtOnce(t *testing.T) {
	w := newWorkflows(t, nil)
	event := example(t, "repository_dispatch", "", map[string]any{"action": "diun", "client_payload": map[string]any{"image": "acme/web", "tag": "1.0.1"}})
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() { w.ok(w.run("repository_dispatch", event, nil)) })
	}
	wait.Wait()
	if n := len(w.repo.Pulls()); n != 1 {
		t.Errorf("%d pull requests", n)
	}
	w.green(w.pull(1).Head)
	for range 2 {
		wait.Go(func() { w.ok(w.schedule(map[string]string{"time-limit": "4s"})) })
	}
	wait.Wait()
	if got := w.pull(1).State; got != "merged" {
		t.Errorf("it is %s", got)
	}
	merges := 0
	for _, line := range w.repo.Log("main") {
		if strings.HasPrefix(line, "upgrade: web") {
			merges++
		}
	}
	if merges != 1 {
		t.Errorf("%d merges: %v", merges, w.repo.Log("main"))
	}
}

// hostile are texts that would be commands of the runner, or of a template.
var hostile = []string{"1.0.1\n::set-output name=opened::[99]", "x%0A::error::boo", "_GitHubActionsFileCommandDelimeter_", "${{ secrets.GITHUB_TOKEN }}", "$(touch pwned)", "##[error]boo", "::stop-commands::x"}

// TestActionInjection: what others write is never a command of the runner's.
func TestActionInjection(t *testing.T) {
	w := newWorkflows(t, nil)
	notes := "### Breaking changes\n\n"
	for _, text := range hostile {
		notes += "- `OLD_SETTING` was removed " + text + "\n\n" + text + "\n\n"
	}
	if err := w.web.Release("4.0.0", notes); err != nil {
		t.Fatal(err)
	}
	w.ok(w.dispatch("acme/web", "1.0.1", nil))
	var all []ran
	for _, text := range hostile {
		all = append(all, w.dispatch("acme/web", text, nil), w.dispatch(text, "1.0.1", nil),
			w.run("repository_dispatch", map[string]any{"action": text, "client_payload": map[string]any{"image": "acme/web", "tag": "1.0.1"}}, nil),
			w.ok(w.comment(1, "ana", "/upgrade hold "+strings.ReplaceAll(text, "\n", " "), nil)), w.ok(w.comment(1, "ana", text+"\n/upgrade "+text, nil)), w.ok(w.schedule(nil)))
	}
	n := w.propose("mallory", "topic;$(id)%0A%%error", true, map[string]string{"stacks/web/main.tf": stackOf("acme/web:3.0.0"), "stacks/a,line=1::error::b/main.tf": stackOf("acme/web:1.0.0\\n::error::boo")})
	all = append(all, w.ok(w.opened("pull_request_target", n, nil)))
	n = w.propose("mallory", "other", true, map[string]string{"stacks/web/main.tf": stackOf("acme/web:4.0.0")})
	all = append(all, w.ok(w.opened("pull_request_target", n, nil)), w.dispatch("acme/web", "4.0.0", map[string]string{"time-limit": "##[error]boo\n::error::boo"}))
	for _, r := range all {
		if strings.Contains(r.stdout+r.logs, "##[") {
			t.Errorf("a command of somebody else's in\n%s\n%s", r.stdout, r.logs)
		}
		for line := range strings.Lines(r.stdout) {
			if !strings.HasPrefix(line, "::add-mask::") && !strings.HasPrefix(line, "::warning") && !strings.HasPrefix(line, "::error::") {
				t.Errorf("a line of stdout that belay did not write: %q", line)
			}
			if strings.HasPrefix(line, "::error::boo") {
				t.Errorf("a command of somebody else's: %q", line)
			}
		}
		for line := range strings.Lines(r.logs) {
			if !strings.HasPrefix(line, "time=") && !strings.HasPrefix(line, "belay: ") {
				t.Errorf("a line of the log that belay did not write: %q", line)
			}
		}
		for name, value := range r.outputs {
			var any any
			switch {
			case name == "risk" || name == "unfinished":
			case json.Unmarshal([]byte(value), &any) != nil || strings.Contains(value, "\n"):
				t.Errorf("output %s is %q", name, value)
			case name == "opened" && strings.Contains(value, "99"):
				t.Errorf("output %s was set by somebody else: %q", name, value)
			}
		}
	}
	if _, err := os.Stat("pwned"); err == nil {
		t.Error("something was run")
	}
}

// TestActionWrongUse names what is missing.
func TestActionWrongUse(t *testing.T) {
	w := newWorkflows(t, nil)
	for _, tc := range []struct {
		name, event string
		payload     any
		inputs      map[string]string
		code        int
		says        string
	}{
		{"no token", "schedule", map[string]any{}, map[string]string{"token": ""}, 2, "input token is empty"},
		{"a time-limit that is none", "schedule", map[string]any{}, map[string]string{"time-limit": "soon"}, 2, "input time-limit"},
		{"a payload that is no dispatch", "repository_dispatch", map[string]any{"action": "diun", "client_payload": map[string]any{"tag": "1"}}, nil, 1, `field "image"`},
		{"an event that belay does not know", "fork", map[string]any{}, nil, 0, "it listens to"},
		{"a token that GitHub refuses", "schedule", map[string]any{}, map[string]string{"token": "ghs_nothing_at_all"}, 1, "Bad credentials"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := w.run(tc.event, tc.payload, tc.inputs)
			if r.code != tc.code || !strings.Contains(r.stdout+r.logs+r.summary, tc.says) {
				t.Errorf("ended with %d\n%s\n%s\n%s", r.code, r.stdout, r.logs, r.summary)
			}
		})
	}
}
