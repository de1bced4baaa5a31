package sandbox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"

	"github.com/belaybot/belay/bot/sandbox"
)

// appToken is an App's own token.
func appToken(t *testing.T, gh *sandbox.GitHub) string {
	t.Helper()
	key, err := jwt.ParseRSAPrivateKeyFromPEM(gh.PrivateKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": gh.AppID(), "iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(time.Minute).Unix()}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs git with a configuration of its own.
func run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestGit uses the real git against the stand-in.
func TestGit(t *testing.T) {
	var got complaints
	gh, repo := stand(t, sandbox.Options{Report: got.add})
	up, err := gh.AddUpstream("proj", "web", map[string]string{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gh.AddRepository("bo", "things", map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	token := installationToken(t, gh, repo)
	address := func(token, name string) string {
		return strings.Replace(gh.URL(), "://", "://x-access-token:"+token+"@", 1) + "/" + name + ".git"
	}
	home := t.TempDir()
	work := filepath.Join(home, "work")
	if out, err := run(t, home, "clone", "--quiet", address(token, "acme/home-ops"), work); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(work, "main.tf"), []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, work, "commit", "--quiet", "--all", "--message", "two"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	before := repo.Log("main")
	for _, tc := range []struct {
		name     string
		before   func()
		args     []string
		says     string // "" is a success
		reported bool
	}{
		{"a branch", nil, []string{"push", "origin", "HEAD:refs/heads/topic"}, "", false},
		{"the default branch", nil, []string{"push", "origin", "HEAD:refs/heads/main"}, "GH006: Protected branch update failed", true},
		{"the default branch by force", nil, []string{"push", "--force", "origin", "HEAD~1:refs/heads/topic", "+HEAD:refs/heads/main"}, "GH006", true},
		{"the default branch behind another one", nil, []string{"push", "origin", "HEAD:refs/heads/a-first", "HEAD:refs/heads/main"}, "GH006", true},
		{"the default branch's end", nil, []string{"push", "origin", ":refs/heads/main"}, "refusing to delete the current branch", true},
		{"another token", nil, []string{"ls-remote", address("ghs_made-up", "acme/home-ops")}, "Authentication failed", false},
		{"no token", nil, []string{"ls-remote", gh.URL() + "/acme/home-ops.git"}, "could not read Username", false},
		{"the App's own token", nil, []string{"ls-remote", address(appToken(t, gh), "acme/home-ops")}, "Authentication failed", false},
		{"a repository of somebody else", nil, []string{"ls-remote", address(token, "bo/things")}, "not found", false},
		{"a public repository without a token", nil, []string{"ls-remote", gh.URL() + "/" + up.FullName() + ".git"}, "", false},
		{"a push to a public repository without a token", nil, []string{"push", gh.URL() + "/" + up.FullName() + ".git", "HEAD:refs/heads/x"}, "could not read Username", false},
		{"a suspended installation", func() { gh.Suspend("acme", true) }, []string{"ls-remote", address(token, "acme/home-ops")}, "403", false},
		{"the old name", func() { gh.Suspend("acme", false); repo.Rename("home") }, []string{"fetch", "origin"}, "", false},
		{"a push to the old name", nil, []string{"push", "origin", "HEAD:refs/heads/moved"}, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.before != nil {
				tc.before()
			}
			out, err := run(t, work, tc.args...)
			if (err == nil) != (tc.says == "") || !strings.Contains(out, tc.says) {
				t.Errorf("%v %s, want %q", err, out, tc.says)
			}
			if reported := got.take(); strings.Contains(reported, "must never write to the default branch") != tc.reported {
				t.Errorf("reported %q", reported)
			}
		})
	}
	if after := repo.Log("main"); len(after) != len(before) {
		t.Errorf("main has moved: %v", after)
	}
	if out := repo.Log("moved"); len(out) != 2 {
		t.Errorf("moved: %v", out)
	}
}
