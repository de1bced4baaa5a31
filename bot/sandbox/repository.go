package sandbox

import (
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
	old         []string // earlier full names
	dir         string

	pulls       []*pull
	issues      []*issue
	deleted     int  // issues
	noIssues    bool // they are switched off
	labels      []string
	statuses    map[string]map[string]string // state by commit and context
	runs        []*checkRun
	permissions map[string]string
	required    []string // checks, by branch protection
	ruled       []string // checks, by a ruleset
	reviewers   int      // approvals that branch protection asks for
	auto        map[string]string
	hidden      bool // from the App: its owner left it out of the installation
	noSquash    bool // merging by squash is switched off
	archived    bool
	methods     []string // of merging that a ruleset allows; nil: no such rule
	queue       bool     // a ruleset asks for a merge queue
	public      bool     // and the App is not installed on it
	published   []release
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
	fork      bool // its branch is in a fork
	created   time.Time
	updated   time.Time
	labels    []string
	comments  []*comment
	reviews   []review
	judged    string // head and base for which GitHub has worked out whether it merges
}

type comment struct {
	id        int64
	login     string
	body      string
	created   time.Time
	edited    time.Time
	editor    string // who changed it last
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
	notes                     []string
}

// Pull is a pull request as it is now.
type Pull struct {
	Number    int
	Author    string
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

	Notes []string // annotations: "path:line title: text"
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
	r, err := g.makeRepository(owner, name, first)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.installations[owner] == nil {
		g.installations[owner] = &installation{id: g.id(), owner: owner}
	}
	return r, nil
}

// makeRepository makes a repository with one commit, made by first.
func (g *GitHub) makeRepository(owner, name string, first func(dir string) (string, error)) (*Repository, error) {
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
	r.g.emit(r, "check_run completed", object{"check_run": object{"id": run.id, "name": name, "head_sha": sha, "status": "completed", "conclusion": conclusion, "pull_requests": []any{}}})
	r.g.emit(r, "check_suite completed", object{"check_suite": object{"head_sha": sha, "status": "completed", "conclusion": conclusion, "pull_requests": []any{}}})
}

// Pulls are the pull requests as they are now.
func (r *Repository) Pulls() []Pull {
	defer r.lock()()
	var out []Pull
	for _, p := range r.pulls {
		v := Pull{Number: p.number, Author: p.author, Title: p.title, Body: p.body, Branch: p.head, Head: p.sha, State: p.state, Draft: p.draft, MergeSHA: p.mergeSHA, MergedBy: p.mergedBy, Labels: slices.Clone(p.labels)}
		if p.merged {
			v.State = "merged"
		}
		for _, c := range p.comments {
			v.Comments = append(v.Comments, Comment{ID: c.id, Login: c.login, Body: c.body, Reactions: slices.Clone(c.reactions)})
		}
		for _, c := range r.runs {
			if c.sha == p.sha {
				v.CheckRuns = append(v.CheckRuns, CheckRun{Name: c.name, Status: c.status, Conclusion: c.conclusion, Title: c.title, Summary: c.summary, Notes: c.notes})
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

// Head is the commit of a branch, "" when there is none.
func (r *Repository) Head(branch string) string { return resolve(r.dir, "refs/heads/"+branch) }
