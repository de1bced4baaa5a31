package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"
)

// A workflow run gets a token that is good for its own repository: GITHUB_TOKEN,
// an App's installation token, or somebody's personal access token. Who acts is
// then whom GitHub names as the token's owner.

// withToken is the one repository that a token is for.
func (a *App) withToken(name, owner, repo string) (*Repository, error) {
	if !strings.EqualFold(name, a.opts.Only) {
		return nil, fmt.Errorf("%s: %w: the token is for %s", name, ErrNoAccess, a.opts.Only)
	}
	return &Repository{Name: name, app: a, owner: owner, name: repo, rest: a.client(ownToken{a})}, nil
}

// ownToken sends the token that is good now.
type ownToken struct{ app *App }

// RoundTrip implements http.RoundTripper.
func (b ownToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "token "+b.app.opts.Token())
	return b.app.limits.RoundTrip(req)
}

// viewer asks whom the token belongs to. The REST API does not tell a workflow's
// own token.
func (a *App) viewer(ctx context.Context) (string, error) {
	repo, err := a.Repository(ctx, a.opts.Only)
	if err != nil {
		return "", err
	}
	var got struct {
		Viewer struct {
			Login string `json:"login"`
		} `json:"viewer"`
	}
	if err := repo.query(ctx, "query { viewer { login } }", nil, &got); err != nil {
		return "", fmt.Errorf("asking GitHub whose token it is: %w", err)
	}
	if got.Viewer.Login == "" {
		return "", errors.New("asking GitHub whose token it is: it does not say")
	}
	slug, bot := strings.CutSuffix(got.Viewer.Login, "[bot]")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slug, a.person = slug, !bot
	return slug, nil
}

// Signature is the name and address that belay's commits carry. Commits of a
// person whose token belay uses have another one: theirs are not belay's to
// overwrite.
func (a *App) Signature(ctx context.Context) (name, email string, err error) {
	slug, err := a.Slug(ctx)
	if err != nil {
		return "", "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.person {
		return "belay for " + slug, "belay+" + slug + "@users.noreply.github.com", nil
	}
	return slug + "[bot]", slug + "[bot]@users.noreply.github.com", nil
}

// Person reports whether belay acts with the token of a user and not of a bot,
// as far as is known: Slug asks.
func (a *App) Person() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.person
}

// maxDescription is the longest description of a commit status in characters.
const maxDescription = 140

// setStatus writes a commit status in place of a check run, which GitHub takes
// from Apps alone.
func (r *Repository) setStatus(ctx context.Context, c CheckRun) error {
	state := map[string]string{"": "pending", "failure": "failure", "cancelled": "error", "action_required": "pending"}[c.Conclusion]
	if state == "" {
		state = "success"
	}
	text := c.Title
	if runes := []rune(text); len(runes) > maxDescription {
		text = string(runes[:maxDescription-1]) + "…"
	}
	status := &gh.RepoStatus{State: &state, Context: &c.Name, Description: &text}
	if c.URL != "" {
		status.TargetURL = &c.URL
	}
	if _, _, err := r.rest.Repositories.CreateStatus(ctx, r.owner, r.name, c.Head, status); err != nil {
		return fmt.Errorf("%s: status %s: %w", r.Name, c.Name, r.noAccess(err))
	}
	return nil
}

// asStatus writes a check as a commit status where the token is no App's; done
// says that it was.
func (r *Repository) asStatus(ctx context.Context, c CheckRun, refused error) (done bool, err error) {
	a := r.app
	if a.opts.Token == nil {
		return false, refused
	}
	a.mu.Lock()
	known := a.statuses
	a.mu.Unlock()
	if !known && !errors.Is(refused, ErrNoAccess) {
		return false, refused
	}
	if err := r.setStatus(ctx, c); err != nil {
		return false, errors.Join(refused, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.statuses = true
	return true, nil
}
