package action_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/belaybot/belay/bot/action"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/policy"
)

// place is a stand-in GitHub with one repository, in which runs happen in this
// process, over a wire of the test's.
type place struct {
	t    *testing.T
	gh   *sandbox.GitHub
	repo *sandbox.Repository
	wire func(*http.Request) (*http.Response, error) // nil, or both nil: as usual

	upstream func(policy.Policy) (planner.Upstream, error) // nil: the stand-in's
}

// RoundTrip implements http.RoundTripper.
func (p *place) RoundTrip(req *http.Request) (*http.Response, error) {
	if p.wire != nil {
		if resp, err := p.wire(req); resp != nil || err != nil {
			return resp, err
		}
	}
	return http.DefaultTransport.RoundTrip(req)
}

func newPlace(t *testing.T) *place {
	t.Helper()
	gh, err := sandbox.NewGitHub(sandbox.Options{Dir: t.TempDir(), Validate: true, Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	stack := "resource \"kubernetes_deployment\" \"web\" {\n  spec {\n    template {\n      spec {\n        container {\n          image = \"acme/web:1.0.0\"\n        }\n      }\n    }\n  }\n}\n"
	repo, err := gh.AddRepository("acme", "home-ops", map[string]string{"stacks/web/main.tf": stack,
		".github/belay.yml": "sources: { docker.io/acme/web: proj/web }\napply: { checks: [deploy], timeout: 15m }\ndashboard: { issue: false }\n"})
	if err != nil {
		t.Fatal(err)
	}
	up, err := gh.AddUpstream("proj", "web", map[string]string{"README.md": "web"})
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Release("1.0.1", "### Fixed\n\n- a crash"); err != nil {
		t.Fatal(err)
	}
	repo.AutoChecks(map[string]string{"ci": "pending"})
	return &place{t: t, gh: gh, repo: repo}
}

// told is what a run says.
type told struct {
	action.Result
	err              error
	printed, summary string
	outputs          string
}

func (p *place) run(name string, payload any, in action.Inputs, grace time.Duration) told {
	p.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		p.t.Fatal(err)
	}
	dir := p.t.TempDir()
	st, err := store.Open(p.t.Context(), store.Options{Dir: dir})
	if err != nil {
		p.t.Fatal(err)
	}
	defer st.Close()
	token := p.repo.WorkflowToken()
	app, err := github.New(github.Options{Token: func() string { return token }, Only: "acme/home-ops", URL: p.gh.URL(), HTTP: p})
	if err != nil {
		p.t.Fatal(err)
	}
	files := map[string]string{"GITHUB_OUTPUT": filepath.Join(dir, "output"), "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary")}
	getenv := func(name string) string { return files[name] }
	from := p.upstream
	if from == nil {
		from = func(of policy.Policy) (planner.Upstream, error) {
			return upstream.New(upstream.Options{GitHubAPI: p.gh.URL() + "/api/v3", Sources: of.Sources})
		}
	}
	var out strings.Builder
	r := action.New(action.Options{Event: event(p.t, name, data), Inputs: in, Actions: githubactions.New(githubactions.WithWriter(&out), githubactions.WithGetenv(getenv)), Getenv: getenv,
		Name: dir, Dir: dir, Store: st, GitHub: app, Upstream: from, Grace: grace, Log: slog.New(slog.NewTextHandler(p.t.Output(), nil))})
	got := told{}
	got.Result, got.err = r.Do(p.t.Context())
	r.Tell(got.Result, got.err)
	got.printed = out.String()
	for name, into := range map[string]*string{"GITHUB_STEP_SUMMARY": &got.summary, "GITHUB_OUTPUT": &got.outputs} {
		text, err := os.ReadFile(files[name])
		if err != nil {
			p.t.Fatal(err)
		}
		*into = string(text)
	}
	return got
}

var dispatch = map[string]any{"action": "diun", "client_payload": map[string]any{"image": "acme/web", "tag": "1.0.1"}}

// is matches a request of the API: "PUT", "/merge".
func is(req *http.Request, method, suffix string) bool {
	return req.Method == method && strings.HasSuffix(req.URL.Path, suffix)
}

// TestRateLimitIsSaid: a run that GitHub's limit held up says so, and when it
// goes on, in a warning and in the summary; and it does not fail.
func TestRateLimitIsSaid(t *testing.T) {
	p := newPlace(t)
	if got := p.run("repository_dispatch", dispatch, action.Inputs{TimeLimit: time.Minute}, 0); got.err != nil || len(p.repo.Pulls()) != 1 {
		t.Fatalf("%d pull requests, %v", len(p.repo.Pulls()), got.err)
	}
	p.repo.SetStatus(p.repo.Pulls()[0].Head, "ci", "success")
	at := time.Now().Add(3 * time.Hour)
	var limited atomic.Bool
	p.wire = func(req *http.Request) (*http.Response, error) {
		if !is(req, http.MethodPut, "/merge") {
			return nil, nil
		}
		limited.Store(true)
		return &http.Response{StatusCode: http.StatusForbidden, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
			Header: http.Header{"Retry-After": {at.UTC().Format(http.TimeFormat)}}, Body: io.NopCloser(strings.NewReader(`{"message":"You have exceeded a secondary rate limit"}`))}, nil
	}
	got := p.run("schedule", map[string]any{}, action.Inputs{TimeLimit: time.Minute}, 0)
	if got.err != nil || !limited.Load() {
		t.Fatalf("limited: %v; error %v", limited.Load(), got.err)
	}
	when := at.Add(time.Second).UTC().Format("2006-01-02 15:04")
	for name, text := range map[string]string{"annotations": got.printed, "summary": got.summary} {
		if !strings.Contains(text, "rate limit is used up until "+when) || !strings.Contains(text, "carries on") {
			t.Errorf("the %s do not say that the run was held up until %s:\n%s", name, when, text)
		}
	}
	if !strings.HasPrefix(got.printed, "::warning") || strings.Contains(got.printed, "::error") || got.TimeUp {
		t.Errorf("time up: %v; printed\n%s", got.TimeUp, got.printed)
	}
	if !strings.Contains(got.outputs, "unfinished<<_GitHubActionsFileCommandDelimeter_\ntrue") {
		t.Errorf("outputs\n%s", got.outputs)
	}
	// The next run goes on.
	p.wire = nil
	if got := p.run("schedule", map[string]any{}, action.Inputs{TimeLimit: 5 * time.Second}, 0); got.err != nil || p.repo.Pulls()[0].State != "merged" || strings.Contains(got.printed, "rate limit") {
		t.Errorf("it is %s: %v\n%s", p.repo.Pulls()[0].State, got.err, got.printed)
	}
}

// TestTimeLimitBoundsAllOfARun: whatever does not answer, a run ends.
func TestTimeLimitBoundsAllOfARun(t *testing.T) {
	hang := func(req *http.Request) (*http.Response, error) {
		select {
		case <-req.Context().Done():
			return nil, req.Context().Err()
		case <-time.After(50 * time.Second):
			return nil, errors.New("nobody ended the request")
		}
	}
	for _, tc := range []struct {
		name, event string
		payload     any
		open        bool // there is a pull request that may be merged
		hangs       func(*http.Request) bool
		says        string // of the error; "" for none
	}{
		{"GitHub does not answer at all", "schedule", map[string]any{}, false, func(*http.Request) bool { return true }, "the time limit of 3s came before"},
		{"it does not while a dispatch is planned", "repository_dispatch", dispatch, true, func(req *http.Request) bool { return is(req, "POST", "/graphql") }, "the time limit of 3s came before"},
		{"it does not while somebody's pull request is judged", "pull_request", map[string]any{"action": "opened", "pull_request": map[string]any{"number": 7, "head": map[string]any{"sha": strings.Repeat("a", 40), "ref": "topic", "repo": map[string]any{"full_name": "acme/home-ops"}}}},
			false, func(*http.Request) bool { return true }, "the time limit of 3s came before"},
		{"it does not while something is merged", "schedule", map[string]any{}, true, func(req *http.Request) bool { return is(req, "PUT", "/merge") }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if tc.open {
				if got := p.run("repository_dispatch", dispatch, action.Inputs{TimeLimit: time.Minute}, 0); got.err != nil {
					t.Fatal(got.err)
				}
				p.repo.SetStatus(p.repo.Pulls()[0].Head, "ci", "success")
			}
			var hung atomic.Bool
			p.wire = func(req *http.Request) (*http.Response, error) {
				if !tc.hangs(req) {
					return nil, nil
				}
				hung.Store(true)
				return hang(req)
			}
			begun := time.Now()
			got := p.run(tc.event, tc.payload, action.Inputs{TimeLimit: 3 * time.Second}, 3*time.Second)
			if took := time.Since(begun); took > 40*time.Second {
				t.Errorf("it took %s", took)
			}
			if !hung.Load() || !got.TimeUp || (got.err != nil) != (tc.says != "") || got.err != nil && !strings.Contains(got.err.Error(), tc.says) {
				t.Errorf("hung: %v; time up: %v; error %v", hung.Load(), got.TimeUp, got.err)
			}
			if !strings.Contains(got.summary, "time is up") {
				t.Errorf("summary\n%s", got.summary)
			}
		})
	}
}
