package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/version"
)

// stand is a stand-in GitHub with the repository acme/home-ops. What breaks
// GitHub's description fails the test.
func stand(t *testing.T, opts sandbox.Options) (*sandbox.GitHub, *sandbox.Repository) {
	t.Helper()
	opts.Dir, opts.Validate = t.TempDir(), true
	if opts.Report == nil {
		opts.Report = func(err error) { t.Error(err) }
	}
	gh, err := sandbox.NewGitHub(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	repo, err := gh.AddRepository("acme", "home-ops", map[string]string{"main.tf": "one\n"})
	if err != nil {
		t.Fatal(err)
	}
	return gh, repo
}

// app is belay's own client of a stand-in.
func app(t *testing.T, gh *sandbox.GitHub) *github.App {
	t.Helper()
	a, err := github.New(github.Options{AppID: gh.AppID(), Key: func() ([]byte, error) { return gh.PrivateKey(), nil }, URL: gh.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestContract has belay's clients do all that they can do, and people all that
// they do, and says what was held against GitHub's descriptions meanwhile.
// Something that belay calls and the description does not know, or that the
// description knows and nothing here calls, fails.
func TestContract(t *testing.T) {
	before := sandbox.Validated()
	gh, repo := stand(t, sandbox.Options{})
	clients(t, gh, repo)
	people(t, gh, repo)
	notes(t, gh)
	browsers(t, gh, app(t, gh))
	created(t, gh)

	var rest, hooks, queries, fields []string
	seen := sandbox.Validated()
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		n := seen[name] - before[name]
		if n == 0 {
			continue
		}
		line := fmt.Sprintf("%4d × %s", n, name)
		switch {
		case strings.HasPrefix(name, "webhook "):
			hooks = append(hooks, line)
		case strings.HasPrefix(name, "GRAPHQL query"):
			queries = append(queries, line)
		case strings.HasPrefix(name, "GRAPHQL field"):
			fields = append(fields, line)
		default:
			rest = append(rest, line)
		}
	}
	operations, webhooks := sandbox.Operations(), sandbox.Webhooks()
	t.Logf("REST: %d of %d operations\n%s", len(rest), len(operations), strings.Join(rest, "\n"))
	t.Logf("GraphQL: %d queries, %d fields of the schema\n%s\n%s", len(queries), len(fields), strings.Join(queries, "\n"), strings.Join(fields, "\n"))
	t.Logf("webhooks: %d of %d\n%s", len(hooks), len(webhooks), strings.Join(hooks, "\n"))
	t.Logf("validated against GitHub's description: %d REST operations, %d GraphQL queries with %d fields, %d webhooks", len(rest), len(queries), len(fields), len(hooks))
	for _, name := range operations {
		if seen[name] == before[name] {
			t.Errorf("%s is described, but nothing calls it: call it here, or take it out of hack/openapi", name)
		}
	}
	for _, name := range webhooks {
		if seen["webhook "+name] == before["webhook "+name] {
			t.Errorf("the webhook %q is described, but nobody sends it: send it here, or take it out of hack/openapi", name)
		}
	}
	if len(queries) != 5 { // that of the viewer has no arguments
		t.Errorf("%d GraphQL queries, want 5", len(queries))
	}
}

// clients calls all of bot/github.
func clients(t *testing.T, gh *sandbox.GitHub, repo *sandbox.Repository) {
	t.Helper()
	ctx := t.Context()
	a := app(t, gh)
	gh.Suspend("acme", true) // a webhook nobody takes, for the delivery log
	gh.Suspend("acme", false)
	flush(t, gh)
	sha, err := repo.Push("belay[bot]", "belay/web/1.0.1", "upgrade", map[string]string{"main.tf": "two\n"})
	if err != nil {
		t.Fatal(err)
	}
	repo.RequireChecksByRule("plan")
	repo.SetStatus(sha, "plan", "success")
	r, err := a.Repository(ctx, "acme/home-ops")
	if err != nil {
		t.Fatal(err)
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	_, err = a.Slug(ctx)
	must("Slug", err)
	_, err = a.Installed(ctx)
	must("Installed", err)
	log, err := a.Deliveries(ctx, time.Time{})
	must("Deliveries", err)
	_, err = a.Payload(ctx, log[0].ID)
	must("Payload", err)
	_, err = r.DefaultBranch(ctx)
	must("DefaultBranch", err)
	_, err = r.RequiredChecks(ctx, "main")
	must("RequiredChecks", err)
	n, err := r.OpenPull(ctx, github.Draft{Branch: "belay/web/1.0.1", Base: "main", Title: "upgrade: web 1.0.0 → 1.0.1", Body: "what changes"})
	must("OpenPull", err)
	must("EditPull", r.EditPull(ctx, n, github.Draft{Title: "another", Body: "body"}))
	_, err = r.FindPull(ctx, "belay/web/1.0.1")
	must("FindPull", err)
	_, err = r.OpenPulls(ctx, "belay/")
	must("OpenPulls", err)
	_, err = r.OpenPullsUnder(ctx, "belay/web/")
	must("OpenPullsUnder", err)
	_, err = r.Pull(ctx, n)
	must("Pull", err)
	_, err = r.Checks(ctx, sha)
	must("Checks", err)
	must("SetLabels", r.SetLabels(ctx, n, nil, []string{"belay", "risk: safe"}))
	id, err := r.Comment(ctx, n, "status")
	must("Comment", err)
	must("EditComment", r.EditComment(ctx, id, "changed"))
	_, err = r.CommentBody(ctx, id)
	must("CommentBody", err)
	must("React", r.React(ctx, id, "eyes"))
	must("React again", r.React(ctx, id, "eyes"))
	issue, err := r.OpenIssue(ctx, "a title", "a body", "belay")
	must("OpenIssue", err)
	must("EditIssue", r.EditIssue(ctx, issue, github.IssueEdit{Body: "another", State: "closed"}))
	_, err = r.Issue(ctx, issue)
	must("Issue", err)
	_, err = r.Issues(ctx, "belay")
	must("Issues", err)
	_, err = r.MayWrite(ctx, "ana")
	must("MayWrite", err)
	run, err := r.SetCheckRun(ctx, 0, github.CheckRun{Name: "belay/risk", Head: sha, Title: "looks", Summary: "…", URL: "https://example.org", At: time.Now(),
		Notes: []github.Note{{Path: "stacks/web/main.tf", Line: 3, Title: "2.0.0: PORT", Text: "PORT is gone"}}})
	must("SetCheckRun", err)
	_, err = r.SetCheckRun(ctx, run, github.CheckRun{Name: "belay/risk", Head: sha, Conclusion: "success", Title: "SAFE", Summary: "…", At: time.Now()})
	must("SetCheckRun", err)
	_, err = r.MergePull(ctx, n, github.Merge{Head: sha, Title: "upgrade", Message: "why"})
	must("MergePull", err)
	must("ClosePull", r.ClosePull(ctx, n))
	_, err = r.ClosedPulls(ctx, "belay/")
	must("ClosedPulls", err)
	withToken(t, gh, repo, sha)
}

// withToken acts with a person's token, as the Action may.
func withToken(t *testing.T, gh *sandbox.GitHub, repo *sandbox.Repository, sha string) {
	t.Helper()
	token := repo.PersonalToken("ana")
	a, err := github.New(github.Options{Token: func() string { return token }, Only: repo.FullName(), URL: gh.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Slug(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := a.Repository(t.Context(), repo.FullName())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.SetCheckRun(t.Context(), 0, github.CheckRun{Name: "belay/risk", Head: sha, Conclusion: "success", Title: "SAFE", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// people do what people do.
func people(t *testing.T, gh *sandbox.GitHub, repo *sandbox.Repository) {
	t.Helper()
	sha, err := repo.Push("ana", "topic", "a change", map[string]string{"topic.tf": "x\n"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := app(t, gh).Repository(t.Context(), "acme/home-ops")
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.OpenPull(t.Context(), github.Draft{Branch: "topic", Base: "main", Title: "t", Body: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Push("ana", "topic", "more", map[string]string{"topic.tf": "y\n"}); err != nil {
		t.Fatal(err)
	}
	repo.EditComment(n, repo.Comment(n, "ana", "/upgrade hold"), "/upgrade hold, please")
	repo.Review(n, "ana", "approved")
	repo.Dismiss(n, "ana", "bo")
	repo.SetDraft(n, true)
	repo.SetDraft(n, false)
	repo.SetBody(n, "another body")
	repo.SetCheckRun(sha, "plan", "success")
	repo.Close(n, "ana")
	repo.Reopen(n, "ana")
	issue := repo.OpenIssue("ana", "a title", "- [ ] a box", "belay")
	if !repo.Tick(issue, "ana", "a box") {
		t.Error("there is no box")
	}
	repo.CommentIssue(issue, "ana", "done")
	repo.CloseIssue(issue, "ana")
	repo.ReopenIssue(issue, "ana")
	repo.DeleteIssue(issue, "ana")
	if err := repo.DeleteBranch("topic", "ana"); err != nil {
		t.Fatal(err)
	}
	repo.Dispatch("diun", map[string]any{"image": "acme/web", "tag": "1.0.1"})
	repo.SetInstalled(false)
	repo.SetInstalled(true)
	repo.Rename("home")
	gh.Uninstall("acme")
	gh.Install("acme")
	gh.Install("zeta")
	repo.Transfer("zeta")
	gh.Ping()
	flush(t, gh)
}

// notes reads release notes as the planner does.
func notes(t *testing.T, gh *sandbox.GitHub) {
	t.Helper()
	up, err := gh.AddUpstream("proj", "web", map[string]string{"CHANGELOG.md": "## 1.2.0\n\n- two\n\n## 1.1.0\n\n- one\n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(up.Release("v1.1.0", "### Fixed\n- one"), up.Release("v1.2.0", "")); err != nil {
		t.Fatal(err)
	}
	c, err := upstream.New(upstream.Options{GitHubAPI: gh.URL() + "/api/v3"})
	if err != nil {
		t.Fatal(err)
	}
	from, to := tag(t, "1.0.0"), tag(t, "1.2.0")
	got, err := c.Notes(t.Context(), "proj/web", from, to)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Releases) != 2 || !strings.Contains(got.Releases[0].Body+got.Releases[1].Body, "two") {
		t.Errorf("notes %+v", got.Releases)
	}
}

func tag(t *testing.T, s string) version.Tag {
	t.Helper()
	v, err := version.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func flush(t *testing.T, gh *sandbox.GitHub) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := gh.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// complaints collects what the stand-in reports.
type complaints struct {
	mu  sync.Mutex
	all []string
}

func (c *complaints) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, err.Error())
}

func (c *complaints) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := strings.Join(c.all, "\n")
	c.all = nil
	return out
}

// TestContractRefusesRequests proves that the contract can fail: what a client
// must not send is reported, wherever it goes wrong.
func TestContractRefusesRequests(t *testing.T) {
	var got complaints
	gh, repo := stand(t, sandbox.Options{Report: got.add})
	if _, err := repo.Push("ana", "topic", "a change", map[string]string{"topic.tf": "x\n"}); err != nil {
		t.Fatal(err)
	}
	bearer := "token " + installationToken(t, gh, repo)
	if s := got.take(); s != "" {
		t.Fatalf("before anything went wrong: %s", s)
	}
	const home = "/api/v3/repos/acme/home-ops"
	for _, tc := range []struct {
		name, method, path, body string
		want                     string // in the report; "" is a good request
	}{
		{"a good request", "POST", home + "/labels", `{"name":"belay","color":"1f6feb"}`, ""},
		{"an operation that GitHub has, but that belay is not known to use", "DELETE", home, "", "not known to use"},
		{"an operation that nobody has", "GET", home + "/teapot", "", "not known to use"},
		{"a field that the description does not know", "POST", home + "/labels", `{"name":"other","colour":"1f6feb"}`, `unknown field "colour"`},
		{"a field of another type", "POST", home + "/labels", `{"name":7}`, "/name: value must be a string"},
		{"a field that is missing", "POST", home + "/pulls", `{"title":"t","head":"topic"}`, `property "base" is missing`},
		{"a value that is none of the choices", "PUT", home + "/pulls/1/merge", `{"merge_method":"fast-forward"}`, "/merge_method"},
		{"a query parameter that the description does not know", "GET", home + "/labels?pages=2", "", `unknown query parameter "pages"`},
		{"a query parameter that is none of the choices", "GET", home + "/pulls?state=merged", "", "state"},
		{"a number in the path that is none", "PATCH", home + "/pulls/seven", `{"title":"t"}`, "pull_number"},
		{"a body where none is described", "GET", home, `{"page":2}`, "a body where none is described"},
		{"a good query", "POST", "/api/graphql", `{"query":"{ repository(owner: \"acme\", name: \"home-ops\") { nameWithOwner } }"}`, ""},
		{"a GraphQL field that does not exist", "POST", "/api/graphql", `{"query":"{ repository(owner: \"acme\", name: \"home-ops\") { fullName } }"}`, `Cannot query field "fullName"`},
		{"a GraphQL field that belay is not known to read", "POST", "/api/graphql", `{"query":"{ rateLimit { cost } }"}`, `Cannot query field "rateLimit"`},
		{"a GraphQL argument that is missing", "POST", "/api/graphql", `{"query":"{ repository(owner: \"acme\") { nameWithOwner } }"}`, `argument "name"`},
		{"a GraphQL variable of another type", "POST", "/api/graphql", `{"query":"query($n: String!) { repository(owner: \"acme\", name: \"home-ops\") { pullRequest(number: $n) { title } } }","variables":{"n":"1"}}`, "String!"},
		{"a GraphQL object without a choice of its fields", "POST", "/api/graphql", `{"query":"{ repository(owner: \"acme\", name: \"home-ops\") }"}`, "must have a selection"},
		{"GraphQL that is none", "POST", "/api/graphql", `{"query":"{ repository("}`, "GraphQL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			do(t, gh, tc.method, tc.path, bearer, tc.body)
			reported := got.take()
			if tc.want == "" && reported != "" {
				t.Errorf("reported %q", reported)
			}
			if !strings.Contains(reported, tc.want) {
				t.Errorf("reported %q, want something about %q", reported, tc.want)
			}
		})
	}
}

// do sends a request as it stands and gives the answer back.
func do(t *testing.T, gh *sandbox.GitHub, method, path, authorization, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, gh.URL()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := noRedirects.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: time.Minute}

// installationToken asks for a token of the repository's installation.
func installationToken(t *testing.T, gh *sandbox.GitHub, repo *sandbox.Repository) string {
	t.Helper()
	r, err := app(t, gh).Repository(t.Context(), repo.FullName())
	if err != nil {
		t.Fatal(err)
	}
	token, err := r.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token
}
