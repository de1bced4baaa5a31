package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// CheckState is how a check or commit status stands.
type CheckState string

// The states of a check.
const (
	CheckPending CheckState = "pending"
	CheckGood    CheckState = "good" // success, neutral or skipped
	CheckBad     CheckState = "bad"
)

// Check is a check run or a commit status.
type Check struct {
	Name  string
	State CheckState
	App   string // slug of the App that made a check run, "" for a commit status

	Status     string // of a check run, as GraphQL's CheckStatusState has it; "" for a commit status
	Conclusion string // CheckConclusionState, or a commit status's StatusState
}

// Review is the last word of one reviewer.
type Review struct {
	Login  string
	State  string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, as GitHub's API has it
	Commit string // that it speaks of
	At     time.Time
}

// Comment is one comment of the conversation.
type Comment struct {
	ID     int64
	Login  string
	Bot    bool // written by an App or bot user
	Body   string
	Edited bool
	Editor string // who changed it last, "" for nobody
	At     time.Time
}

// Commit is one commit of a pull request.
type Commit struct {
	SHA   string
	Login string // of its author, "" when GitHub knows none
	Email string
}

// Pull is a pull request as it was at one moment.
type Pull struct {
	Number      int
	State       string // OPEN, CLOSED, MERGED
	Draft       bool
	Title       string
	Body        string
	Head        string // commit
	Branch      string
	HasBranch   bool   // the branch is still there
	Mergeable   string // MERGEABLE, CONFLICTING, UNKNOWN
	MergeSHA    string
	MergeChecks []Check // of MergeSHA
	MergedBy    string
	Author      string
	Created     time.Time // in lists only
	Updated     time.Time
	Labels      []string
	Reviews     []Review // newest of each reviewer last
	Commits     []Commit // the newest 100, oldest first
	Checks      []Check  // of the head
	Comments    []Comment
	BaseName    string // the repository's default branch
	Base        string // its commit
}

const contexts = `statusCheckRollup { contexts(first: 100) { nodes { __typename
  ... on CheckRun { name status conclusion checkSuite { app { slug } } }
  ... on StatusContext { context state } } } }`

const pullQuery = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    nameWithOwner
    defaultBranchRef { name target { oid } }
    pullRequest(number: $number) {
      number state isDraft title body headRefOid headRefName headRef { id } mergeable updatedAt
      mergeCommit { oid ` + contexts + ` } mergedBy { login } author { login }
      labels(first: 50) { nodes { name } }
      reviews(last: 100) { nodes { author { login } state submittedAt commit { oid } } }
      commits(last: 100) { nodes { commit { oid author { email user { login } } } } }
      head: commits(last: 1) { nodes { commit { ` + contexts + ` } } }
      comments(last: 100) { nodes { fullDatabaseId author { login __typename } body createdAt lastEditedAt editor { login } } }
    }
  }
}`

const commitQuery = `query($owner: String!, $name: String!, $oid: GitObjectID!) {
  repository(owner: $owner, name: $name) { object(oid: $oid) { ... on Commit { oid ` + contexts + ` } } }
}`

type login struct {
	Login string `json:"login"`
	Type  string `json:"__typename"`
}

type rollup struct {
	StatusCheckRollup *struct {
		Contexts struct {
			Nodes []struct {
				Type       string `json:"__typename"`
				Name       string `json:"name"`
				Status     string `json:"status"`
				Conclusion string `json:"conclusion"`
				Context    string `json:"context"`
				State      string `json:"state"`
				CheckSuite struct {
					App *struct {
						Slug string `json:"slug"`
					} `json:"app"`
				} `json:"checkSuite"`
			} `json:"nodes"`
		} `json:"contexts"`
	} `json:"statusCheckRollup"`
}

type pullAnswer struct {
	Repository *struct {
		NameWithOwner    string `json:"nameWithOwner"`
		DefaultBranchRef *struct {
			Name   string `json:"name"`
			Target struct {
				OID string `json:"oid"`
			} `json:"target"`
		} `json:"defaultBranchRef"`
		PullRequest *struct {
			Number      int       `json:"number"`
			State       string    `json:"state"`
			IsDraft     bool      `json:"isDraft"`
			Title       string    `json:"title"`
			Body        string    `json:"body"`
			HeadRefOid  string    `json:"headRefOid"`
			HeadRefName string    `json:"headRefName"`
			HeadRef     *struct{} `json:"headRef"`
			Mergeable   string    `json:"mergeable"`
			UpdatedAt   time.Time `json:"updatedAt"`
			MergeCommit *struct {
				OID string `json:"oid"`
				rollup
			} `json:"mergeCommit"`
			MergedBy *login `json:"mergedBy"`
			Author   *login `json:"author"`
			Labels   struct {
				Nodes []struct {
					Name string `json:"name"`
				} `json:"nodes"`
			} `json:"labels"`
			Reviews struct {
				Nodes []struct {
					Author      *login    `json:"author"`
					State       string    `json:"state"`
					SubmittedAt time.Time `json:"submittedAt"`
					Commit      *struct {
						OID string `json:"oid"`
					} `json:"commit"`
				} `json:"nodes"`
			} `json:"reviews"`
			Commits struct {
				Nodes []struct {
					Commit struct {
						OID    string `json:"oid"`
						Author struct {
							Email string `json:"email"`
							User  *login `json:"user"`
						} `json:"author"`
					} `json:"commit"`
				} `json:"nodes"`
			} `json:"commits"`
			Head struct {
				Nodes []struct {
					Commit rollup `json:"commit"`
				} `json:"nodes"`
			} `json:"head"`
			Comments talkNodes `json:"comments"`
		} `json:"pullRequest"`
	} `json:"repository"`
}

// Pull reads a pull request with its reviews, commits, checks and comments, and
// where the default branch stands, in one request. It returns ErrNotFound when
// there is none.
func (r *Repository) Pull(ctx context.Context, number int) (Pull, error) {
	var got pullAnswer
	if err := r.query(ctx, pullQuery, map[string]any{"owner": r.owner, "name": r.name, "number": number}, &got); err != nil {
		return Pull{}, fmt.Errorf("%s#%d: %w", r.Name, number, err)
	}
	if got.Repository == nil || got.Repository.PullRequest == nil {
		return Pull{}, fmt.Errorf("%s#%d: %w", r.Name, number, ErrNotFound)
	}
	p := got.Repository.PullRequest
	out := Pull{Number: p.Number, State: p.State, Draft: p.IsDraft, Title: p.Title, Body: p.Body, Head: p.HeadRefOid, Branch: p.HeadRefName, HasBranch: p.HeadRef != nil,
		Mergeable: p.Mergeable, MergedBy: p.MergedBy.name(), Author: p.Author.name(), Updated: p.UpdatedAt}
	if p.MergeCommit != nil {
		out.MergeSHA, out.MergeChecks = p.MergeCommit.OID, p.MergeCommit.checks()
	}
	if d := got.Repository.DefaultBranchRef; d != nil {
		out.BaseName, out.Base = d.Name, d.Target.OID
	}
	for _, l := range p.Labels.Nodes {
		out.Labels = append(out.Labels, l.Name)
	}
	for _, v := range p.Reviews.Nodes {
		review := Review{Login: v.Author.name(), State: v.State, At: v.SubmittedAt}
		if v.Commit != nil {
			review.Commit = v.Commit.OID
		}
		out.Reviews = append(out.Reviews, review)
	}
	for _, c := range p.Commits.Nodes {
		out.Commits = append(out.Commits, Commit{SHA: c.Commit.OID, Login: c.Commit.Author.User.name(), Email: c.Commit.Author.Email})
	}
	for _, h := range p.Head.Nodes {
		out.Checks = h.Commit.checks()
	}
	out.Comments = p.Comments.comments()
	return out, nil
}

// talkNodes are the comments of a conversation.
type talkNodes struct {
	Nodes []struct {
		ID           int64      `json:"fullDatabaseId,string"` // databaseId has 32 bits
		Author       *login     `json:"author"`
		Body         string     `json:"body"`
		CreatedAt    time.Time  `json:"createdAt"`
		LastEditedAt *time.Time `json:"lastEditedAt"`
		Editor       *login     `json:"editor"`
	} `json:"nodes"`
}

func (t talkNodes) comments() []Comment {
	var out []Comment
	for _, c := range t.Nodes {
		out = append(out, Comment{ID: c.ID, Login: c.Author.name(), Bot: c.Author != nil && c.Author.Type == "Bot",
			Body: c.Body, Edited: c.LastEditedAt != nil, Editor: c.Editor.name(), At: c.CreatedAt})
	}
	return out
}

// Checks reads the check runs and commit statuses of a commit.
func (r *Repository) Checks(ctx context.Context, sha string) ([]Check, error) {
	var got struct {
		Repository *struct {
			Object *rollup `json:"object"`
		} `json:"repository"`
	}
	if err := r.query(ctx, commitQuery, map[string]any{"owner": r.owner, "name": r.name, "oid": sha}, &got); err != nil {
		return nil, fmt.Errorf("%s@%s: %w", r.Name, sha, err)
	}
	if got.Repository == nil || got.Repository.Object == nil {
		return nil, fmt.Errorf("%s@%s: %w", r.Name, sha, ErrNotFound)
	}
	return got.Repository.Object.checks(), nil
}

// name is a login without the "[bot]" that only the REST API adds; "" for an
// account that is gone.
func (l *login) name() string {
	if l == nil {
		return ""
	}
	return strings.TrimSuffix(l.Login, "[bot]")
}

// checks reads the states as GraphQL's CheckStatusState, CheckConclusionState
// and StatusState have them.
func (r rollup) checks() []Check {
	if r.StatusCheckRollup == nil {
		return nil
	}
	var out []Check
	for _, n := range r.StatusCheckRollup.Contexts.Nodes {
		c := Check{Name: n.Name, State: CheckPending, Status: n.Status, Conclusion: n.Conclusion}
		switch {
		case n.Type == "StatusContext":
			c.Name, c.Status, c.Conclusion = n.Context, "", n.State
			switch n.State {
			case "SUCCESS":
				c.State = CheckGood
			case "FAILURE", "ERROR":
				c.State = CheckBad
			}
		case n.Status == "COMPLETED":
			c.State = CheckBad
			switch n.Conclusion {
			case "SUCCESS", "NEUTRAL", "SKIPPED":
				c.State = CheckGood
			}
		}
		if n.CheckSuite.App != nil {
			c.App = n.CheckSuite.App.Slug
		}
		out = append(out, c)
	}
	return out
}

// query asks GitHub's GraphQL API.
func (r *Repository) query(ctx context.Context, query string, variables map[string]any, into any) error {
	req, err := r.rest.NewRequest(http.MethodPost, r.app.graphql, map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	var got struct {
		Data   any `json:"data"`
		Errors []struct {
			Type    string `json:"type"`
			Path    []any  `json:"path"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	got.Data = into
	resp, err := r.rest.Do(ctx, req, &got)
	if err != nil {
		return r.noAccess(err)
	}
	if len(got.Errors) == 0 {
		return nil
	}
	e := got.Errors[0]
	switch e.Type {
	case "NOT_FOUND":
		if len(e.Path) == 1 { // the repository itself: GitHub hides what the App may not see
			r.app.Forget(r.Name)
			return fmt.Errorf("%w: %s", ErrNoAccess, e.Message)
		}
		return fmt.Errorf("%w: %s", ErrNotFound, e.Message)
	case "FORBIDDEN":
		return fmt.Errorf("%w: %s", ErrNoAccess, e.Message)
	case "RATE_LIMITED":
		if reset := resp.Rate.Reset; !reset.IsZero() {
			return &Limited{Until: reset.Add(time.Second)}
		}
		return &Limited{Until: r.app.opts.Now().Add(time.Minute)}
	}
	return errors.New("GraphQL: " + e.Message)
}
