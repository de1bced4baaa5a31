package git_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/belaybot/belay/bot/git"
)

// token is what the upstream wants, in characters that a URL would escape.
const token = "ghs_Secret+Token/of=1hour"

// upstream is a bare repository that git itself serves over HTTP to whoever has the token.
type upstream struct {
	t    testing.TB
	dir  string
	url  string
	gets atomic.Int64 // conversations that began
	sent atomic.Int64 // bytes of the last push

	serve http.HandlerFunc // as git does
	// before answers instead of git when it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool
}

// newUpstream serves an empty repository whose default branch is main.
func newUpstream(t testing.TB) *upstream {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatalf("the stand-in for a remote is git itself: install git: %v", err)
	}
	root := t.TempDir()
	u := &upstream{t: t, dir: filepath.Join(root, "infra.git")}
	u.run("", "init", "-q", "--bare", "--initial-branch=main", u.dir)
	u.git("config", "http.receivepack", "true")
	execPath := strings.TrimSpace(u.git("--exec-path"))
	backend := &cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"), Stderr: io.Discard,
		Env: append(environment(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1"),
	}
	u.serve = func(w http.ResponseWriter, r *http.Request) {
		if name, password, ok := r.BasicAuth(); !ok || name != "x-access-token" || password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no, "+r.Header.Get("Authorization")+" ("+password+") is not it", http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/info/refs") {
			u.gets.Add(1)
		}
		if strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
			u.sent.Store(r.ContentLength)
		}
		backend.ServeHTTP(w, r)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u.before == nil || !u.before(w, r) {
			u.serve(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	u.url = srv.URL + "/infra.git"
	return u
}

func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org"}
}

func (u *upstream) run(input string, args ...string) string {
	u.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = environment()
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// git runs git in the upstream repository.
func (u *upstream) git(args ...string) string {
	u.t.Helper()
	return strings.TrimSuffix(u.run("", append([]string{"-C", u.dir}, args...)...), "\n")
}

func (u *upstream) at(branch string) string {
	u.t.Helper()
	return u.git("rev-parse", "refs/heads/"+branch)
}

// commit puts files on a branch, over its tip or as its beginning, and returns
// the commit. A name may begin with a mode: "100755 run.sh".
func (u *upstream) commit(branch string, when int, files map[string]string) string {
	u.t.Helper()
	from := ""
	if out := u.git("for-each-ref", "--format=%(objectname)", "refs/heads/"+branch); out != "" {
		from = "from " + out + "\n"
	}
	return u.fastImport(branch, from, when, files)
}

func (u *upstream) fastImport(branch, from string, when int, files map[string]string) string {
	u.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "commit refs/heads/%s\ncommitter Ada <ada@example.org> %d +0100\ndata 5\nwork\n\n%s", branch, 1700000000+when, from)
	for name, content := range files {
		mode := "100644"
		if m, n, ok := strings.Cut(name, " "); ok {
			mode, name = m, n
		}
		if mode == "160000" {
			fmt.Fprintf(&b, "M %s %s %s\n", mode, content, name)
			continue
		}
		fmt.Fprintf(&b, "M %s inline %s\ndata %d\n%s\n", mode, name, len(content), content)
	}
	u.run(b.String(), "-C", u.dir, "fast-import", "--quiet", "--force")
	return u.at(branch)
}

func (u *upstream) remote() git.Remote {
	return git.Remote{URL: u.url, Token: func(context.Context) (string, error) { return token, nil }}
}

// mirror opens a mirror of the upstream and fetches it.
func (u *upstream) mirror(dir string) *git.Mirror {
	u.t.Helper()
	m, err := git.OpenMirror(dir, u.remote())
	if err != nil {
		u.t.Fatal(err)
	}
	if err := m.Fetch(context.Background()); err != nil {
		u.t.Fatal(err)
	}
	return m
}
