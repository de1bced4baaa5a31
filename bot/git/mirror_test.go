package git_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/bot/git"
)

var belay = git.Signature{Name: "belay[bot]", Email: "belay@example.org", When: time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))}

func bump(parent string, files map[string]string) git.CommitOptions {
	o := git.CommitOptions{Parent: parent, Message: "upgrade: web 1.0 → 1.1", Author: belay, Committer: belay, Files: map[string][]byte{}}
	for p, c := range files {
		o.Files[p] = []byte(c)
	}
	return o
}

func mustCommit(t testing.TB, m *git.Mirror, o git.CommitOptions) string {
	t.Helper()
	sha, err := m.Commit(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

func resolve(t testing.TB, m *git.Mirror, branch, want string) {
	t.Helper()
	got, err := m.Resolve(branch)
	if want == "" {
		if !errors.Is(err, git.ErrUnknownRevision) {
			t.Errorf("Resolve(%s) = %s, %v; want ErrUnknownRevision", branch, got, err)
		}
		return
	}
	if err != nil || got != want {
		t.Errorf("Resolve(%s) = %s, %v; want %s", branch, got, err, want)
	}
}

func content(t testing.TB, m *git.Mirror, sha, path, want string) {
	t.Helper()
	tree, err := m.Tree(sha)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s at %s is %q, %v; want %q", path, sha, got, err, want)
	}
}

func TestMirrorFollowsItsUpstream(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	first := u.commit("main", 0, map[string]string{"web/main.tf": "one\n", "db/main.tf": "db\n"})
	u.git("branch", "topic/a", first)
	dir := filepath.Join(t.TempDir(), "a/b/infra.git")

	m, err := git.OpenMirror(dir, u.remote())
	if err != nil {
		t.Fatal(err)
	}
	resolve(t, m, "main", "")
	if _, err := m.DefaultBranch(); !errors.Is(err, git.ErrUnknownRevision) {
		t.Errorf("default branch before the first fetch: %v", err)
	}
	fetch := func() {
		t.Helper()
		if err := m.Fetch(ctx); err != nil {
			t.Fatal(err)
		}
	}
	fetch()
	resolve(t, m, "main", first)
	resolve(t, m, "topic/a", first)
	if head, err := m.DefaultBranch(); head != "main" || err != nil {
		t.Errorf("default branch %q, %v", head, err)
	}
	content(t, m, first, "web/main.tf", "one\n")

	// A branch moves on, another goes, and one takes the place of its directory.
	second := u.commit("main", 1, map[string]string{"web/main.tf": "two\n"})
	u.git("branch", "-D", "topic/a")
	u.git("branch", "topic", second)
	fetch()
	resolve(t, m, "main", second)
	resolve(t, m, "topic/a", "")
	resolve(t, m, "topic", second)
	content(t, m, second, "web/main.tf", "two\n")
	content(t, m, second, "db/main.tf", "db\n")

	// The base is rewritten upstream, and the old commit is gone there.
	rewritten := u.fastImport("main", "from "+first+"\n", 2, map[string]string{"web/main.tf": "rewritten\n"})
	u.git("branch", "-D", "topic")
	u.git("gc", "--quiet", "--prune=now")
	fetch()
	resolve(t, m, "main", rewritten)
	content(t, m, rewritten, "web/main.tf", "rewritten\n")
	content(t, m, second, "web/main.tf", "two\n")

	// The default branch is another one now.
	u.git("branch", "trunk", rewritten)
	u.git("symbolic-ref", "HEAD", "refs/heads/trunk")
	fetch()
	if head, err := m.DefaultBranch(); head != "trunk" || err != nil {
		t.Errorf("default branch %q, %v", head, err)
	}

	// A new process finds all of it without the remote.
	again, err := git.OpenMirror(dir, git.Remote{URL: "https://unreachable.invalid/infra.git"})
	if err != nil {
		t.Fatal(err)
	}
	resolve(t, again, "main", rewritten)
	content(t, again, rewritten, "db/main.tf", "db\n")
	if head, err := again.DefaultBranch(); head != "trunk" || err != nil {
		t.Errorf("default branch %q, %v", head, err)
	}
	if _, err := m.Tree(strings.Repeat("1", 40)); !errors.Is(err, git.ErrUnknownRevision) {
		t.Errorf("Tree of a commit that is not there: %v", err)
	}
	// git itself finds nothing to complain about.
	u.run("", "-C", dir, "fsck", "--full", "--strict")
}

func TestFetchOfAnEmptyRepository(t *testing.T) {
	u := newUpstream(t)
	m := u.mirror(t.TempDir())
	resolve(t, m, "main", "")
	first := u.commit("main", 0, map[string]string{"a": "a"})
	if err := m.Fetch(context.Background()); err != nil {
		t.Fatal(err)
	}
	resolve(t, m, "main", first)
}

func TestFetchesAreShared(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	u.commit("main", 0, map[string]string{"a": "a"})
	m := u.mirror(t.TempDir())
	arrived, gate := make(chan struct{}, 100), make(chan struct{})
	u.before = func(http.ResponseWriter, *http.Request) bool {
		arrived <- struct{}{}
		<-gate
		return false
	}
	u.gets.Store(0)
	var g errgroup.Group
	g.Go(func() error { return m.Fetch(ctx) })
	<-arrived
	// The first fetch has asked already; what is pushed now is for the next one.
	second := u.commit("main", 1, map[string]string{"a": "b"})
	hurried, cancel := context.WithCancel(ctx)
	gaveUp := make(chan error)
	go func() { gaveUp <- m.Fetch(hurried) }()
	for range 20 {
		g.Go(func() error {
			if err := m.Fetch(ctx); err != nil {
				return err
			}
			if got, err := m.Resolve("main"); err != nil || got != second {
				return fmt.Errorf("after a fetch main is %s, %v", got, err)
			}
			return nil
		})
	}
	for m.Waiting() < 21 {
		runtime.Gosched()
	}
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gives up gets %v", err)
	}
	close(gate)
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if n := u.gets.Load(); n != 2 {
		t.Errorf("22 callers made %d fetches, want 2", n)
	}
}

func TestFetchEndsWithItsCallers(t *testing.T) {
	u := newUpstream(t)
	u.commit("main", 0, map[string]string{"a": "a"})
	m := u.mirror(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	u.before = func(w http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		close(ended)
		return true
	}
	if err := m.Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-ended
	u.before = nil
	if err := m.Fetch(context.Background()); err != nil {
		t.Error(err)
	}
}

// cutOff ends the connection after n bytes of a body.
type cutOff struct {
	http.ResponseWriter
	n int
}

func (c *cutOff) Write(p []byte) (int, error) {
	if len(p) > c.n {
		_, _ = c.ResponseWriter.Write(p[:c.n])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.n -= len(p)
	return c.ResponseWriter.Write(p)
}

func TestConnectionThatBreaksOffLeavesNothing(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	files := map[string]string{}
	for i := range 200 {
		files[fmt.Sprintf("s%d/main.tf", i)] = strings.Repeat(fmt.Sprintf("%d %d\n", i, i*i), 200)
	}
	first := u.commit("main", 0, files)
	inner := u.url
	for _, n := range []int{1, 30, 400, 4000} {
		dir := t.TempDir()
		u.before = nil
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req, err := http.NewRequestWithContext(r.Context(), r.Method, strings.TrimSuffix(inner, "/infra.git")+r.URL.RequestURI(), r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header = r.Header
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			defer res.Body.Close()
			to := w
			if strings.HasSuffix(r.URL.Path, "upload-pack") {
				to = &cutOff{w, n}
			}
			buf := make([]byte, 512)
			for {
				k, err := res.Body.Read(buf)
				if k > 0 {
					_, _ = to.Write(buf[:k])
				}
				if err != nil {
					return
				}
			}
		}))
		remote := u.remote()
		remote.URL = proxy.URL + "/infra.git"
		m, err := git.OpenMirror(dir, remote)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Fetch(ctx); err == nil {
			t.Errorf("%d bytes: the fetch succeeds", n)
		}
		resolve(t, m, "main", "")
		if left, _ := filepath.Glob(filepath.Join(dir, "objects/pack/*")); len(left) > 0 {
			t.Errorf("%d bytes: left %v", n, left)
		}
		proxy.Close()
		m = u.mirror(dir)
		resolve(t, m, "main", first)
	}
}

func TestBrokenMirrorIsClonedAnew(t *testing.T) {
	u := newUpstream(t)
	first := u.commit("main", 0, map[string]string{"a/main.tf": "a\n"})
	one := func(t *testing.T, dir, pattern string) string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		if err := os.Chmod(files[0], 0o644); err != nil {
			t.Fatal(err)
		}
		return files[0]
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const (
		cloned    = iota // moved aside and made anew
		refetched        // its objects are kept
		mended           // at once
	)
	for _, tc := range []struct {
		name string
		harm func(t *testing.T, dir string)
		then int
	}{
		{"the process ended before HEAD was written", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "HEAD"))) }, cloned},
		{"only garbage is there", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir))
			write(t, dir, map[string]string{"objects/pack/tmp_pack_1": "PACK", "config": "[core"})
		}, cloned},
		{"the configuration is cut off", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "config"), []byte("[core\nbare"), 0o644))
		}, cloned},
		{"a pack is cut off", func(t *testing.T, dir string) { must(t, os.Truncate(one(t, dir, "objects/pack/*.pack"), 60)) }, cloned},
		{"a pack is empty", func(t *testing.T, dir string) { must(t, os.Truncate(one(t, dir, "objects/pack/*.pack"), 0)) }, cloned},
		{"a byte of a pack is another", func(t *testing.T, dir string) {
			f := one(t, dir, "objects/pack/*.pack")
			data, err := os.ReadFile(f)
			must(t, err)
			data[len(data)/2] ^= 1
			must(t, os.WriteFile(f, data, 0o644))
		}, cloned},
		{"a pack has no index", func(t *testing.T, dir string) { must(t, os.Remove(one(t, dir, "objects/pack/*.idx"))) }, cloned},
		{"an index is cut off", func(t *testing.T, dir string) { must(t, os.Truncate(one(t, dir, "objects/pack/*.idx"), 1100)) }, cloned},
		{"a pack is gone", func(t *testing.T, dir string) { must(t, os.Remove(one(t, dir, "objects/pack/*.pack"))) }, cloned},
		{"the branches are garbage", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "packed-refs"), []byte("\x00\x00\x00 nothing"), 0o644))
		}, refetched},
		{"a fetch was killed", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"objects/pack/tmp_pack_7": "PACK\x00", "packed-refs.tmp": "# pack", "HEAD.lock": ""})
		}, mended},
		{"a commit was killed", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"objects/12/3456789012345678901234567890123456789a": "x\x9c", "objects/pack/tmp_obj_1": "x"})
		}, mended},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "m.git")
			u.mirror(dir)
			tc.harm(t, dir)
			m, err := git.OpenMirror(dir, u.remote())
			if err != nil {
				t.Fatal(err)
			}
			if tc.then == mended {
				resolve(t, m, "main", first)
				for _, left := range []string{"objects/pack/tmp_*", "*.tmp", "*.lock", "objects/12/*"} {
					if files, _ := filepath.Glob(filepath.Join(dir, left)); len(files) > 0 {
						t.Errorf("left: %v", files)
					}
				}
			}
			if _, err := os.Stat(dir + ".broken"); (err == nil) != (tc.then == cloned) {
				t.Errorf("moved aside: %v", err)
			}
			if err := m.Fetch(context.Background()); err != nil {
				t.Fatal(err)
			}
			resolve(t, m, "main", first)
			content(t, m, first, "a/main.tf", "a\n")
		})
	}
}

func TestMirrorLeavesWorkTreesAlone(t *testing.T) {
	dir, _ := sample(t)
	if _, err := git.OpenMirror(dir, git.Remote{URL: "https://github.com/acme/infra.git"}); err == nil {
		t.Error("a person's clone became a mirror")
	}
	if _, err := os.Stat(filepath.Join(dir, "modules/m/main.tf")); err != nil {
		t.Error(err)
	}
}

func TestRemoteIsAnAddressWithoutSecrets(t *testing.T) {
	for _, address := range []string{
		"https://x-access-token:hunter2@github.com/acme/infra.git", "https://hunter2@github.com/acme/infra.git",
		"https://x:hunter2@github.com:bad/acme", "https://github.com/acme/infra.git?token=hunter2x", "ssh://git@github.com/acme/infra.git", "/srv/git/infra.git", "file:///srv/git", "ext::sh -c true", "",
	} {
		dir := filepath.Join(t.TempDir(), "m")
		_, err := git.OpenMirror(dir, git.Remote{URL: address})
		if err == nil {
			t.Errorf("%q is taken", address)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") && !strings.Contains(address, "?") {
			t.Errorf("the error shows the password: %v", err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q made a directory", address)
		}
	}
}

func TestTokenIsNowhere(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	first := u.commit("main", 0, map[string]string{"a/main.tf": "a\n"})
	dir := t.TempDir()
	m := u.mirror(dir)
	sha := mustCommit(t, m, bump(first, map[string]string{"a/main.tf": "b\n"}))
	if err := m.Push(ctx, sha, "belay/web/1.1", ""); err != nil {
		t.Fatal(err)
	}
	answer := func(status int) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			_, password, _ := r.BasicAuth()
			http.Error(w, "you sent\n\x1b[31m"+r.Header.Get("Authorization")+" and "+password+" to "+r.URL.String(), status)
			return true
		}
	}
	for _, tc := range []struct {
		status int
		want   error
	}{{401, git.ErrDenied}, {403, git.ErrDenied}, {404, git.ErrNotRepository}, {500, nil}, {503, nil}, {429, nil}, {302, nil}} {
		for _, on := range []string{"git-upload-pack", "git-receive-pack"} {
			u.before = func(w http.ResponseWriter, r *http.Request) bool {
				return strings.Contains(r.URL.String(), on) && answer(tc.status)(w, r)
			}
			err := m.Push(ctx, mustCommit(t, m, bump(first, map[string]string{"a/main.tf": fmt.Sprint(tc.status)})), "belay/x", "")
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%d on %s: %v, want %v", tc.status, on, err, tc.want)
				continue
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				noSecret(t, fmt.Sprintf("%v %+v %#v", e, e, e))
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("more than a line: %q", err)
			}
		}
	}
	// The token comes from a function that fails.
	u.before = nil
	remote := u.remote()
	remote.Token = func(context.Context) (string, error) { return "", errors.New("no installation") }
	m, err := git.OpenMirror(dir, remote)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Fetch(ctx); err == nil || !strings.Contains(err.Error(), "no installation") {
		t.Errorf("got %v", err)
	}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		noSecret(t, string(data))
		noSecret(t, p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// noSecret fails when text has the token, as it is or as it travels.
func noSecret(t testing.TB, text string) {
	t.Helper()
	for _, s := range []string{token, "ghs_Secret", "eC1hY2Nlc3MtdG9rZW46"} {
		if strings.Contains(text, s) {
			t.Errorf("the token is in %q", text)
		}
	}
}

func TestRedirectElsewhereGetsNoToken(t *testing.T) {
	u := newUpstream(t)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went to another host")
		}
		http.NotFound(w, r)
	}))
	defer other.Close()
	m := u.mirror(t.TempDir())
	u.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL+r.URL.RequestURI(), http.StatusMovedPermanently)
		return true
	}
	if err := m.Fetch(context.Background()); !errors.Is(err, git.ErrNotRepository) {
		t.Errorf("got %v", err)
	}
}

func TestCommits(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	base := u.commit("main", 0, map[string]string{"a/main.tf": "a\n", "b/main.tf": "b\n", "c": "c"})
	u.git("branch", "topic", base)
	main := base
	for i := range 30 {
		main = u.commit("main", 10+i, map[string]string{"a/main.tf": fmt.Sprint(i)})
	}
	one := u.commit("topic", 5, map[string]string{"b/main.tf": "bb\n", "120000 l": "c", "new/x": "x"})
	two := u.commit("topic", 5, map[string]string{"c/d": "a file became a directory", "100755 a/main.tf": "a\n"})
	m := u.mirror(t.TempDir())

	got, err := m.Commits(ctx, main, two)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, c := range got {
		said = append(said, fmt.Sprintf("%s by %s <%s>, %s at %d: %q %v %v", c.SHA, c.Author.Name, c.Author.Email, c.Committer.Name, c.Committer.When.Unix(), c.Message, c.Files, c.Parents))
	}
	if diff := cmp.Diff([]string{
		two + ` by Ada <ada@example.org>, Ada at 1700000005: "work\n" [a/main.tf c c/d] [` + one + "]",
		one + ` by Ada <ada@example.org>, Ada at 1700000005: "work\n" [b/main.tf l new/x] [` + base + "]",
	}, said); diff != "" {
		t.Error(diff)
	}
	if got, err := m.Commits(ctx, two, two); err != nil || len(got) != 0 {
		t.Errorf("a commit lacks nothing of itself: %v, %v", got, err)
	}
	if got, err := m.Commits(ctx, main, base); err != nil || len(got) != 0 {
		t.Errorf("an ancestor has nothing new: %v, %v", got, err)
	}
	if _, err := m.Commits(ctx, strings.Repeat("2", 40), two); !errors.Is(err, git.ErrUnknownRevision) {
		t.Errorf("unknown base: %v", err)
	}
	for _, sha := range []string{"", "HEAD", "main", two[:8], "--all"} {
		if _, err := m.Commits(ctx, main, sha); !errors.Is(err, git.ErrInvalidName) {
			t.Errorf("head %q: %v", sha, err)
		}
	}
}

// TestCommitsAgreesWithGit compares with git rev-list on histories with merges
// and with clocks that are wrong.
func TestCommitsAgreesWithGit(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(12) {
		u := newUpstream(t)
		shas := randomHistory(u, seed, 40)
		m := u.mirror(t.TempDir())
		for i := range shas {
			base, head := shas[(i*7+int(seed))%len(shas)], shas[(i*13+5)%len(shas)]
			got, err := m.Commits(ctx, base, head)
			if err != nil {
				t.Fatal(err)
			}
			have := map[string]bool{}
			for _, c := range got {
				have[c.SHA] = true
			}
			want := map[string]bool{}
			for _, sha := range strings.Fields(u.git("rev-list", base+".."+head)) {
				want[sha] = true
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Fatalf("seed %d, %s..%s: %s", seed, base, head, diff)
			}
		}
	}
}
