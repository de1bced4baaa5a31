package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
)

func unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

// Comment adds a comment to a pull request and returns its id.
func (r *Repository) Comment(ctx context.Context, number int, body string) (int64, error) {
	c, _, err := r.rest.Issues.CreateComment(ctx, r.owner, r.name, number, &gh.IssueComment{Body: &body})
	if err != nil {
		return 0, fmt.Errorf("%s#%d: commenting: %w", r.Name, number, r.noAccess(err))
	}
	return c.GetID(), nil
}

// EditComment gives a comment another text. It returns ErrNotFound when
// somebody deleted it.
func (r *Repository) EditComment(ctx context.Context, id int64, body string) error {
	if _, _, err := r.rest.Issues.EditComment(ctx, r.owner, r.name, id, &gh.IssueComment{Body: &body}); err != nil {
		return fmt.Errorf("%s: comment %d: %w", r.Name, id, r.noAccess(err))
	}
	return nil
}

// CommentBody reads a comment as it is now. It returns ErrNotFound when
// somebody deleted it.
func (r *Repository) CommentBody(ctx context.Context, id int64) (string, error) {
	c, _, err := r.rest.Issues.GetComment(ctx, r.owner, r.name, id)
	if err != nil {
		return "", fmt.Errorf("%s: comment %d: %w", r.Name, id, r.noAccess(err))
	}
	return c.GetBody(), nil
}

// React adds a reaction to a comment: "eyes", "rocket", "confused". The same
// one twice is one.
func (r *Repository) React(ctx context.Context, comment int64, reaction string) error {
	_, _, err := r.rest.Reactions.CreateIssueCommentReaction(ctx, r.owner, r.name, comment, reaction)
	if err = meaning(err); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%s: reacting to comment %d: %w", r.Name, comment, err)
	}
	return nil
}

// MayWrite asks whether somebody has write permission in the repository.
func (r *Repository) MayWrite(ctx context.Context, login string) (bool, error) {
	level, _, err := r.rest.Repositories.GetPermissionLevel(ctx, r.owner, r.name, login)
	if err = meaning(err); errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: permission of %s: %w", r.Name, login, err)
	}
	switch level.GetPermission() { // maintain is shown as write, triage as read
	case "admin", "write":
		return true, nil
	}
	return false, nil
}

// CheckRun is what a check of belay's says on a commit.
type CheckRun struct {
	Name       string // "belay/risk"
	Head       string // commit
	Key        string // external_id
	Conclusion string // "" while it runs: success, neutral, failure, action_required, cancelled
	Title      string
	Summary    string // Markdown
	URL        string
	At         time.Time
	Notes      []Note // on lines of files; GitHub adds them up, so they are sent when the check run is made alone
}

// Note is what a check run says of one line: an annotation.
type Note struct {
	Path  string // from the repository's root
	Line  int    // from 1
	Title string
	Text  string
}

// maxNotes is how many annotations GitHub takes in one request.
const maxNotes = 50

// maxSummary is the longest summary of a check run in characters that GitHub takes.
const maxSummary = 65_535

// SetCheckRun makes a check run, or changes the one with the given id, and
// returns its id. An id that GitHub does not know any more makes a new one.
func (r *Repository) SetCheckRun(ctx context.Context, id int64, c CheckRun) (int64, error) {
	status := "in_progress"
	var conclusion *string
	var completed *gh.Timestamp
	if c.Conclusion != "" {
		status, conclusion, completed = "completed", &c.Conclusion, &gh.Timestamp{Time: c.At}
	}
	if len(c.Summary) > maxSummary {
		c.Summary = strings.ToValidUTF8(c.Summary[:maxSummary], "")
	}
	if done, err := r.asStatus(ctx, c, nil); done || err != nil {
		return 0, err
	}
	output := &gh.CheckRunOutput{Title: &c.Title, Summary: &c.Summary}
	var details *string
	if c.URL != "" {
		details = &c.URL
	}
	if id != 0 {
		run, _, err := r.rest.Checks.UpdateCheckRun(ctx, r.owner, r.name, id, gh.UpdateCheckRunOptions{
			Name: c.Name, Status: &status, Conclusion: conclusion, CompletedAt: completed, Output: output, DetailsURL: details, ExternalID: &c.Key})
		if err == nil {
			return run.GetID(), nil
		}
		if err = meaning(err); !errors.Is(err, ErrNotFound) {
			return 0, fmt.Errorf("%s: check %s: %w", r.Name, c.Name, err)
		}
	}
	for _, n := range c.Notes[:min(len(c.Notes), maxNotes)] {
		output.Annotations = append(output.Annotations, &gh.CheckRunAnnotation{Path: &n.Path, StartLine: &n.Line, EndLine: &n.Line, AnnotationLevel: gh.String("warning"), Title: &n.Title, Message: &n.Text})
	}
	run, _, err := r.rest.Checks.CreateCheckRun(ctx, r.owner, r.name, gh.CreateCheckRunOptions{
		Name: c.Name, HeadSHA: c.Head, Status: &status, Conclusion: conclusion, CompletedAt: completed, Output: output, DetailsURL: details, ExternalID: &c.Key})
	if err = r.noAccess(err); err != nil {
		if done, _ := r.asStatus(ctx, c, err); done {
			return 0, nil
		}
		return 0, fmt.Errorf("%s: check %s: %w", r.Name, c.Name, err)
	}
	return run.GetID(), nil
}

// Delivery is a webhook that GitHub sent, or tried to send.
type Delivery struct {
	ID        int64
	GUID      string
	Event     string
	At        time.Time
	Delivered bool // the server answered 2xx
	Status    int  // of the answer; 0: there was none
	Payload   []byte
}

// Deliveries lists the App's webhook deliveries newer than since, oldest first,
// without their payloads. GitHub keeps them for some days.
func (a *App) Deliveries(ctx context.Context, since time.Time) ([]Delivery, error) {
	c, err := a.asApp()
	if err != nil {
		return nil, err
	}
	var out []Delivery
	for cursor := ""; ; {
		list, resp, err := c.Apps.ListHookDeliveries(ctx, &gh.ListCursorOptions{PerPage: 100, Cursor: cursor})
		if err != nil {
			return nil, fmt.Errorf("the App's delivery log: %w", meaning(err))
		}
		for _, d := range list {
			if !d.GetDeliveredAt().After(since) {
				return reversed(out), nil
			}
			out = append(out, Delivery{ID: d.GetID(), GUID: d.GetGUID(), Event: d.GetEvent(), At: d.GetDeliveredAt().Time,
				Status: d.GetStatusCode(), Delivered: d.GetStatusCode() >= http.StatusOK && d.GetStatusCode() < http.StatusMultipleChoices})
		}
		if resp.Cursor == "" {
			return reversed(out), nil
		}
		cursor = resp.Cursor
	}
}

func reversed(list []Delivery) []Delivery {
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// Payload reads what a delivery carried.
func (a *App) Payload(ctx context.Context, id int64) ([]byte, error) {
	c, err := a.asApp()
	if err != nil {
		return nil, err
	}
	d, _, err := c.Apps.GetHookDelivery(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("webhook delivery %d: %w", id, meaning(err))
	}
	if d.Request == nil {
		return nil, fmt.Errorf("webhook delivery %d: %w: it has no payload any more", id, ErrNotFound)
	}
	return d.Request.GetRawPayload(), nil
}

// DefaultBranch is the name of the repository's default branch.
func (r *Repository) DefaultBranch(ctx context.Context) (string, error) {
	got, _, err := r.rest.Repositories.Get(ctx, r.owner, r.name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", r.Name, r.noAccess(err))
	}
	return got.GetDefaultBranch(), nil
}
