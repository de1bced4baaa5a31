package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi" //nolint:gosec // of today's Go
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

var execPath = sync.OnceValues(func() (string, error) { return git(os.TempDir(), nil, nil, "--exec-path") })

// serveGit answers git's smart HTTP with git's own backend, to those who bring
// an installation token as the password.
func (g *GitHub) serveGit(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 3)
	if len(parts) < 3 {
		http.NotFound(w, r)
		return
	}
	service := strings.TrimPrefix(r.URL.Query().Get("service"), "git-")
	if service == "" {
		service = strings.TrimPrefix(parts[2], "git-")
	}
	if service != "upload-pack" && service != "receive-pack" {
		http.NotFound(w, r)
		return
	}
	repo, moved, refused := g.enter(r, service, parts[0], strings.TrimSuffix(parts[1], ".git"))
	switch {
	case refused != nil:
		if refused.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		http.Error(w, refused.message, refused.status)
		return
	case moved:
		to := "/" + repo.FullName() + ".git/" + parts[2]
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		http.Redirect(w, r, to, http.StatusMovedPermanently) //nolint:gosec // a path of this server
		return
	}
	if r.Method == http.MethodPost && service == "receive-pack" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, ref := range pushedRefs(body) {
			if ref == "refs/heads/"+defaultBranch {
				g.violation("the App pushed to %s: it must never write to the default branch", defaultBranch)
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
	}
	path, err := execPath()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	before, pusher := branches(repo.dir), g.pusher(r)
	(&cgi.Handler{Path: filepath.Join(path, "git-http-backend"), Dir: repo.dir, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + repo.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + pusher, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}}).ServeHTTP(w, withPath(r, "/"+parts[2]))
	if r.Method == http.MethodPost && service == "receive-pack" {
		g.mu.Lock()
		defer g.mu.Unlock()
		repo.pushed(pusher, before)
	}
}

// enter finds the repository that a request of git's is for, and checks the
// token. As on GitHub, who may not see a repository is told that there is none.
func (g *GitHub) enter(r *http.Request, service, owner, name string) (repo *Repository, moved bool, refused *problem) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Method == http.MethodPost || service == "upload-pack" {
		g.calls["git-"+service]++
	}
	repo, moved = g.find(owner, name)
	_, password, ok := r.BasicAuth()
	if !ok && repo != nil && repo.public && service == "upload-pack" {
		return repo, moved, nil
	}
	t, p := g.lookup(password)
	switch {
	case p != nil && p.status == http.StatusUnauthorized:
		return nil, false, &problem{p.status, "Invalid username or token. Password authentication is not supported for Git operations."}
	case p != nil:
		return nil, false, p
	case t.workflow != nil && (repo == nil || repo.FullName() != t.workflow.repository):
		return nil, false, &problem{http.StatusNotFound, "Repository not found."}
	case t.workflow != nil && t.workflow.readOnly && service == "receive-pack":
		return nil, false, &problem{http.StatusForbidden, "Write access to repository not granted."}
	case t.workflow != nil && t.workflow.needs(map[string]string{"upload-pack": "contents read", "receive-pack": "contents write"}[service]) != nil:
		return nil, false, &problem{http.StatusForbidden, "Permission to " + repo.FullName() + " denied to " + t.workflow.login + "."}
	case repo == nil || repo.owner != t.owner || repo.hidden:
		return nil, false, &problem{http.StatusNotFound, "Repository not found."}
	}
	return repo, moved, nil
}

// pushedRefs reads the names of the refs that a push wants to move: the first
// packets of its body are "old new ref", up to an empty one.
// See https://git-scm.com/docs/pack-protocol.
func pushedRefs(body []byte) []string {
	var out []string
	for len(body) >= 4 {
		n, err := strconv.ParseUint(string(body[:4]), 16, 16)
		if err != nil || n < 4 || int(n) > len(body) {
			break
		}
		line, _, _ := bytes.Cut(body[4:n], []byte{0}) // capabilities follow
		if f := strings.Fields(string(line)); len(f) == 3 {
			out = append(out, f[2])
		}
		body = body[n:]
	}
	return out
}

func withPath(r *http.Request, path string) *http.Request {
	out := r.Clone(r.Context())
	out.URL.Path = path
	return out
}

// pushed brings pull requests up to date with their branches, and tells the
// App what moved. g.mu is held.
func (r *Repository) pushed(login string, before map[string]string) {
	after := branches(r.dir)
	for name, sha := range after {
		if before[name] != sha {
			r.g.emit(r, "push", object{"ref": "refs/heads/" + name, "before": or(before[name], zeroSHA), "after": sha, "created": before[name] == "", "deleted": false, "commits": []any{}, "head_commit": nil,
				"pusher": object{"name": login}})
		}
		for _, p := range r.pulls {
			if p.head == name && p.state == "open" && !p.fork && p.sha != sha {
				old := p.sha
				p.sha, p.updated = sha, r.g.opts.Now()
				if p.author != slug+"[bot]" {
					r.pullRefs(p)
				}
				r.autoChecks(sha)
				r.g.emit(r, "pull_request synchronize", object{"number": p.number, "before": old, "after": sha, "pull_request": r.hookPull(p), "sender": r.g.user(login)})
			}
		}
	}
	for name, sha := range before {
		if after[name] != "" {
			continue
		}
		r.g.emit(r, "push", object{"ref": "refs/heads/" + name, "before": sha, "after": zeroSHA, "created": false, "deleted": true, "commits": []any{}, "head_commit": nil, "pusher": object{"name": login}})
		for _, p := range r.pulls {
			if p.head == name && p.state == "open" && !p.fork {
				r.close(p, login)
			}
		}
	}
}
