package sandbox_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox"
)

// opened pushes a branch and opens its pull request as the App.
func opened(t *testing.T, gh *sandbox.GitHub, repo *sandbox.Repository, bearer, branch string) sandbox.Pull {
	t.Helper()
	if _, err := repo.Push("belay[bot]", branch, "upgrade", map[string]string{branch + ".tf": "two\n"}); err != nil {
		t.Fatal(err)
	}
	status, _, body := do(t, gh, "POST", "/api/v3/repos/"+repo.FullName()+"/pulls", bearer, fmt.Sprintf(`{"title":"t","body":"b","head":%q,"base":"main"}`, branch))
	if status != http.StatusCreated {
		t.Fatalf("HTTP %d %s", status, body)
	}
	all := repo.Pulls()
	return all[len(all)-1]
}

// TestMerge asks for merges that GitHub lets through, and for those that it refuses.
func TestMerge(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before func(t *testing.T, r *sandbox.Repository, p sandbox.Pull)
		body   string // {SHA} is the head
		status int
		says   string
	}{
		{"an open pull request", nil, `{"sha":"{SHA}","merge_method":"squash"}`, 200, ""},
		{"without a head to compare", nil, `{"merge_method":"squash"}`, 200, ""},
		{"with another head", nil, `{"sha":"` + strings.Repeat("a", 40) + `","merge_method":"squash"}`, 409, "Head branch was modified"},
		{"by another method", nil, `{"sha":"{SHA}","merge_method":"merge"}`, 405, "Merge commits are not allowed"},
		{"a draft", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) { r.SetDraft(p.Number, true) }, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "still a draft"},
		{"a closed one", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) { r.Close(p.Number, "ana") }, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "not mergeable"},
		{"one that conflicts", func(t *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			if _, err := r.Push("ana", "main", "the same file", map[string]string{"topic.tf": "three\n"}); err != nil {
				t.Fatal(err)
			}
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "not mergeable"},
		{"a required check that nobody reported", func(_ *testing.T, r *sandbox.Repository, _ sandbox.Pull) { r.RequireChecks("plan") }, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "is expected"},
		{"a required check that runs", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			r.RequireChecks("plan")
			r.SetStatus(p.Head, "plan", "pending")
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "is pending"},
		{"a required check that failed", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			r.RequireChecksByRule("plan")
			r.SetCheckRun(p.Head, "plan", "failure")
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "is failing"},
		{"a required check that was good on another commit", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			r.RequireChecks("plan")
			r.SetStatus(strings.Repeat("a", 40), "plan", "success")
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "is expected"},
		{"required checks that are good", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			r.RequireChecks("plan", "lint")
			r.SetStatus(p.Head, "plan", "success")
			r.SetCheckRun(p.Head, "lint", "success")
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 200, ""},
		{"a review that is missing", func(_ *testing.T, r *sandbox.Repository, _ sandbox.Pull) { r.RequireReviews(1) }, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "At least 1 approving review"},
		{"a review by somebody who may not write", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			r.RequireReviews(1)
			r.Review(p.Number, "bo", "approved")
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "At least 1 approving review"},
		{"a review that asks for changes", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			r.RequireReviews(1)
			r.SetPermission("bo", "write")
			r.Review(p.Number, "ana", "approved")
			r.Review(p.Number, "bo", "changes_requested")
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "Changes have been requested"},
		{"a review that was dismissed", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			r.RequireReviews(1)
			r.Review(p.Number, "ana", "approved")
			r.Dismiss(p.Number, "ana", "ana")
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 405, "At least 1 approving review"},
		{"an approving review", func(_ *testing.T, r *sandbox.Repository, p sandbox.Pull) {
			r.RequireReviews(1)
			r.Review(p.Number, "ana", "approved")
		}, `{"sha":"{SHA}","merge_method":"squash"}`, 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gh, repo := stand(t, sandbox.Options{})
			bearer := "token " + installationToken(t, gh, repo)
			p := opened(t, gh, repo, bearer, "topic")
			if tc.before != nil {
				tc.before(t, repo, p)
			}
			was := repo.Log("main")
			status, _, body := do(t, gh, "PUT", "/api/v3/repos/acme/home-ops/pulls/1/merge", bearer, strings.ReplaceAll(tc.body, "{SHA}", p.Head))
			if status != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("HTTP %d %s, want %d %s", status, body, tc.status, tc.says)
			}
			if merged := repo.Pulls()[0].State == "merged"; merged != (tc.status == 200) {
				t.Errorf("merged: %v", merged)
			}
			if tc.status != 200 && !slices.Equal(was, repo.Log("main")) {
				t.Error("main has moved all the same")
			}
		})
	}
}

// TestMergeable asks whether a pull request merges: GitHub does not know at
// first, and not again after either side moved.
func TestMergeable(t *testing.T) {
	gh, repo := stand(t, sandbox.Options{LazyMerge: true})
	bearer := "token " + installationToken(t, gh, repo)
	opened(t, gh, repo, bearer, "topic")
	ask := func() string {
		_, _, body := do(t, gh, "POST", "/api/graphql", bearer, `{"query":"{ repository(owner: \"acme\", name: \"home-ops\") { pullRequest(number: 1) { mergeable } } }"}`)
		_, body, _ = strings.Cut(body, `"mergeable":"`)
		body, _, _ = strings.Cut(body, `"`)
		return body
	}
	for _, step := range []struct {
		name, branch string
		files        map[string]string
		want         string
	}{
		{"a new pull request", "", nil, "MERGEABLE"},
		{"a push to its branch", "topic", map[string]string{"topic.tf": "three\n"}, "MERGEABLE"},
		{"a push to main that conflicts", "main", map[string]string{"topic.tf": "four\n"}, "CONFLICTING"},
	} {
		if step.branch != "" {
			if _, err := repo.Push("ana", step.branch, "more", step.files); err != nil {
				t.Fatal(err)
			}
		}
		if got := ask(); got != "UNKNOWN" {
			t.Errorf("%s: at first %s", step.name, got)
		}
		if got := ask(); got != step.want {
			t.Errorf("%s: then %s, want %s", step.name, got, step.want)
		}
	}
}

// TestConditional sends a GET again with the ETag of its answer.
func TestConditional(t *testing.T) {
	gh, repo := stand(t, sandbox.Options{})
	bearer := "token " + installationToken(t, gh, repo)
	other := "token " + installationToken(t, gh, repo)
	const labels = "/api/v3/repos/acme/home-ops/labels"
	_, h, _ := do(t, gh, "GET", labels, bearer, "")
	etag := h.Get("Etag")
	if status, _, body := do(t, gh, "GET", labels, bearer, "", "If-None-Match", etag); status != http.StatusNotModified || body != "" {
		t.Errorf("the same: HTTP %d %q", status, body)
	}
	if status, _, _ := do(t, gh, "GET", labels, other, "", "If-None-Match", etag); status != http.StatusOK {
		t.Errorf("with another token: HTTP %d", status)
	}
	do(t, gh, "POST", labels, bearer, `{"name":"belay"}`)
	status, h, _ := do(t, gh, "GET", labels, bearer, "", "If-None-Match", etag)
	if status != http.StatusOK || h.Get("Etag") == etag {
		t.Errorf("after a change: HTTP %d, ETag %s", status, h.Get("Etag"))
	}
}

// TestLimits uses limits up.
func TestLimits(t *testing.T) {
	c := &clock{at: time.Now().Truncate(time.Second)}
	gh, repo := stand(t, sandbox.Options{Now: c.now})
	bearer := "token " + installationToken(t, gh, repo)
	const home = "/api/v3/repos/acme/home-ops"
	query := `{"query":"{ repository(owner: \"acme\", name: \"home-ops\") { nameWithOwner } }"}`
	reset := c.now().Add(20 * time.Minute)
	gh.SetLimit("acme", "core", 2, reset)
	gh.SetLimit("acme", "graphql", 0, reset)
	_, h, _ := do(t, gh, "GET", home, bearer, "")
	if h.Get("X-Ratelimit-Remaining") != "1" || h.Get("X-Ratelimit-Reset") != strconv.FormatInt(reset.Unix(), 10) || h.Get("X-Ratelimit-Resource") != "core" {
		t.Errorf("headers %v", h)
	}
	if status, h, _ := do(t, gh, "GET", home, bearer, "", "If-None-Match", h.Get("Etag")); status != http.StatusNotModified || h.Get("X-Ratelimit-Remaining") != "1" {
		t.Errorf("an answer that nothing changed is counted: HTTP %d, %v", status, h)
	}
	do(t, gh, "GET", home, bearer, "")
	if status, h, body := do(t, gh, "GET", home, bearer, ""); status != http.StatusForbidden || h.Get("X-Ratelimit-Remaining") != "0" || !strings.Contains(body, "API rate limit exceeded for installation ID") {
		t.Errorf("used up: HTTP %d %s", status, body)
	}
	if status, h, body := do(t, gh, "POST", "/api/graphql", bearer, query); status != http.StatusOK || h.Get("X-Ratelimit-Resource") != "graphql" || !strings.Contains(body, "RATE_LIMITED") {
		t.Errorf("GraphQL used up: HTTP %d %s", status, body)
	}
	c.add(20 * time.Minute)
	if status, _, body := do(t, gh, "GET", home, bearer, ""); status != http.StatusOK {
		t.Errorf("in the next window: HTTP %d %s", status, body)
	}
	for _, header := range []bool{true, false} {
		gh.SlowDown("acme", 90*time.Second, header)
		for _, path := range []string{home, "/api/graphql"} {
			method, body := "GET", ""
			if path == "/api/graphql" {
				method, body = "POST", query
			}
			status, h, answer := do(t, gh, method, path, bearer, body)
			if status != http.StatusForbidden || !strings.Contains(answer, "secondary rate limit") || (h.Get("Retry-After") == "90") != header {
				t.Errorf("%s, header %v: HTTP %d %v %s", path, header, status, h, answer)
			}
		}
		c.add(90 * time.Second)
		if status, _, _ := do(t, gh, "GET", home, bearer, ""); status != http.StatusOK {
			t.Errorf("after the pause: HTTP %d", status)
		}
	}
}

// TestRenamed follows old names.
func TestRenamed(t *testing.T) {
	gh, repo := stand(t, sandbox.Options{})
	bearer := "token " + installationToken(t, gh, repo)
	opened(t, gh, repo, bearer, "topic")
	repo.Rename("home")
	for _, tc := range []struct {
		name, method, path, body string
		redirect, status         int
	}{
		{"a repository", "GET", "", "", 301, 200},
		{"a list with a query", "GET", "/pulls?state=all", "", 301, 200},
		{"a branch", "GET", "/branches/main", "", 301, 200},
		{"a change", "PATCH", "/pulls/1", `{"title":"another"}`, 307, 200},
		{"something new", "POST", "/issues/1/comments", `{"body":"hello"}`, 307, 201},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, h, _ := do(t, gh, tc.method, "/api/v3/repos/acme/home-ops"+tc.path, bearer, tc.body)
			u, err := url.Parse(h.Get("Location"))
			if status != tc.redirect || err != nil || !strings.HasPrefix(u.Path, "/api/v3/repositories/") {
				t.Fatalf("HTTP %d to %s", status, h.Get("Location"))
			}
			if status, _, body := do(t, gh, tc.method, u.RequestURI(), bearer, tc.body); status != tc.status {
				t.Errorf("there: HTTP %d %s", status, body)
			}
		})
	}
	if title := repo.Pulls()[0].Title; title != "another" {
		t.Errorf("title %q", title)
	}
}
