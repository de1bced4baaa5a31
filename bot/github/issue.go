package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v60/github"
)

// ErrNoIssues means that a repository's issues are switched off.
var ErrNoIssues = errors.New("issues are switched off in the repository")

// Issue is an issue as it was at one moment.
type Issue struct {
	Number   int
	Title    string
	Body     string
	Closed   bool
	Author   string
	Bot      bool      // written by an App or bot user
	Comments []Comment // the newest 100, oldest first; none where issues are listed
}

// maxFound is how many issues with a label are looked at.
const maxFound = 50

const issueQuery = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { issue(number: $number) {
    number title body state author { login __typename }
    comments(last: 100) { nodes { fullDatabaseId author { login __typename } body createdAt lastEditedAt editor { login } } }
  } }
}`

const issuesQuery = `query($owner: String!, $name: String!, $labels: [String!], $first: Int!) {
  repository(owner: $owner, name: $name) { issues(labels: $labels, first: $first, orderBy: {field: CREATED_AT, direction: ASC}) {
    nodes { number title body state author { login __typename } }
  } }
}`

type issueNode struct {
	Number   int       `json:"number"`
	Title    string    `json:"title"`
	Body     string    `json:"body"`
	State    string    `json:"state"`
	Author   *login    `json:"author"`
	Comments talkNodes `json:"comments"`
}

func (n issueNode) issue() Issue {
	return Issue{Number: n.Number, Title: n.Title, Body: n.Body, Closed: n.State == "CLOSED", Author: n.Author.name(), Bot: n.Author != nil && n.Author.Type == "Bot", Comments: n.Comments.comments()}
}

// Issue reads an issue with its comments, in one request. It returns
// ErrNotFound when there is none, because it was deleted or moved away.
func (r *Repository) Issue(ctx context.Context, number int) (Issue, error) {
	var got struct {
		Repository *struct {
			Issue *issueNode `json:"issue"`
		} `json:"repository"`
	}
	if err := r.query(ctx, issueQuery, map[string]any{"owner": r.owner, "name": r.name, "number": number}, &got); err != nil {
		return Issue{}, fmt.Errorf("%s#%d: %w", r.Name, number, err)
	}
	if got.Repository == nil || got.Repository.Issue == nil {
		return Issue{}, fmt.Errorf("%s#%d: %w", r.Name, number, ErrNotFound)
	}
	return got.Repository.Issue.issue(), nil
}

// Issues lists issues with a label, open or not, the oldest first, without
// their comments. Pull requests are none.
func (r *Repository) Issues(ctx context.Context, label string) ([]Issue, error) {
	var got struct {
		Repository *struct {
			Issues struct {
				Nodes []issueNode `json:"nodes"`
			} `json:"issues"`
		} `json:"repository"`
	}
	if err := r.query(ctx, issuesQuery, map[string]any{"owner": r.owner, "name": r.name, "labels": []string{label}, "first": maxFound}, &got); err != nil {
		return nil, fmt.Errorf("%s: issues labelled %s: %w", r.Name, label, err)
	}
	if got.Repository == nil {
		return nil, nil
	}
	var out []Issue
	for _, n := range got.Repository.Issues.Nodes {
		out = append(out, n.issue())
	}
	return out, nil
}

// OpenIssue opens an issue and returns its number. A label that the repository
// lacks is made. It returns ErrNoIssues where issues are switched off.
func (r *Repository) OpenIssue(ctx context.Context, title, body string, labels ...string) (int, error) {
	got, resp, err := r.rest.Issues.Create(ctx, r.owner, r.name, &gh.IssueRequest{Title: &title, Body: &body, Labels: &labels})
	if err != nil && resp != nil && resp.StatusCode == http.StatusGone {
		return 0, fmt.Errorf("%s: %w", r.Name, ErrNoIssues)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: opening the issue %q: %w", r.Name, title, r.noAccess(err))
	}
	return got.GetNumber(), nil
}

// IssueEdit is a change of an issue.
type IssueEdit struct {
	Body  string
	State string // "open", "closed"; "" leaves it as it is
}

// EditIssue changes an issue. It returns ErrNotFound when somebody deleted it,
// or moved it away.
func (r *Repository) EditIssue(ctx context.Context, number int, e IssueEdit) error {
	req := &gh.IssueRequest{Body: &e.Body}
	if e.State != "" {
		req.State = &e.State
	}
	if _, _, err := r.rest.Issues.Edit(ctx, r.owner, r.name, number, req); err != nil {
		return fmt.Errorf("%s#%d: editing: %w", r.Name, number, r.noAccess(err))
	}
	return nil
}
