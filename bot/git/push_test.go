package git_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/bot/git"
)

// randomHistory makes n commits with branches, merges and wrong clocks, all reachable.
func randomHistory(u *upstream, seed uint64, n int) []string {
	u.t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "commit refs/heads/b%d\nmark :%d\ncommitter Ada <ada@example.org> %d +0000\ndata 1\nx\n", i, i, 1700000000+i*100+r.IntN(3000))
		if i > 1 {
			from := max(1, i-1-r.IntN(5))
			fmt.Fprintf(&b, "from :%d\n", from)
			if other := max(1, i-1-r.IntN(8)); r.IntN(4) == 0 && other != from {
				fmt.Fprintf(&b, "merge :%d\n", other)
			}
		}
		fmt.Fprintf(&b, "M 100644 inline f%d\ndata 1\nx\n\n", i%7)
	}
	u.run(b.String(), "-C", u.dir, "fast-import", "--quiet")
	var shas []string
	for i := 1; i <= n; i++ {
		shas = append(shas, u.at(fmt.Sprintf("b%d", i)))
	}
	return shas
}

func TestCommitAndPush(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	base := u.commit("main", 0, map[string]string{
		"stacks/web/main.tf": "tag = 1.0\r\nother\r\n", "100755 bin/run.sh": "run 1.0\n", "README.md": "no newline at the end", "120000 link": "README.md", "z": "z",
	})
	m := u.mirror(t.TempDir())
	options := bump(base, map[string]string{"stacks/web/main.tf": "tag = 1.1\r\nother\r\n", "bin/run.sh": "run 1.1\n"})
	sha := mustCommit(t, m, options)
	if again := mustCommit(t, m, options); again != sha {
		t.Errorf("the same input gives %s and %s", sha, again)
	}
	resolve(t, m, "belay/web/1.1", "")
	if err := m.Push(ctx, sha, "belay/web/1.1", ""); err != nil {
		t.Fatal(err)
	}
	resolve(t, m, "belay/web/1.1", sha)
	if got := u.at("belay/web/1.1"); got != sha {
		t.Fatalf("the branch is at %s, want %s", got, sha)
	}
	u.git("fsck", "--full", "--strict")
	if diff := cmp.Diff(u.git("ls-tree", "-r", "--format=%(objectmode) %(path)", base), u.git("ls-tree", "-r", "--format=%(objectmode) %(path)", sha)); diff != "" {
		t.Errorf("modes (-before +after):\n%s", diff)
	}
	if got := u.git("cat-file", "-p", sha+":stacks/web/main.tf"); got != "tag = 1.1\r\nother\r" {
		t.Errorf("the content is %q", got)
	}
	if got := u.git("diff", "--name-status", base, sha); got != "M\tbin/run.sh\nM\tstacks/web/main.tf" {
		t.Errorf("changed:\n%s", got)
	}
	if got := u.git("log", "-1", "--format=%an <%ae> %ad|%cn <%ce> %cd|%P|%B", "--date=raw", sha); got != "belay[bot] <belay@example.org> 1772362800 +0100|belay[bot] <belay@example.org> 1772362800 +0100|"+base+"|upgrade: web 1.0 → 1.1\n" {
		t.Errorf("commit: %s", got)
	}
	if n := u.sent.Load(); n > 2000 {
		t.Errorf("the push has %d bytes", n)
	}
	// What is there already is success, whatever was expected.
	for _, expect := range []string{"", base, sha} {
		if err := m.Push(ctx, sha, "belay/web/1.1", expect); err != nil {
			t.Errorf("pushed again, expecting %q: %v", expect, err)
		}
	}
	// A new version replaces the commit, not a fast-forward.
	newer := mustCommit(t, m, bump(base, map[string]string{"stacks/web/main.tf": "tag = 1.2\r\nother\r\n"}))
	if err := m.Push(ctx, newer, "belay/web/1.1", sha); err != nil {
		t.Fatal(err)
	}
	if got := u.at("belay/web/1.1"); got != newer {
		t.Errorf("the branch is at %s", got)
	}
	// A mirror that was opened anew goes on.
	if err := m.DeleteBranch(ctx, "belay/web/1.1", newer); err != nil {
		t.Fatal(err)
	}
	if out := u.git("for-each-ref", "refs/heads/belay"); out != "" {
		t.Errorf("left: %s", out)
	}
	resolve(t, m, "belay/web/1.1", "")
	if err := m.DeleteBranch(ctx, "belay/web/1.1", newer); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func TestCommitRefuses(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	base := u.commit("main", 0, map[string]string{"a/main.tf": "a\n", "120000 link": "a/main.tf", "120000 dirlink": "a", "160000 sub": strings.Repeat("3", 40)})
	m := u.mirror(t.TempDir())
	for _, tc := range []struct {
		name  string
		path  string
		is    error
		names string
	}{
		{"a file that is not there", "a/other.tf", fs.ErrNotExist, "a/other.tf"},
		{"a directory that is not there", "x/y/main.tf", fs.ErrNotExist, "x/y/main.tf"},
		{"a directory", "a", nil, "a is a directory"},
		{"a symbolic link", "link", nil, "link is a symbolic link"},
		{"a file behind a symbolic link", "dirlink/main.tf", nil, "dirlink/main.tf: dirlink is a symbolic link"},
		{"a file below a file", "a/main.tf/x", nil, "a/main.tf/x: a/main.tf is a file"},
		{"a submodule", "sub", nil, "sub is a submodule"},
		{"a file of a submodule", "sub/main.tf", nil, "sub/main.tf"},
		{"the parent directory", "../a/main.tf", git.ErrInvalidName, "../a/main.tf"},
		{"a way through the parent directory", "a/../a/main.tf", git.ErrInvalidName, "a/../a/main.tf"},
		{"an absolute path", "/a/main.tf", git.ErrInvalidName, "/a/main.tf"},
		{"git's own directory", "a/.GIT/config", git.ErrInvalidName, "a/.GIT/config"},
		{"a control character", "a/main.tf\n", git.ErrInvalidName, `a/main.tf\n`},
		{"nothing", "", git.ErrInvalidName, "empty"},
	} {
		_, err := m.Commit(ctx, bump(base, map[string]string{tc.path: "x"}))
		if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.names) {
			t.Errorf("%s: %v, want %v naming %s", tc.name, err, tc.is, tc.names)
		}
	}
	good := map[string]string{"a/main.tf": "b\n"}
	for _, tc := range []struct {
		name string
		is   error
		edit func(o *git.CommitOptions)
	}{
		{"the same content", git.ErrNothingChanges, func(o *git.CommitOptions) { o.Files = map[string][]byte{"a/main.tf": []byte("a\n")} }},
		{"no file", git.ErrNothingChanges, func(o *git.CommitOptions) { o.Files = nil }},
		{"a file that is too large", git.ErrTooLarge, func(o *git.CommitOptions) { o.Files["a/main.tf"] = make([]byte, git.MaxFile+1) }},
		{"a parent that is not there", git.ErrUnknownRevision, func(o *git.CommitOptions) { o.Parent = strings.Repeat("4", 40) }},
		{"a branch as parent", git.ErrInvalidName, func(o *git.CommitOptions) { o.Parent = "main" }},
		{"no message", git.ErrInvalidName, func(o *git.CommitOptions) { o.Message = " \n" }},
		{"no author", git.ErrInvalidName, func(o *git.CommitOptions) { o.Author.Name = "" }},
		{"an author with a line break", git.ErrInvalidName, func(o *git.CommitOptions) { o.Author.Name = "x\ncommitter y" }},
		{"no time", git.ErrInvalidName, func(o *git.CommitOptions) { o.Author.When = time.Time{} }},
	} {
		o := bump(base, good)
		tc.edit(&o)
		if _, err := m.Commit(ctx, o); !errors.Is(err, tc.is) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.is)
		}
	}
	o := bump(base, good)
	o.Committer = git.Signature{}
	if mustCommit(t, m, o) != mustCommit(t, m, bump(base, good)) {
		t.Error("the committer is not the author by default")
	}
}

func TestCommitsAtOnceShareNothing(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("stacks/s%d/main.tf", i)] = "1.0\n"
	}
	base := u.commit("main", 0, files)
	m := u.mirror(t.TempDir())
	shas := make([]string, 50)
	var g errgroup.Group
	for i := range 50 {
		g.Go(func() (err error) {
			shas[i], err = m.Commit(ctx, bump(base, map[string]string{fmt.Sprintf("stacks/s%d/main.tf", i): "1.1\n"}))
			if err != nil {
				return err
			}
			if i%5 == 0 {
				// Others fetch, push and read meanwhile, and some make the same commit.
				if err := m.Push(ctx, shas[i], fmt.Sprintf("belay/s%d", i), ""); err != nil {
					return err
				}
				if again, err := m.Commit(ctx, bump(base, map[string]string{fmt.Sprintf("stacks/s%d/main.tf", i): "1.1\n"})); err != nil || again != shas[i] {
					return fmt.Errorf("%s, %v; want %s", again, err, shas[i])
				}
			}
			commits, err := m.Commits(ctx, base, shas[i])
			if err != nil {
				return err
			}
			if want := fmt.Sprintf("stacks/s%d/main.tf", i); len(commits) != 1 || len(commits[0].Files) != 1 || commits[0].Files[0] != want {
				return fmt.Errorf("commit %d has %v, want only %s", i, commits, want)
			}
			tree, err := m.Tree(shas[i])
			if err != nil {
				return err
			}
			for k := range 50 {
				want := "1.0\n"
				if k == i {
					want = "1.1\n"
				}
				got, err := tree.ReadFile(fmt.Sprintf("stacks/s%d/main.tf", k))
				if err != nil || string(got) != want {
					return fmt.Errorf("commit %d, file %d: %q, %v", i, k, got, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(u.git("for-each-ref", "--format=%(refname)", "refs/heads/belay"))); n != 10 {
		t.Errorf("%d branches arrived, want 10", n)
	}
	u.git("fsck", "--full", "--strict")
}

func TestPushIsCompareAndSwap(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	base := u.commit("main", 0, map[string]string{"a": "1", "b": "1"})
	m := u.mirror(t.TempDir())
	ours := mustCommit(t, m, bump(base, map[string]string{"a": "2"}))
	theirs := u.fastImport("belay/a", "from "+base+"\n", 1, map[string]string{"b": "person"})

	stale := func(err error, want, got string) {
		t.Helper()
		var s *git.StaleError
		if !errors.As(err, &s) || *s != (git.StaleError{Branch: "belay/a", Want: want, Got: got}) {
			t.Errorf("got %v, want stale: %q expected, is %q", err, want, got)
		}
	}
	stale(m.Push(ctx, ours, "belay/a", ""), "", theirs)
	stale(m.Push(ctx, ours, "belay/a", base), base, theirs)
	stale(m.DeleteBranch(ctx, "belay/a", base), base, theirs)
	if got := u.at("belay/a"); got != theirs {
		t.Fatalf("the person's commit is gone: %s", got)
	}
	// A branch that was deleted is not made again behind the person's back.
	u.git("branch", "-D", "belay/a")
	stale(m.Push(ctx, ours, "belay/a", theirs), theirs, "")

	// The person pushes after belay looked and before its objects arrive.
	var once sync.Once
	u.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "git-receive-pack") {
			once.Do(func() { u.git("update-ref", "refs/heads/belay/a", theirs) })
		}
		return false
	}
	stale(m.Push(ctx, ours, "belay/a", ""), "", theirs)
	if got := u.at("belay/a"); got != theirs {
		t.Fatalf("the person's commit is gone: %s", got)
	}
	// Two at once: one wins, the other learns of it.
	u.before = nil
	second := mustCommit(t, m, bump(base, map[string]string{"a": "3"}))
	other := u.mirror(t.TempDir())
	mustCommit(t, other, bump(base, map[string]string{"a": "3"}))
	errs := make([]error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = m.Push(ctx, ours, "belay/a", theirs) })
	wg.Go(func() { errs[1] = other.Push(ctx, second, "belay/a", theirs) })
	wg.Wait()
	switch u.at("belay/a") {
	case ours:
		stale(errs[1], theirs, ours)
	case second:
		stale(errs[0], theirs, second)
	default:
		t.Errorf("nobody won: %v", errs)
	}
}

func TestPushOverManyNewCommits(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	base := u.commit("main", 0, map[string]string{"a/b/c": "0", "a/x": "x", "y": "y"})
	m := u.mirror(t.TempDir())
	sha := base
	for i := range 5 {
		sha = mustCommit(t, m, bump(sha, map[string]string{"a/b/c": fmt.Sprint(i + 1)}))
	}
	// The base goes on upstream; what it was is not the tip of any branch now.
	u.commit("main", 9, map[string]string{"y": "z"})
	if err := m.Push(ctx, sha, "belay/c", ""); err != nil {
		t.Fatal(err)
	}
	if n := u.git("rev-list", "--count", base+".."+sha); n != "5" {
		t.Errorf("%s commits arrived", n)
	}
	u.git("fsck", "--full", "--strict")
	if n := u.sent.Load(); n > 4000 {
		t.Errorf("the push has %d bytes", n)
	}
	if err := m.Push(ctx, strings.Repeat("5", 40), "belay/d", ""); !errors.Is(err, git.ErrUnknownRevision) {
		t.Errorf("a commit that is nowhere: %v", err)
	}
}

func TestDefaultBranchIsNeverTouched(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	base := u.commit("main", 0, map[string]string{"a": "1"})
	m := u.mirror(t.TempDir())
	sha := mustCommit(t, m, bump(base, map[string]string{"a": "2"}))
	for _, expect := range []string{"", base} {
		if err := m.Push(ctx, sha, "main", expect); !errors.Is(err, git.ErrDefaultBranch) {
			t.Errorf("push expecting %q: %v", expect, err)
		}
	}
	if err := m.DeleteBranch(ctx, "main", base); !errors.Is(err, git.ErrDefaultBranch) {
		t.Errorf("delete: %v", err)
	}
	// The default branch becomes another one between two fetches.
	u.git("branch", "trunk", base)
	u.git("symbolic-ref", "HEAD", "refs/heads/trunk")
	if err := m.Push(ctx, sha, "trunk", base); !errors.Is(err, git.ErrDefaultBranch) {
		t.Errorf("push to the new default branch: %v", err)
	}
	// The remote does not say which branch is the default one.
	u.git("update-ref", "--no-deref", "HEAD", base)
	if err := m.Push(ctx, sha, "belay/a", ""); !errors.Is(err, git.ErrDefaultBranch) {
		t.Errorf("push while the default branch is unknown: %v", err)
	}
	if refs := u.git("for-each-ref", "--format=%(refname) %(objectname)"); refs != "refs/heads/main "+base+"\nrefs/heads/trunk "+base {
		t.Errorf("the remote has:\n%s", refs)
	}
}

func TestRemoteRefuses(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	base := u.commit("main", 0, map[string]string{"a": "1"})
	m := u.mirror(t.TempDir())
	sha := mustCommit(t, m, bump(base, map[string]string{"a": "2"}))
	hook := filepath.Join(u.dir, "hooks", "pre-receive")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var rejected *git.RejectedError
	if err := m.Push(ctx, sha, "belay/a", ""); !errors.As(err, &rejected) || rejected.Branch != "belay/a" || rejected.Reason != "pre-receive hook declined" {
		t.Errorf("got %v", err)
	}
	resolve(t, m, "belay/a", "")
}

func TestBranchNames(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	base := u.commit("main", 0, map[string]string{"a": "1"})
	m := u.mirror(t.TempDir())
	for _, name := range []string{
		"", "HEAD", "@", "refs/heads/main", "refs/heads/x", "../x", "a..b", "a/../main", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.",
		"-f", "a b", "a\nb", "a\x00b", "a\x7f", "a~1", "a^", "a:b", "+a", "a?", "a*", "a[", "a\\b", "a@{1}", "\xff", strings.Repeat("a", 300),
	} {
		if name == "+a" {
			continue // odd, and git takes it
		}
		if err := m.Push(ctx, base, name, ""); !errors.Is(err, git.ErrInvalidName) {
			t.Errorf("push to %q: %v", name, err)
		}
		if _, err := m.Resolve(name); !errors.Is(err, git.ErrInvalidName) {
			t.Errorf("resolve %q: %v", name, err)
		}
	}
	for _, name := range []string{"belay/linkwarden/v2.14.0", "belay/a_b/1.2+3", "belay/größe/1", "refsx/y", "a-b"} {
		if err := m.Push(ctx, base, name, ""); err != nil {
			t.Errorf("push to %q: %v", name, err)
		}
		if got := u.at(name); got != base {
			t.Errorf("%q is at %s", name, got)
		}
	}
}

// large serves a repository with 1,600 files and 5,000 commits.
func large(b *testing.B) (*upstream, string) {
	b.Helper()
	u := newUpstream(b)
	var s bytes.Buffer
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		fmt.Fprintf(&s, "commit refs/heads/main\ncommitter Ada <ada@example.org> %d +0000\ndata 5\nwork\n\n", 1600000000+i*3600)
		file := func(k int) {
			content := fmt.Sprintf("%d\n%s", r.Int(), strings.Repeat("resource \"x\" \"y\" {}\n", 60))
			fmt.Fprintf(&s, "M 100644 inline stacks/s%d/f%d.tf\ndata %d\n%s\n", k/8, k%8, len(content), content)
		}
		if i == 0 {
			for k := range 1600 {
				file(k)
			}
		} else {
			file(r.IntN(1600))
		}
	}
	u.run(s.String(), "-C", u.dir, "fast-import", "--quiet")
	u.git("gc", "--quiet")
	return u, u.at("main")
}

func BenchmarkMirror(b *testing.B) {
	ctx := context.Background()
	u, base := large(b)
	dir := b.TempDir()
	m := u.mirror(dir)
	fetch := func(b *testing.B, m *git.Mirror) {
		if err := m.Fetch(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("Clone", func(b *testing.B) {
		for b.Loop() {
			u.mirror(b.TempDir())
		}
	})
	b.Run("ShallowClone", func(b *testing.B) {
		for b.Loop() {
			u.shallow()
		}
	})
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			if _, err := git.OpenMirror(dir, u.remote()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("FetchOfNothing", func(b *testing.B) {
		for b.Loop() {
			fetch(b, m)
		}
	})
	n := 0
	commit := func(b *testing.B) string {
		n++
		return mustCommit(b, m, bump(base, map[string]string{"stacks/s100/f3.tf": fmt.Sprint(n)}))
	}
	b.Run("Commit", func(b *testing.B) {
		for b.Loop() {
			commit(b)
		}
	})
	b.Run("Push", func(b *testing.B) {
		expect := ""
		if sha, err := m.Resolve("belay/bench"); err == nil {
			expect = sha
		}
		for b.Loop() {
			sha := commit(b)
			if err := m.Push(ctx, sha, "belay/bench", expect); err != nil {
				b.Fatal(err)
			}
			expect = sha
		}
		b.ReportMetric(float64(u.sent.Load()), "sent-bytes")
	})
	b.Run("CommitsOfAnOldBranch", func(b *testing.B) {
		old := u.git("rev-parse", base+"~1000")
		sha := mustCommit(b, m, bump(old, map[string]string{"stacks/s100/f3.tf": "old"}))
		for b.Loop() {
			if c, err := m.Commits(ctx, base, sha); err != nil || len(c) != 1 {
				b.Fatal(len(c), err)
			}
		}
	})
	b.Run("Tree", func(b *testing.B) {
		for b.Loop() {
			tree, err := m.Tree(base)
			if err != nil {
				b.Fatal(err)
			}
			if files, err := tree.Files(ctx); err != nil || len(files) != 1600 {
				b.Fatal(len(files), err)
			}
		}
	})
	b.Run("FetchOfOneCommit", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			n++
			u.commit("other", 100000000+n, map[string]string{"stacks/s100/f3.tf": fmt.Sprint(n)})
			b.StartTimer()
			fetch(b, m)
		}
	})
}
