package github

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Grant is what an App or one of its installations may do and hears of.
type Grant struct {
	Permissions map[string]string `json:"permissions"` // "contents" → "write"
	Events      []string          `json:"events"`
}

// Self is the App as GitHub knows it.
type Self struct {
	Grant
	Slug string `json:"slug"`
	URL  string `json:"html_url"` // of its public page
}

// Installation is the App on one account.
type Installation struct {
	Grant
	ID        int64                  `json:"id"`
	Account   struct{ Login string } `json:"account"`
	URL       string                 `json:"html_url"`             // of its settings
	Selection string                 `json:"repository_selection"` // "all" or "selected"
	Suspended *time.Time             `json:"suspended_at"`
}

// Hook is where GitHub sends the App's webhooks.
type Hook struct {
	URL         string `json:"url"`
	ContentType string `json:"content_type"`
	InsecureSSL any    `json:"insecure_ssl"` // "0" or 0: certificates are verified
}

// Settings are a repository's, as far as they matter for merging.
type Settings struct {
	DefaultBranch string   `json:"default_branch"`
	Archived      bool     `json:"archived"`
	Squash        *bool    `json:"allow_squash_merge"` // nil: GitHub does not show it
	Required      []string `json:"-"`                  // checks
	Reviews       int      `json:"-"`                  // approvals that a ruleset asks for
	Methods       []string `json:"-"`                  // of merging that a ruleset allows; nil: all
	Queue         bool     `json:"-"`                  // a merge queue is required
}

// get asks for a path and decodes the answer.
func get(ctx context.Context, c *gh.Client, path string, into any) (*gh.Response, error) {
	req, err := c.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(ctx, req, into)
	return resp, meaning(err)
}

// Self asks who the App is. The skew is how far this machine's clock is ahead
// of GitHub's, as far as the answer, a refusal too, tells.
func (a *App) Self(ctx context.Context) (self Self, skew time.Duration, err error) {
	c, err := a.asApp()
	if err != nil {
		return self, 0, err
	}
	resp, err := get(ctx, c, "app", &self)
	if resp != nil && resp.Response != nil {
		if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			skew = a.opts.Now().Sub(at).Truncate(time.Second)
		}
	}
	if err != nil {
		return self, skew, fmt.Errorf("asking GitHub who the App is: %w", err)
	}
	return self, skew, nil
}

// Installations lists where the App is installed, suspended ones too.
func (a *App) Installations(ctx context.Context) ([]Installation, error) {
	c, err := a.asApp()
	if err != nil {
		return nil, err
	}
	var out []Installation
	for page := 1; page != 0; {
		var list []Installation
		resp, err := get(ctx, c, fmt.Sprintf("app/installations?per_page=100&page=%d", page), &list)
		if err != nil {
			return nil, fmt.Errorf("asking for the App's installations: %w", err)
		}
		out = append(out, list...)
		page = resp.NextPage
	}
	return out, nil
}

// RepositoriesOf lists the repositories of one installation as "owner/name".
func (a *App) RepositoriesOf(ctx context.Context, installation int64) ([]string, error) {
	return a.repositories(ctx, installation)
}

// Hook asks where GitHub sends the App's webhooks.
func (a *App) Hook(ctx context.Context) (Hook, error) {
	c, err := a.asApp()
	if err != nil {
		return Hook{}, err
	}
	var out Hook
	if _, err := get(ctx, c, "app/hook/config", &out); err != nil {
		return out, fmt.Errorf("asking for the App's webhook: %w", err)
	}
	return out, nil
}

// Settings asks for what matters for merging into the default branch.
func (r *Repository) Settings(ctx context.Context) (Settings, error) {
	var out Settings
	if _, err := get(ctx, r.rest, "repos/"+r.owner+"/"+r.name, &out); err != nil {
		return out, fmt.Errorf("%s: %w", r.Name, err)
	}
	var err error
	if out.Required, err = r.RequiredChecks(ctx, out.DefaultBranch); err != nil {
		return out, err
	}
	rules, err := r.rules(ctx, out.DefaultBranch)
	if err != nil {
		return out, err
	}
	for _, rule := range rules {
		switch rule.Type {
		case "merge_queue":
			out.Queue = true
		case "pull_request":
			var p struct {
				Reviews int      `json:"required_approving_review_count"`
				Methods []string `json:"allowed_merge_methods"`
			}
			if err := rule.read(&p); err != nil {
				return out, fmt.Errorf("%s: rules of branch %s: %w", r.Name, out.DefaultBranch, err)
			}
			out.Reviews = max(out.Reviews, p.Reviews)
			if p.Methods != nil {
				out.Methods = p.Methods
			}
		}
	}
	return out, nil
}

// rule is one rule of a branch. The library knows some types only, and fails at
// the others.
type rule struct {
	Type       string          `json:"type"`
	Parameters json.RawMessage `json:"parameters"`
}

// read takes the rule's parameters; a rule without any has none.
func (r rule) read(into any) error {
	if len(r.Parameters) == 0 {
		return nil
	}
	return unmarshal(r.Parameters, into)
}

// rules are those that the rulesets make for a branch, none where the App may
// not see them.
func (r *Repository) rules(ctx context.Context, branch string) ([]rule, error) {
	var out []rule
	for page := 1; page != 0; {
		var list []rule
		resp, err := get(ctx, r.rest, fmt.Sprintf("repos/%s/%s/rules/branches/%s?per_page=100&page=%d", r.owner, r.name, url.PathEscape(branch), page), &list)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoAccess) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: rules of branch %s: %w", r.Name, branch, err)
		}
		out = append(out, list...)
		page = resp.NextPage
	}
	return out, nil
}

// maxFile is the largest file in bytes that ReadFile takes: GitHub sends no
// content of larger ones.
const maxFile = 1 << 20

// ReadFile reads a file of a branch. It returns ErrNotFound for one that is not there.
func (r *Repository) ReadFile(ctx context.Context, branch, path string) ([]byte, error) {
	var f struct {
		Type, Encoding, Content string
		Size                    int64
	}
	where := fmt.Sprintf("repos/%s/%s/contents/%s?ref=%s", r.owner, r.name, (&url.URL{Path: path}).EscapedPath(), url.QueryEscape(branch))
	if _, err := get(ctx, r.rest, where, &f); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", r.Name, path, err)
	}
	if f.Type != "file" || f.Encoding != "base64" || f.Size > maxFile {
		return nil, fmt.Errorf("%s: %s is no file of at most %d MB", r.Name, path, maxFile>>20)
	}
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(f.Content, "\n", ""))
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", r.Name, path, err)
	}
	return data, nil
}
