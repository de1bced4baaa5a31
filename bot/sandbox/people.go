package sandbox

import (
	"fmt"
	"strings"
)

// What people do in a repository, beside what the App does through the API.

func (r *Repository) pull(number int) *pull {
	for _, p := range r.pulls {
		if p.number == number {
			return p
		}
	}
	return nil
}

// Comment has somebody comment on a pull request.
func (r *Repository) Comment(number int, login, body string) int64 {
	defer r.lock()()
	return r.comment(r.pull(number), login, body).id
}

func (r *Repository) comment(p *pull, login, body string) *comment {
	c := &comment{id: r.g.id(), login: login, body: body, created: r.g.opts.Now()}
	p.comments = append(p.comments, c)
	p.updated = c.created
	r.g.emit(r, "issue_comment created", object{"comment": r.hookComment(c), "issue": r.hookIssue(p), "sender": r.g.user(login)})
	return c
}

// EditComment has somebody change a comment.
func (r *Repository) EditComment(number int, id int64, body string) {
	defer r.lock()()
	p := r.pull(number)
	for _, c := range p.comments {
		if c.id == id {
			old := c.body
			c.body, c.edited, c.editor = body, r.g.opts.Now(), c.login
			r.g.emit(r, "issue_comment edited", object{"changes": object{"body": object{"from": old}}, "comment": r.hookComment(c), "issue": r.hookIssue(p), "sender": r.g.user(c.login)})
		}
	}
}

// Review has somebody review a pull request: approved, changes_requested, commented.
func (r *Repository) Review(number int, login, state string) {
	defer r.lock()()
	p := r.pull(number)
	v := review{login: login, state: strings.ToUpper(state), sha: p.sha, at: r.g.opts.Now()}
	p.reviews = append(p.reviews, v)
	r.g.emit(r, "pull_request_review submitted", object{"pull_request": object{"number": p.number, "head": object{"sha": p.sha, "ref": p.head}},
		"review": object{"state": state, "commit_id": p.sha, "user": r.g.user(login)}, "sender": r.g.user(login)})
}

// Dismiss has somebody dismiss the last review of a pull request by login.
func (r *Repository) Dismiss(number int, login, by string) {
	defer r.lock()()
	p := r.pull(number)
	for i := len(p.reviews) - 1; i >= 0; i-- {
		if v := &p.reviews[i]; v.login == login {
			v.state = "DISMISSED"
			r.g.emit(r, "pull_request_review dismissed", object{"pull_request": object{"number": p.number, "head": object{"sha": p.sha, "ref": p.head}},
				"review": object{"state": "dismissed", "commit_id": v.sha, "user": r.g.user(login)}, "sender": r.g.user(by)})
			return
		}
	}
}

// Reopen has somebody open a closed pull request again.
func (r *Repository) Reopen(number int, login string) {
	defer r.lock()()
	p := r.pull(number)
	p.state, p.updated = "open", r.g.opts.Now()
	r.g.emit(r, "pull_request reopened", object{"number": p.number, "pull_request": r.hookPull(p), "sender": r.g.user(login)})
}

// Close has somebody close a pull request.
func (r *Repository) Close(number int, login string) {
	defer r.lock()()
	r.close(r.pull(number), login)
}

func (r *Repository) close(p *pull, login string) {
	p.state, p.updated = "closed", r.g.opts.Now()
	r.g.emit(r, "pull_request closed", object{"number": p.number, "pull_request": r.hookPull(p), "sender": r.g.user(login)})
}

// SetDraft makes a pull request a draft, or ready.
func (r *Repository) SetDraft(number int, draft bool) {
	defer r.lock()()
	p := r.pull(number)
	p.draft, p.updated = draft, r.g.opts.Now()
	name := "pull_request ready_for_review"
	if draft {
		name = "pull_request converted_to_draft"
	}
	r.g.emit(r, name, object{"number": p.number, "pull_request": r.hookPull(p)})
}

// SetBody has somebody change a pull request's body.
func (r *Repository) SetBody(number int, body string) {
	defer r.lock()()
	p := r.pull(number)
	old := p.body
	p.body, p.updated = body, r.g.opts.Now()
	r.g.emit(r, "pull_request edited", object{"number": p.number, "pull_request": r.hookPull(p), "changes": object{"body": object{"from": old}}})
}

// MergeAs has somebody merge a pull request by hand.
func (r *Repository) MergeAs(number int, login string) error {
	defer r.lock()()
	_, err := r.merge(r.pull(number), login, fmt.Sprintf("merge #%d", number))
	return err
}

// merge squashes a pull request into main. g.mu is held.
func (r *Repository) merge(p *pull, login, message string) (string, error) {
	base := resolve(r.dir, "refs/heads/"+defaultBranch)
	tree, ok := mergeTree(r.dir, base, p.sha)
	if !ok {
		return "", errConflict
	}
	sha, err := git(r.dir, author(login), []byte(message), "commit-tree", tree, "-p", base)
	if err != nil {
		return "", err
	}
	before := branches(r.dir)
	if _, err := git(r.dir, nil, nil, "update-ref", "refs/heads/"+defaultBranch, sha, base); err != nil {
		return "", err
	}
	p.state, p.merged, p.mergeSHA, p.mergedBy, p.updated = "closed", true, sha, login, r.g.opts.Now()
	r.g.emit(r, "pull_request closed", object{"number": p.number, "pull_request": r.hookPull(p), "sender": r.g.user(login)})
	r.pushed(login, before)
	r.autoChecks(sha)
	return sha, nil
}

// DeleteBranch has somebody delete a branch.
func (r *Repository) DeleteBranch(branch, login string) error {
	defer r.lock()()
	before := branches(r.dir)
	_, err := git(r.dir, nil, nil, "update-ref", "-d", "refs/heads/"+branch)
	r.pushed(login, before)
	return err
}

// Push has somebody push a commit onto a branch, which is made from main when
// it is missing.
func (r *Repository) Push(login, branch, message string, files map[string]string) (string, error) {
	defer r.lock()()
	before := branches(r.dir)
	parent := before[branch]
	if parent == "" {
		parent = before[defaultBranch]
	}
	sha, err := commit(r.dir, login, parent, message, files)
	if err != nil {
		return "", err
	}
	if _, err := git(r.dir, nil, nil, "update-ref", "refs/heads/"+branch, sha); err != nil {
		return "", err
	}
	r.pushed(login, before)
	return sha, nil
}

// ForcePush has somebody rewrite a branch as one new commit.
func (r *Repository) ForcePush(login, branch string, files map[string]string) (string, error) {
	defer r.lock()()
	before := branches(r.dir)
	sha, err := commit(r.dir, login, "", "rewritten", files)
	if err != nil {
		return "", err
	}
	if _, err := git(r.dir, nil, nil, "update-ref", "refs/heads/"+branch, sha); err != nil {
		return "", err
	}
	r.pushed(login, before)
	return sha, nil
}

// Rename gives the repository another name. The old one leads to the new.
func (r *Repository) Rename(name string) {
	defer r.lock()()
	from := r.name
	r.old = append(r.old, r.FullName())
	r.name = name
	r.g.emit(r, "repository renamed", object{"changes": object{"repository": object{"name": object{"from": from}}}})
}

// Transfer gives the repository to another owner, who is told of it where the
// App is installed. The old name leads to the new.
func (r *Repository) Transfer(owner string) {
	defer r.lock()()
	from := r.owner
	r.old = append(r.old, r.FullName())
	r.owner = owner
	r.g.emit(r, "repository transferred", object{"changes": object{"owner": object{"from": object{"user": r.g.user(from)}}}})
}

// Dispatch sends a repository_dispatch event.
func (r *Repository) Dispatch(eventType string, payload any) {
	defer r.lock()()
	r.g.emit(r, "repository_dispatch", object{"action": eventType, "branch": defaultBranch, "client_payload": payload})
}
