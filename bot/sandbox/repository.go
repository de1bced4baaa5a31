package sandbox

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Repository is one repository of the stand-in, and the people who work on it.
type Repository struct {
	g           *GitHub
	id          int64
	owner, name string
	old         []string // earlier names
	dir         string

	pulls       []*pull
	labels      []string
	statuses    map[string]map[string]string // state by commit and context
	runs        []*checkRun
	permissions map[string]string
	required    []string
	auto        map[string]string
}

type pull struct {
	number    int
	title     string
	body      string
	head, sha string // branch and commit
	base      string
	state     string // open, closed
	draft     bool
	merged    bool
	mergeSHA  string
	mergedBy  string
	author    string
	created   time.Time
	updated   time.Time
	labels    []string
	comments  []*comment
	reviews   []review
}

type comment struct {
	id        int64
	login     string
	body      string
	created   time.Time
	edited    time.Time
	reactions []string
}

type review struct {
	login, state, sha string
	at                time.Time
}

type checkRun struct {
	id                        int64
	name, sha                 string
	status, conclusion        string
	app, externalID           string
	title, summary, detailURL string
}

// Pull is a pull request as it is now.
type Pull struct {
	Number    int
	Title     string
	Body      string
	Branch    string
	Head      string
	State     string // open, closed, merged
	Draft     bool
	MergeSHA  string
	MergedBy  string
	Labels    []string
	Comments  []Comment
	CheckRuns []CheckRun
}

// Comment is one comment of a pull request.
type Comment struct {
	ID        int64
	Login     string
	Body      string
	Reactions []string
}

// CheckRun is one check run on a pull request's head.
type CheckRun struct {
	Name, Status, Conclusion, Title, Summary string
}

// AddRepository makes a repository with one commit on main, and installs the App on it.
func (g *GitHub) AddRepository(owner, name string, files map[string]string) (*Repository, error) {
	return g.addRepository(owner, name, func(dir string) (string, error) {
		return commit(dir, "ana", "", "start", files)
	})
}

// AddRepositoryDir makes a repository of a directory's files.
func (g *GitHub) AddRepositoryDir(owner, name, source string) (*Repository, error) {
	source, err := filepath.Abs(source)
	if err != nil {
		return nil, err
	}
	return g.addRepository(owner, name, func(dir string) (string, error) { return commitDir(dir, source, "start") })
}

func (g *GitHub) addRepository(owner, name string, first func(dir string) (string, error)) (*Repository, error) {
	dir, err := filepath.Abs(filepath.Join(g.opts.Dir, owner+"+"+name+".git"))
	if err != nil {
		return nil, err
	}
	if err := initRepository(dir); err != nil {
		return nil, err
	}
	sha, err := first(dir)
	if err != nil {
		return nil, err
	}
	if _, err := git(dir, nil, nil, "update-ref", "refs/heads/"+defaultBranch, sha); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := &Repository{g: g, id: g.id(), owner: owner, name: name, dir: dir, statuses: map[string]map[string]string{}, permissions: map[string]string{"ana": "admin"}}
	g.repositories = append(g.repositories, r)
	if g.installations[owner] == nil {
		g.installations[owner] = &installation{id: g.id(), owner: owner}
	}
	return r, nil
}

func (r *Repository) lock() func() {
	r.g.mu.Lock()
	return r.g.mu.Unlock
}

// FullName is "owner/name".
func (r *Repository) FullName() string { return r.owner + "/" + r.name }

// Dir is the bare git directory.
func (r *Repository) Dir() string { return r.dir }

// SetPermission gives somebody admin, write, read or none. ana is admin;
// everybody else reads.
func (r *Repository) SetPermission(login, level string) {
	defer r.lock()()
	r.permissions[login] = level
}

// RequireChecks has the default branch ask for checks.
func (r *Repository) RequireChecks(contexts ...string) {
	defer r.lock()()
	r.required = contexts
}

// AutoChecks gives every new head and merge commit these commit statuses at once.
func (r *Repository) AutoChecks(states map[string]string) {
	defer r.lock()()
	r.auto = maps.Clone(states)
}

func (r *Repository) autoChecks(sha string) {
	for _, name := range slices.Sorted(maps.Keys(r.auto)) {
		r.setStatus(sha, name, r.auto[name])
	}
}

// SetStatus gives a commit a status: success, failure, pending.
func (r *Repository) SetStatus(sha, context, state string) {
	defer r.lock()()
	r.setStatus(sha, context, state)
}

func (r *Repository) setStatus(sha, context, state string) {
	if r.statuses[sha] == nil {
		r.statuses[sha] = map[string]string{}
	}
	r.statuses[sha][context] = state
	r.g.emit(r, "status", object{"sha": sha, "context": context, "state": state, "branches": []any{}})
}

// SetCheckRun gives a commit a check run of another App.
func (r *Repository) SetCheckRun(sha, name, conclusion string) {
	defer r.lock()()
	run := &checkRun{id: r.g.id(), name: name, sha: sha, status: "completed", conclusion: conclusion, app: "ci"}
	r.runs = append(r.runs, run)
	r.g.emit(r, "check_run completed", object{"action": "completed", "check_run": object{"id": run.id, "name": name, "head_sha": sha, "status": "completed", "conclusion": conclusion, "pull_requests": []any{}}})
}

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
	r.g.emit(r, "issue_comment created", object{"action": "created", "comment": r.hookComment(c), "issue": r.hookIssue(p), "sender": r.g.user(login)})
	return c
}

// EditComment has somebody change a comment.
func (r *Repository) EditComment(number int, id int64, body string) {
	defer r.lock()()
	p := r.pull(number)
	for _, c := range p.comments {
		if c.id == id {
			old := c.body
			c.body, c.edited = body, r.g.opts.Now()
			r.g.emit(r, "issue_comment edited", object{"action": "edited", "changes": object{"body": object{"from": old}}, "comment": r.hookComment(c), "issue": r.hookIssue(p), "sender": r.g.user(c.login)})
		}
	}
}

// Review has somebody review a pull request: approved, changes_requested, commented.
func (r *Repository) Review(number int, login, state string) {
	defer r.lock()()
	p := r.pull(number)
	v := review{login: login, state: strings.ToUpper(state), sha: p.sha, at: r.g.opts.Now()}
	p.reviews = append(p.reviews, v)
	r.g.emit(r, "pull_request_review submitted", object{"action": "submitted", "pull_request": object{"number": p.number, "head": object{"sha": p.sha, "ref": p.head}},
		"review": object{"state": state, "commit_id": p.sha, "user": r.g.user(login)}, "sender": r.g.user(login)})
}

// Close has somebody close a pull request.
func (r *Repository) Close(number int, login string) {
	defer r.lock()()
	r.close(r.pull(number), login)
}

func (r *Repository) close(p *pull, login string) {
	p.state, p.updated = "closed", r.g.opts.Now()
	r.g.emit(r, "pull_request closed", object{"action": "closed", "number": p.number, "pull_request": r.hookPull(p), "sender": r.g.user(login)})
}

// SetDraft makes a pull request a draft, or ready.
func (r *Repository) SetDraft(number int, draft bool) {
	defer r.lock()()
	p := r.pull(number)
	p.draft, p.updated = draft, r.g.opts.Now()
	r.g.emit(r, "pull_request synchronize", object{"action": "synchronize", "number": p.number, "before": p.sha, "after": p.sha, "pull_request": r.hookPull(p)})
}

// SetBody has somebody change a pull request's body.
func (r *Repository) SetBody(number int, body string) {
	defer r.lock()()
	p := r.pull(number)
	p.body, p.updated = body, r.g.opts.Now()
	r.g.emit(r, "pull_request synchronize", object{"action": "synchronize", "number": p.number, "before": p.sha, "after": p.sha, "pull_request": r.hookPull(p)})
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
	r.g.emit(r, "pull_request closed", object{"action": "closed", "number": p.number, "pull_request": r.hookPull(p), "sender": r.g.user(login)})
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
	r.old = append(r.old, from)
	r.name = name
	r.g.emit(r, "repository renamed", object{"action": "renamed", "changes": object{"repository": object{"name": object{"from": from}}}})
}

// Dispatch sends a repository_dispatch event.
func (r *Repository) Dispatch(eventType string, payload any) {
	defer r.lock()()
	r.g.emit(r, "repository_dispatch", object{"action": eventType, "branch": defaultBranch, "client_payload": payload})
}

// Pulls are the pull requests as they are now.
func (r *Repository) Pulls() []Pull {
	defer r.lock()()
	var out []Pull
	for _, p := range r.pulls {
		v := Pull{Number: p.number, Title: p.title, Body: p.body, Branch: p.head, Head: p.sha, State: p.state, Draft: p.draft, MergeSHA: p.mergeSHA, MergedBy: p.mergedBy, Labels: slices.Clone(p.labels)}
		if p.merged {
			v.State = "merged"
		}
		for _, c := range p.comments {
			v.Comments = append(v.Comments, Comment{ID: c.id, Login: c.login, Body: c.body, Reactions: slices.Clone(c.reactions)})
		}
		for _, c := range r.runs {
			if c.sha == p.sha {
				v.CheckRuns = append(v.CheckRuns, CheckRun{Name: c.name, Status: c.status, Conclusion: c.conclusion, Title: c.title, Summary: c.summary})
			}
		}
		out = append(out, v)
	}
	return out
}

// File reads a file at a branch or commit.
func (r *Repository) File(ref, path string) (string, error) {
	return git(r.dir, nil, nil, "show", ref+":"+path)
}

// Log lists the subjects of a branch's commits, newest first.
func (r *Repository) Log(ref string) []string {
	out, err := git(r.dir, nil, nil, "log", "--format=%s", ref)
	if err != nil {
		return nil
	}
	return strings.Split(out, "\n")
}
