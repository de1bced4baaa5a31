package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"
)

// Draft is what a pull request is made of.
type Draft struct {
	Branch string
	Base   string
	Title  string
	Body   string
	Labels []string
}

// FindPull returns the newest pull request from a branch, open or not, with
// Number, State and Head; its Number is 0 when there is none.
func (r *Repository) FindPull(ctx context.Context, branch string) (Pull, error) {
	list, _, err := r.rest.PullRequests.List(ctx, r.owner, r.name, &gh.PullRequestListOptions{
		State: "all", Head: r.owner + ":" + branch, Sort: "created", Direction: "desc", ListOptions: gh.ListOptions{PerPage: 10}})
	if err != nil {
		return Pull{}, fmt.Errorf("%s: pull requests of branch %s: %w", r.Name, branch, r.noAccess(err))
	}
	for _, p := range list { // a server may not know the filter
		if p.GetHead().GetRef() == branch && isSame(p) {
			return summary(p), nil
		}
	}
	return Pull{}, nil
}

// isSame reports whether a pull request comes from its own repository and not
// from a fork. Names are not compared: a renamed repository answers to the old one.
func isSame(p *gh.PullRequest) bool {
	return p.GetHead().GetRepo().GetID() == p.GetBase().GetRepo().GetID()
}

// summary is what a list shows of a pull request.
func summary(p *gh.PullRequest) Pull {
	out := Pull{Number: p.GetNumber(), State: "OPEN", Title: p.GetTitle(), Body: p.GetBody(), Branch: p.GetHead().GetRef(), Head: p.GetHead().GetSHA(),
		Author: strings.TrimSuffix(p.GetUser().GetLogin(), "[bot]"), BaseName: p.GetBase().GetRef(), Created: p.GetCreatedAt().Time, Updated: p.GetUpdatedAt().Time}
	switch {
	case p.MergedAt != nil:
		out.State, out.MergeSHA = "MERGED", p.GetMergeCommitSHA()
	case p.GetState() == "closed":
		out.State = "CLOSED"
	}
	return out
}

// OpenPulls lists the open pull requests whose branch begins with a prefix,
// oldest first, with what a list shows of them.
func (r *Repository) OpenPulls(ctx context.Context, prefix string) ([]Pull, error) {
	var out []Pull
	for page := 1; page != 0; {
		list, resp, err := r.rest.PullRequests.List(ctx, r.owner, r.name, &gh.PullRequestListOptions{
			State: "open", Sort: "created", Direction: "asc", ListOptions: gh.ListOptions{Page: page, PerPage: 100}})
		if err != nil {
			return nil, fmt.Errorf("%s: open pull requests: %w", r.Name, r.noAccess(err))
		}
		for _, p := range list {
			if strings.HasPrefix(p.GetHead().GetRef(), prefix) && isSame(p) {
				out = append(out, summary(p))
			}
		}
		page = resp.NextPage
	}
	return out, nil
}

const underQuery = `query($owner: String!, $name: String!, $prefix: String!, $after: String) {
  repository(owner: $owner, name: $name) {
    refs(refPrefix: $prefix, first: 100, after: $after) {
      nodes { associatedPullRequests(states: OPEN, first: 10) { nodes { number state title body headRefName author { login } } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`

// OpenPullsUnder lists the open pull requests whose branches stand under a
// prefix that ends with a slash. It is one request however many pull requests
// are open elsewhere, where OpenPulls reads them all. They have their number,
// state, title, body, branch and author.
func (r *Repository) OpenPullsUnder(ctx context.Context, prefix string) ([]Pull, error) {
	var out []Pull
	variables := map[string]any{"owner": r.owner, "name": r.name, "prefix": "refs/heads/" + prefix}
	for {
		var got struct {
			Repository *struct {
				Refs struct {
					Nodes []struct {
						Pulls struct {
							Nodes []struct {
								Number      int    `json:"number"`
								State       string `json:"state"`
								Title       string `json:"title"`
								Body        string `json:"body"`
								HeadRefName string `json:"headRefName"`
								Author      *login `json:"author"`
							} `json:"nodes"`
						} `json:"associatedPullRequests"`
					} `json:"nodes"`
					PageInfo struct {
						HasNextPage bool   `json:"hasNextPage"`
						EndCursor   string `json:"endCursor"`
					} `json:"pageInfo"`
				} `json:"refs"`
			} `json:"repository"`
		}
		if err := r.query(ctx, underQuery, variables, &got); err != nil {
			return nil, fmt.Errorf("%s: open pull requests under %s: %w", r.Name, prefix, err)
		}
		if got.Repository == nil {
			return nil, fmt.Errorf("%s: %w", r.Name, ErrNotFound)
		}
		for _, ref := range got.Repository.Refs.Nodes {
			for _, p := range ref.Pulls.Nodes {
				out = append(out, Pull{Number: p.Number, State: p.State, Title: p.Title, Body: p.Body, Branch: p.HeadRefName, Author: p.Author.name()})
			}
		}
		if !got.Repository.Refs.PageInfo.HasNextPage {
			return out, nil
		}
		variables["after"] = got.Repository.Refs.PageInfo.EndCursor
	}
}

// ClosedPulls lists up to a hundred closed and merged pull requests whose branch
// begins with a prefix, among the hundred that changed last, newest first, with
// what a list shows of them.
func (r *Repository) ClosedPulls(ctx context.Context, prefix string) ([]Pull, error) {
	list, _, err := r.rest.PullRequests.List(ctx, r.owner, r.name, &gh.PullRequestListOptions{
		State: "closed", Sort: "updated", Direction: "desc", ListOptions: gh.ListOptions{PerPage: 100}})
	if err != nil {
		return nil, fmt.Errorf("%s: closed pull requests: %w", r.Name, r.noAccess(err))
	}
	var out []Pull
	for _, p := range list {
		if strings.HasPrefix(p.GetHead().GetRef(), prefix) && isOurs(p) {
			out = append(out, summary(p))
		}
	}
	return out, nil
}

// isOurs is isSame for a pull request whose branch, or fork, may be gone.
func isOurs(p *gh.PullRequest) bool {
	return p.GetHead().GetRepo() == nil && strings.HasPrefix(p.GetHead().GetLabel(), p.GetBase().GetUser().GetLogin()+":") || isSame(p)
}

// OpenPull opens a pull request and returns its number. A branch has one open
// pull request at most: when it exists already, its number comes back.
func (r *Repository) OpenPull(ctx context.Context, d Draft) (int, error) {
	p, resp, err := r.rest.PullRequests.Create(ctx, r.owner, r.name, &gh.NewPullRequest{
		Title: &d.Title, Head: &d.Branch, Base: &d.Base, Body: &d.Body, MaintainerCanModify: gh.Bool(true)})
	if err != nil && resp != nil && resp.StatusCode == http.StatusUnprocessableEntity {
		if found, findErr := r.FindPull(ctx, d.Branch); findErr == nil && found.State == "OPEN" {
			return found.Number, r.EditPull(ctx, found.Number, d)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s: opening the pull request of %s: %w", r.Name, d.Branch, r.noAccess(err))
	}
	return p.GetNumber(), nil
}

// EditPull gives a pull request its title and body.
func (r *Repository) EditPull(ctx context.Context, number int, d Draft) error {
	_, _, err := r.rest.PullRequests.Edit(ctx, r.owner, r.name, number, &gh.PullRequest{Title: &d.Title, Body: &d.Body})
	if err != nil {
		return fmt.Errorf("%s#%d: editing: %w", r.Name, number, r.noAccess(err))
	}
	return nil
}

// ClosePull closes a pull request; one that is closed already stays so.
func (r *Repository) ClosePull(ctx context.Context, number int) error {
	_, _, err := r.rest.PullRequests.Edit(ctx, r.owner, r.name, number, &gh.PullRequest{State: gh.String("closed")})
	if err != nil {
		return fmt.Errorf("%s#%d: closing: %w", r.Name, number, r.noAccess(err))
	}
	return nil
}

// Merge is how a pull request is merged.
type Merge struct {
	Head    string // the commit that was judged; another one is not merged
	Title   string // of the squashed commit
	Message string
}

// MergePull squashes a pull request into its base and returns the commit. It
// returns ErrStale when the head is another one by now, and ErrNotMergeable
// when GitHub refuses: a check, a review or a rule is missing.
func (r *Repository) MergePull(ctx context.Context, number int, m Merge) (string, error) {
	got, resp, err := r.rest.PullRequests.Merge(ctx, r.owner, r.name, number, m.Message,
		&gh.PullRequestOptions{CommitTitle: m.Title, SHA: m.Head, MergeMethod: "squash"})
	if err != nil && resp != nil {
		switch resp.StatusCode {
		case http.StatusConflict:
			return "", fmt.Errorf("%s#%d: %w", r.Name, number, ErrStale)
		case http.StatusMethodNotAllowed:
			return "", fmt.Errorf("%s#%d: %w: %w", r.Name, number, ErrNotMergeable, meaning(err))
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s#%d: merging: %w", r.Name, number, r.noAccess(err))
	}
	return got.GetSHA(), nil
}

// labelColours are the colours in which labels are made.
var labelColours = map[string]string{"belay": "1f6feb", "risk: safe": "2da44e", "risk: caution": "d29922", "risk: unknown": "8b949e",
	"database": "8250df", "security": "cf222e", "data migration": "8250df", "ignored by terraform": "bf8700", "revert": "cf222e", "fix": "2da44e"}

// SetLabels gives a pull request labels of belay's, making those that the
// repository lacks, and takes belay's others away. Labels that people added stay.
func (r *Repository) SetLabels(ctx context.Context, number int, have, want []string) error {
	keep := slices.Clone(want)
	for _, l := range have {
		if !ours(l) && !slices.Contains(keep, l) {
			keep = append(keep, l)
		}
	}
	if sameSet(have, keep) {
		return nil
	}
	if err := r.makeLabels(ctx, want); err != nil {
		return err
	}
	// go-github sends a bare list, which GitHub's description does not have.
	req, err := r.rest.NewRequest(http.MethodPut, fmt.Sprintf("repos/%s/%s/issues/%d/labels", r.owner, r.name, number), map[string][]string{"labels": keep})
	if err != nil {
		return err
	}
	if _, err := r.rest.Do(ctx, req, nil); err != nil {
		return fmt.Errorf("%s#%d: labels: %w", r.Name, number, r.noAccess(err))
	}
	return nil
}

func ours(label string) bool {
	_, ok := labelColours[label]
	return ok || strings.HasPrefix(label, "step ") || strings.HasPrefix(label, "steps: ")
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func (r *Repository) makeLabels(ctx context.Context, want []string) error {
	have := map[string]bool{}
	for page := 1; page != 0; {
		list, resp, err := r.rest.Issues.ListLabels(ctx, r.owner, r.name, &gh.ListOptions{Page: page, PerPage: 100})
		if err != nil {
			return fmt.Errorf("%s: labels: %w", r.Name, r.noAccess(err))
		}
		for _, l := range list {
			have[strings.ToLower(l.GetName())] = true
		}
		page = resp.NextPage
	}
	for _, name := range want {
		if have[strings.ToLower(name)] {
			continue
		}
		colour := labelColours[name]
		if colour == "" {
			colour = "1f6feb"
		}
		_, resp, err := r.rest.Issues.CreateLabel(ctx, r.owner, r.name, &gh.Label{Name: gh.String(name), Color: gh.String(colour)})
		if err != nil && (resp == nil || resp.StatusCode != http.StatusUnprocessableEntity) { // 422: somebody was faster
			return fmt.Errorf("%s: label %q: %w", r.Name, name, r.noAccess(err))
		}
	}
	return nil
}

// RequiredChecks are the names of the checks that the rules of a branch ask for.
func (r *Repository) RequiredChecks(ctx context.Context, branch string) ([]string, error) {
	var out []string
	// go-github's Branch leaves the protection out, which needs no more rights here.
	var b struct {
		Protection struct {
			Required struct {
				Contexts []string `json:"contexts"`
			} `json:"required_status_checks"`
		} `json:"protection"`
	}
	req, err := r.rest.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/branches/%s", r.owner, r.name, url.PathEscape(branch)), nil)
	if err != nil {
		return nil, err
	}
	if _, err := r.rest.Do(ctx, req, &b); err != nil {
		return nil, fmt.Errorf("%s: branch %s: %w", r.Name, branch, r.noAccess(err))
	}
	out = append(out, b.Protection.Required.Contexts...)
	rules, err := r.rules(ctx, branch)
	if err != nil {
		return nil, err
	}
	for _, rule := range rules {
		if rule.Type != "required_status_checks" {
			continue
		}
		var p gh.RequiredStatusChecksRuleParameters
		if err := rule.read(&p); err != nil {
			return nil, fmt.Errorf("%s: rules of branch %s: %w", r.Name, branch, err)
		}
		for _, c := range p.RequiredStatusChecks {
			out = append(out, c.Context)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
