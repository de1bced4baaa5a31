package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

const defaultBranch = "main"

// git runs git in a bare repository. stand-in identities keep commits apart
// from the machine's configuration.
func git(dir string, env []string, in []byte, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=ana", "GIT_AUTHOR_EMAIL=ana@users.noreply.github.com", "GIT_COMMITTER_NAME=ana", "GIT_COMMITTER_EMAIL=ana@users.noreply.github.com"}, env...)
	cmd.Stdin = bytes.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

func author(login string) []string {
	return []string{"GIT_AUTHOR_NAME=" + login, "GIT_AUTHOR_EMAIL=" + login + "@users.noreply.github.com", "GIT_COMMITTER_NAME=" + login, "GIT_COMMITTER_EMAIL=" + login + "@users.noreply.github.com"}
}

func initRepository(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := git(dir, nil, nil, "init", "--quiet", "--bare", "--initial-branch="+defaultBranch); err != nil {
		return err
	}
	_, err := git(dir, nil, nil, "config", "http.receivepack", "true")
	return err
}

// commit writes a commit with some files replaced or added, without a work
// tree. parent "" makes a root.
func commit(dir, login, parent, message string, files map[string]string) (string, error) {
	index := filepath.Join(dir, fmt.Sprintf("index.%p", &files))
	defer os.Remove(index)
	env := append(author(login), "GIT_INDEX_FILE="+index)
	if parent != "" {
		if _, err := git(dir, env, nil, "read-tree", parent); err != nil {
			return "", err
		}
	}
	for path, content := range files {
		blob, err := git(dir, env, []byte(content), "hash-object", "-w", "--stdin")
		if err != nil {
			return "", err
		}
		if _, err := git(dir, env, nil, "update-index", "--add", "--cacheinfo", "100644,"+blob+","+path); err != nil {
			return "", err
		}
	}
	tree, err := git(dir, env, nil, "write-tree")
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", tree}
	if parent != "" {
		args = append(args, "-p", parent)
	}
	return git(dir, env, []byte(message), args...)
}

func commitDir(dir, source, message string) (string, error) {
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index.start"), "GIT_WORK_TREE=" + source, "GIT_DIR=" + dir}
	if _, err := git(dir, env, nil, "-C", source, "add", "--all", "--force", "."); err != nil {
		return "", err
	}
	tree, err := git(dir, env, nil, "write-tree")
	if err != nil {
		return "", err
	}
	return git(dir, nil, []byte(message), "commit-tree", tree)
}

func resolve(dir, ref string) string {
	sha, err := git(dir, nil, nil, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
	if err != nil {
		return ""
	}
	return sha
}

// mergeTree merges two commits; ok is false when they conflict.
func mergeTree(dir, base, head string) (tree string, ok bool) {
	out, err := git(dir, nil, nil, "merge-tree", "--write-tree", base, head)
	if err != nil {
		return "", false
	}
	tree, _, _ = strings.Cut(out, "\n")
	return tree, true
}

// branches reads all branches of a repository.
func branches(dir string) map[string]string {
	out, err := git(dir, nil, nil, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
	if err != nil {
		return nil
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		name, sha, _ := strings.Cut(strings.TrimSpace(line), " ")
		refs[name] = sha
	}
	return refs
}

var execPath = sync.OnceValues(func() (string, error) { return git(os.TempDir(), nil, nil, "--exec-path") })

// serveGit answers git's smart HTTP with git's own backend.
func (g *GitHub) serveGit(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 3)
	if len(parts) < 3 || !strings.HasSuffix(parts[1], ".git") {
		http.NotFound(w, r)
		return
	}
	service := strings.TrimPrefix(r.URL.Query().Get("service"), "git-")
	if service == "" {
		service = strings.TrimPrefix(parts[2], "git-")
	}
	g.mu.Lock()
	repo, _ := g.find(parts[0], strings.TrimSuffix(parts[1], ".git"))
	if r.Method == http.MethodPost || service == "upload-pack" {
		g.calls["git-"+service]++
	}
	_, password, _ := r.BasicAuth()
	t, ok := g.tokens[password]
	ok = ok && repo != nil && t.owner == repo.owner && g.opts.Now().Before(t.until) && !g.installations[repo.owner].suspended
	g.mu.Unlock()
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		http.Error(w, "Repository not found.", http.StatusUnauthorized)
		return
	}
	path, err := execPath()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if r.Method == http.MethodPost && service == "receive-pack" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if bytes.Contains(body[:min(len(body), 4096)], []byte(" refs/heads/"+defaultBranch+"\x00")) {
			g.violation("the App pushed to %s: it must never write to the default branch", defaultBranch)
			http.Error(w, "protected branch", http.StatusForbidden)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
	}
	before := branches(repo.dir)
	(&cgi.Handler{Path: filepath.Join(path, "git-http-backend"), Dir: repo.dir, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + repo.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + slug + "[bot]", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}}).ServeHTTP(w, withPath(r, "/"+parts[2]))
	if r.Method == http.MethodPost && service == "receive-pack" {
		g.mu.Lock()
		defer g.mu.Unlock()
		repo.pushed(slug+"[bot]", before)
	}
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
			if p.head == name && p.state == "open" && p.sha != sha {
				old := p.sha
				p.sha, p.updated = sha, r.g.opts.Now()
				r.autoChecks(sha)
				r.g.emit(r, "pull_request synchronize", object{"action": "synchronize", "number": p.number, "before": old, "after": sha, "pull_request": r.hookPull(p), "sender": r.g.user(login)})
			}
		}
	}
	for name, sha := range before {
		if after[name] != "" {
			continue
		}
		r.g.emit(r, "push", object{"ref": "refs/heads/" + name, "before": sha, "after": zeroSHA, "created": false, "deleted": true, "commits": []any{}, "head_commit": nil, "pusher": object{"name": login}})
		for _, p := range r.pulls {
			if p.head == name && p.state == "open" {
				r.close(p, login)
			}
		}
	}
}

const zeroSHA = "0000000000000000000000000000000000000000"

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

var errConflict = errors.New("merge conflict")
