package sandbox

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
)

// workflow is what a token of a workflow run, or of a machine account, may do.
type workflow struct {
	repository string
	login      string // "github-actions[bot]"
	app        string // slug of the App that its check runs are of; "" may write none
	readOnly   bool

	may  map[string]string // permissions; nil: every one
	used map[string]string // the ones that requests needed so far
}

// WorkflowToken is what GitHub Actions gives a workflow run of the repository as
// GITHUB_TOKEN. It acts as github-actions[bot], on this repository alone.
func (r *Repository) WorkflowToken() string {
	return r.token(workflow{login: "github-actions[bot]", app: "github-actions"})
}

// ForkToken is the GITHUB_TOKEN of a run for a fork's pull request: it reads.
func (r *Repository) ForkToken() string {
	return r.token(workflow{login: "github-actions[bot]", app: "github-actions", readOnly: true})
}

// PersonalToken is somebody's personal access token. GitHub lets only Apps
// write check runs.
func (r *Repository) PersonalToken(login string) string { return r.token(workflow{login: login}) }

// AppToken is a token of the App as a workflow gets it, for this repository alone.
func (r *Repository) AppToken() string { return r.token(workflow{login: slug + "[bot]", app: slug}) }

func (r *Repository) token(w workflow) string {
	defer r.lock()()
	raw := "ghs_" + rand.Text()
	w.repository, w.used = r.FullName(), map[string]string{}
	r.g.tokens[raw] = token{owner: r.owner, until: r.g.opts.Now().Add(24 * time.Hour), workflow: &w}
	return raw
}

// forbidden is what GitHub says when a permission is missing.
var forbidden = &problem{http.StatusForbidden, "Resource not accessible by integration"}

// workflow holds a request against what its token may do.
func (c *call) workflow(w *workflow, pattern string) error {
	c.actor, c.agent = w.login, w.app
	repo, _ := c.g.find(c.r.PathValue("owner"), c.r.PathValue("repo"))
	switch {
	case repo == nil || repo.FullName() != w.repository:
		return notFound
	case w.readOnly && c.r.Method != http.MethodGet, w.app == "" && strings.HasSuffix(pattern, "/check-runs"):
		return forbidden
	}
	return w.needs(operationNeeds[pattern])
}

// pusher is who a push is by.
func (g *GitHub) pusher(r *http.Request) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, password, _ := r.BasicAuth()
	if t, p := g.lookup(password); p == nil && t.workflow != nil {
		return t.workflow.login
	}
	return slug + "[bot]"
}

// OpenPull has somebody open a pull request of a branch into main, and gives
// its number. Its merge result can be fetched, as on GitHub.
func (r *Repository) OpenPull(login, branch, title string) int {
	return r.open(login, branch, title, false)
}

// OpenFork has somebody open one whose branch is in a fork of theirs.
func (r *Repository) OpenFork(login, branch, title string) int {
	return r.open(login, branch, title, true)
}

func (r *Repository) open(login, branch, title string, fork bool) int {
	defer r.lock()()
	now := r.g.opts.Now()
	p := &pull{number: r.nextNumber(), title: title, head: branch, sha: resolve(r.dir, "refs/heads/"+branch), base: defaultBranch, state: "open", author: login, fork: fork, created: now, updated: now}
	r.pulls = append(r.pulls, p)
	if fork { // its branch is elsewhere
		_, _ = git(r.dir, nil, nil, "update-ref", "-d", "refs/heads/"+branch)
	}
	r.pullRefs(p)
	r.g.emit(r, "pull_request opened", object{"number": p.number, "pull_request": r.hookPull(p), "sender": r.g.user(login)})
	r.autoChecks(p.sha)
	return p.number
}

// pullRefs writes refs/pull/N/head and, where it merges, refs/pull/N/merge.
func (r *Repository) pullRefs(p *pull) {
	at := "refs/pull/" + itoa(p.number)
	base := resolve(r.dir, "refs/heads/"+defaultBranch)
	_, err := git(r.dir, nil, nil, "update-ref", at+"/head", p.sha)
	tree, ok := mergeTree(r.dir, base, p.sha)
	if err != nil || !ok {
		return
	}
	sha, err := git(r.dir, nil, []byte("Merge "+p.sha+" into "+base), "commit-tree", tree, "-p", base, "-p", p.sha)
	if err == nil {
		_, _ = git(r.dir, nil, nil, "update-ref", at+"/merge", sha)
	}
}

// EditCommentAs has somebody change another's comment, which people with write
// permission can.
func (r *Repository) EditCommentAs(number int, id int64, login, body string) {
	defer r.lock()()
	p := r.pull(number)
	if i := slices.IndexFunc(p.comments, func(c *comment) bool { return c.id == id }); i >= 0 {
		p.comments[i].body, p.comments[i].edited, p.comments[i].editor = body, r.g.opts.Now(), login
	}
}

// headOf is the repository that a pull request's branch is in.
func (r *Repository) headOf(p *pull) object {
	if !p.fork {
		return r.fields()
	}
	return with(r.fields(), object{"id": r.id + 1_000_000, "full_name": p.author + "/" + r.name, "owner": object{"login": p.author}})
}
