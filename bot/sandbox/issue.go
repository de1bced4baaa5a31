package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// issue is one that is no pull request.
type issue struct {
	number           int
	title, body      string
	state            string // open, closed
	author           string
	created, updated time.Time
	labels           []string
	comments         []*comment
}

// Issue is an issue as it is now.
type Issue struct {
	Number   int
	Title    string
	Body     string
	State    string // open, closed
	Author   string
	Labels   []string
	Comments []Comment
}

// nextNumber is the number of the next issue or pull request: they share them.
// Numbers of deleted issues are not given again.
func (r *Repository) nextNumber() int {
	return len(r.pulls) + len(r.issues) + r.deleted + 1
}

func (r *Repository) issue(number int) *issue {
	for _, i := range r.issues {
		if i.number == number {
			return i
		}
	}
	return nil
}

// Issues are the issues as they are now, without pull requests.
func (r *Repository) Issues() []Issue {
	defer r.lock()()
	var out []Issue
	for _, i := range r.issues {
		v := Issue{Number: i.number, Title: i.title, Body: i.body, State: i.state, Author: i.author, Labels: slices.Clone(i.labels)}
		for _, c := range i.comments {
			v.Comments = append(v.Comments, Comment{ID: c.id, Login: c.login, Body: c.body, Reactions: slices.Clone(c.reactions)})
		}
		out = append(out, v)
	}
	return out
}

// OpenIssue has somebody open an issue, and returns its number.
func (r *Repository) OpenIssue(login, title, body string, labels ...string) int {
	defer r.lock()()
	return r.openIssue(login, title, body, labels).number
}

func (r *Repository) openIssue(login, title, body string, labels []string) *issue {
	now := r.g.opts.Now()
	i := &issue{number: r.nextNumber(), title: title, body: body, state: "open", author: login, created: now, updated: now, labels: labels}
	r.issues = append(r.issues, i)
	return i
}

// EditIssue has somebody change an issue's body.
func (r *Repository) EditIssue(number int, login, body string) {
	defer r.lock()()
	r.editIssue(r.issue(number), login, body)
}

func (r *Repository) editIssue(i *issue, login, body string) {
	old := i.body
	i.body, i.updated = body, r.g.opts.Now()
	r.g.emit(r, "issues edited", object{"issue": r.hookWholeIssue(i), "changes": object{"body": object{"from": old}}, "sender": r.g.user(login)})
}

// Tick has somebody tick the first empty box of an issue whose line holds a
// text, as a click on it does. It reports whether there was one.
func (r *Repository) Tick(number int, login, text string) bool {
	defer r.lock()()
	i := r.issue(number)
	lines := strings.Split(i.body, "\n")
	for n, line := range lines {
		if strings.Contains(line, "- [ ] ") && strings.Contains(line, text) {
			lines[n] = strings.Replace(line, "- [ ] ", "- [x] ", 1)
			r.editIssue(i, login, strings.Join(lines, "\n"))
			return true
		}
	}
	return false
}

// CloseIssue has somebody close an issue.
func (r *Repository) CloseIssue(number int, login string) {
	defer r.lock()()
	r.setIssueState(r.issue(number), login, "closed")
}

// ReopenIssue has somebody open a closed issue again.
func (r *Repository) ReopenIssue(number int, login string) {
	defer r.lock()()
	r.setIssueState(r.issue(number), login, "open")
}

func (r *Repository) setIssueState(i *issue, login, state string) {
	if i.state == state {
		return
	}
	i.state, i.updated = state, r.g.opts.Now()
	name := map[string]string{"closed": "issues closed", "open": "issues reopened"}[state]
	r.g.emit(r, name, object{"issue": r.hookWholeIssue(i), "sender": r.g.user(login)})
}

// DeleteIssue has somebody delete an issue.
func (r *Repository) DeleteIssue(number int, login string) {
	defer r.lock()()
	i := r.issue(number)
	r.issues = slices.DeleteFunc(r.issues, func(x *issue) bool { return x == i })
	r.deleted++
	r.g.emit(r, "issues deleted", object{"issue": r.hookWholeIssue(i), "sender": r.g.user(login)})
}

// CommentIssue has somebody comment on an issue.
func (r *Repository) CommentIssue(number int, login, body string) int64 {
	defer r.lock()()
	return r.commentIssue(r.issue(number), login, body).id
}

func (r *Repository) commentIssue(i *issue, login, body string) *comment {
	c := &comment{id: r.g.id(), login: login, body: body, created: r.g.opts.Now()}
	i.comments = append(i.comments, c)
	i.updated = c.created
	base := r.g.contract.hookExample("issue_comment created")["issue"].(object)
	shown := with(base, r.hookWholeIssue(i))
	delete(shown, "pull_request")
	r.g.emit(r, "issue_comment created", object{"comment": r.hookComment(c), "issue": shown, "sender": r.g.user(login)})
	return c
}

// hookWholeIssue is an issue as webhooks show it.
func (r *Repository) hookWholeIssue(i *issue) object {
	out := object{"number": i.number, "title": i.title, "body": i.body, "state": i.state, "user": r.g.user(i.author), "html_url": r.g.URL() + "/" + r.FullName() + "/issues/" + itoa(i.number)}
	if i.state == "closed" {
		out["closed_at"] = stamp(i.updated)
	}
	return out
}

// graphIssue is an issue as GraphQL shows it.
func graphIssue(i *issue) object {
	return object{"__typename": "Issue", "number": i.number, "title": i.title, "body": i.body, "state": strings.ToUpper(i.state), "author": actor(i.author), "comments": nodes(graphComments(i.comments))}
}

func (c *call) issueJSON(status int, i *issue) object {
	labels := []any{}
	for _, l := range i.labels {
		labels = append(labels, c.label(l))
	}
	out := with(c.example(status), object{"number": i.number, "title": i.title, "body": i.body, "state": i.state, "user": c.g.user(i.author), "labels": labels,
		"created_at": stamp(i.created), "updated_at": stamp(i.updated), "closed_at": nil})
	delete(out, "pull_request")
	if i.state == "closed" {
		out["closed_at"] = stamp(i.updated)
	}
	return out
}

// tooLong refuses what GitHub does not take for a body.
func tooLong(body string) error {
	if len([]rune(body)) > 65536 {
		return &problem{http.StatusUnprocessableEntity, "Validation Failed: body is too long (maximum is 65536 characters)"}
	}
	return nil
}

func (c *call) makeIssue() (int, any, error) {
	if c.repo.noIssues {
		return 0, nil, &problem{http.StatusGone, "Issues are disabled for this repo"}
	}
	if err := tooLong(c.text("body")); err != nil {
		return 0, nil, err
	}
	var labels []string
	list, _ := c.body["labels"].([]any)
	for _, l := range list {
		name, _ := l.(string)
		labels = append(labels, name)
		if !slices.ContainsFunc(c.repo.labels, func(have string) bool { return strings.EqualFold(have, name) }) {
			c.repo.labels = append(c.repo.labels, name) // whoever may push makes labels by using them
		}
	}
	return http.StatusCreated, c.issueJSON(201, c.repo.openIssue(c.actor, c.text("title"), c.text("body"), labels)), nil
}

func (c *call) changeIssue() (int, any, error) {
	i := c.repo.issue(int(c.number("issue_number")))
	if i == nil {
		return 0, nil, &problem{http.StatusGone, "This issue was deleted"}
	}
	if err := tooLong(c.text("body")); err != nil {
		return 0, nil, err
	}
	if _, ok := c.body["title"]; ok {
		i.title = c.text("title")
	}
	if _, ok := c.body["body"]; ok {
		c.repo.editIssue(i, c.actor, c.text("body"))
	}
	if s := c.text("state"); s != "" {
		c.repo.setIssueState(i, c.actor, s)
	}
	return http.StatusOK, c.issueJSON(200, i), nil
}

// DisableIssues has the repository have no issues.
func (r *Repository) DisableIssues(off bool) {
	defer r.lock()()
	r.noIssues = off
}
