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
	"strconv"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/git"
)

// shallow opens a mirror as a run of the Action has it, and fetches it.
func (u *upstream) shallow() *git.Mirror {
	u.t.Helper()
	m, err := git.OpenShallow(u.t.TempDir(), u.remote())
	if err != nil {
		u.t.Fatal(err)
	}
	if err := m.Fetch(context.Background()); err != nil {
		u.t.Fatal(err)
	}
	return m
}

// history puts n commits on main and returns them, oldest first.
func history(u *upstream, n int) []string {
	var out []string
	for i := range n {
		out = append(out, u.commit("main", i, map[string]string{"web/main.tf": fmt.Sprintf("%d\n", i), fmt.Sprintf("d%d/main.tf", i%7): fmt.Sprintf("%d\n", i)}))
	}
	return out
}

func TestShallowMirrorHoldsTheDefaultBranchAlone(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	u.git("config", "uploadpack.allowAnySHA1InWant", "true") // as GitHub does
	all := history(u, 5)
	topic := u.fastImport("topic", "from "+all[1]+"\n", 9, map[string]string{"web/main.tf": "topic\n"})
	u.git("update-ref", "refs/pull/7/head", topic)
	m := u.shallow()

	resolve(t, m, "main", all[4])
	resolve(t, m, "topic", "")
	content(t, m, all[4], "web/main.tf", "4\n")
	if _, err := m.Tree(all[3]); !errors.Is(err, git.ErrUnknownRevision) {
		t.Errorf("the commit before was fetched, too: %v", err)
	}

	// It follows, and what is named is fetched.
	next := u.commit("main", 20, map[string]string{"web/main.tf": "next\n"})
	if err := m.Fetch(ctx); err != nil {
		t.Fatal(err)
	}
	resolve(t, m, "main", next)
	content(t, m, next, "web/main.tf", "next\n")
	got, err := m.FetchRef(ctx, "refs/pull/7/head", 1)
	if err != nil || got != topic {
		t.Fatalf("FetchRef gives %s, %v; want %s", got, err, topic)
	}
	content(t, m, topic, "web/main.tf", "topic\n")
	if got, err := m.FetchRef(ctx, all[2], 1); err != nil || got != all[2] {
		t.Errorf("FetchRef of a commit gives %s, %v", got, err)
	}
	for _, none := range []string{"refs/pull/8/head", "main", "0123456789012345678901234567890123456789"} {
		if got, err := m.FetchRef(ctx, none, 1); err == nil {
			t.Errorf("FetchRef(%s) gives %s and no error", none, got)
		}
	}
}

func TestShallowMirrorPushes(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	all := history(u, 4)
	m := u.shallow()
	sha := mustCommit(t, m, bump(all[3], map[string]string{"web/main.tf": "new\n"}))
	if err := m.Push(ctx, sha, "belay/web/1.1", ""); err != nil {
		t.Fatal(err)
	}
	if got := u.at("belay/web/1.1"); got != sha {
		t.Errorf("the branch is at %s, want %s", got, sha)
	}
	u.git("fsck", "--strict")

	// The base moves on in between; the branch is brought onto it.
	base := u.commit("main", 9, map[string]string{"d1/main.tf": "other\n"})
	if err := m.Fetch(ctx); err != nil {
		t.Fatal(err)
	}
	again := mustCommit(t, m, bump(base, map[string]string{"web/main.tf": "new\n"}))
	if err := m.Push(ctx, again, "belay/web/1.1", sha); err != nil {
		t.Fatal(err)
	}
	old := mustCommit(t, m, bump(all[3], map[string]string{"web/main.tf": "of the old base\n"}))
	if err := m.Push(ctx, old, "belay/web/1.2", ""); err != nil {
		t.Fatal(err)
	}
	u.git("fsck", "--strict")
	if err := m.DeleteBranch(ctx, "belay/web/1.1", again); err != nil {
		t.Fatal(err)
	}
}

// TestShallowMirrorFetchesHistoryWhenAsked: the answers are those of a full mirror.
func TestShallowMirrorFetchesHistoryWhenAsked(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	u.git("config", "uploadpack.allowAnySHA1InWant", "true")
	all := history(u, 90)
	topic := u.fastImport("topic", "from "+all[80]+"\n", 95, map[string]string{"web/main.tf": "topic\n"})
	full := u.mirror(t.TempDir())
	head := all[len(all)-1]
	for _, tc := range []struct{ name, base, head string }{
		{"the last two", all[87], head},
		{"further than a first look", all[3], head},
		{"nothing", head, head},
		{"a branch that was not fetched", head, topic},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want, err := full.Commits(ctx, tc.base, tc.head)
			if err != nil {
				t.Fatal(err)
			}
			m := u.shallow()
			got, err := m.Commits(ctx, tc.base, tc.head)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d commits, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i].SHA != want[i].SHA || len(got[i].Files) != len(want[i].Files) {
					t.Errorf("commit %d is %s with %v, want %s with %v", i, got[i].SHA, got[i].Files, want[i].SHA, want[i].Files)
				}
			}
		})
	}
}

// breakOff has the upstream break off its next pack after n bytes, and calls between
// before it does: what lies on the disk then is what a killed run leaves.
func (u *upstream) breakOff(n int, between func()) {
	inner := u.before
	u.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			return inner != nil && inner(w, r)
		}
		u.before = inner
		rec := httptest.NewRecorder()
		u.serve(rec, r)
		body := rec.Body.Bytes()
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:min(n, len(body))])
		_ = http.NewResponseController(w).Flush()
		between()
		panic(http.ErrAbortHandler)
	}
}

// bounded holds the boundary against what is there: a commit that it names and
// that is not there is one that the remote will not send.
func bounded(t *testing.T, m *git.Mirror) {
	t.Helper()
	ends, err := os.ReadFile(filepath.Join(m.Dir(), "shallow"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, sha := range strings.Fields(string(ends)) {
		if _, err := m.Tree(sha); err != nil {
			t.Errorf("the history is said to end at %s, which is not there: %v", sha, err)
		}
	}
	if _, err := os.Stat(filepath.Join(m.Dir(), git.Pending)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a boundary is pending: %v", err)
	}
}

// TestShallowMirrorSurvivesABreak: neither a pack that broke off nor a run that
// was killed while it came, or when all of it had come, leaves a mirror that
// believes to have what it has not.
func TestShallowMirrorSurvivesABreak(t *testing.T) {
	ctx := context.Background()
	works := func(t *testing.T, u *upstream, m *git.Mirror, all []string) {
		t.Helper()
		if err := m.Fetch(ctx); err != nil {
			t.Fatal(err)
		}
		head := all[len(all)-1]
		resolve(t, m, "main", head)
		content(t, m, head, "web/main.tf", strconv.Itoa(len(all)-1)+"\n")
		got, err := m.Commits(ctx, all[3], head)
		if err != nil || len(got) != len(all)-4 {
			t.Errorf("%d commits, want %d: %v", len(got), len(all)-4, err)
		}
		sha := mustCommit(t, m, bump(head, map[string]string{"web/main.tf": "new\n"}))
		if err := m.Push(ctx, sha, "belay/web/1.1", ""); err != nil {
			t.Fatal(err)
		}
		u.git("fsck", "--strict")
	}
	for _, tc := range []struct {
		name  string
		bytes int // of the answer that come
	}{
		{"before anything came", 0},
		{"in the middle of the boundary", 30},
		{"after the boundary", 120},
		{"in the middle of the pack", 600},
	} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, killed %v", tc.name, killed), func(t *testing.T) {
				u := newUpstream(t)
				u.git("config", "uploadpack.allowAnySHA1InWant", "true")
				all := history(u, 10)
				m, err := git.OpenShallow(t.TempDir()+"/m", u.remote())
				if err != nil {
					t.Fatal(err)
				}
				left := t.TempDir() + "/left"
				u.breakOff(tc.bytes, func() {
					// What has come is still being written, so a file may go in the middle of it.
					err := fs.ErrNotExist
					for errors.Is(err, fs.ErrNotExist) {
						if err := os.RemoveAll(left); err != nil {
							t.Error(err)
						}
						err = os.CopyFS(left, os.DirFS(m.Dir()))
					}
					if err != nil {
						t.Error(err)
					}
				})
				if err := m.Fetch(ctx); err == nil {
					t.Fatal("a pack that broke off is whole")
				}
				bounded(t, m)
				// Meanwhile the branch goes on.
				all = append(all, u.commit("main", 10, map[string]string{"web/main.tf": "10\n"}))
				if killed {
					if m, err = git.OpenShallow(left, u.remote()); err != nil {
						t.Fatal(err)
					}
					bounded(t, m)
				}
				works(t, u, m, all)
			})
		}
	}
}

// TestShallowMirrorKilledBeforeTheBoundaryIsKnown: a run that ended between the
// pack and its boundary is begun anew.
func TestShallowMirrorKilledBeforeTheBoundaryIsKnown(t *testing.T) {
	ctx := context.Background()
	u := newUpstream(t)
	u.git("config", "uploadpack.allowAnySHA1InWant", "true")
	all := history(u, 10)
	m := u.shallow()
	left := t.TempDir() + "/left"
	if err := os.CopyFS(left, os.DirFS(m.Dir())); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(left+"/shallow", left+"/"+git.Pending); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(left + "/packed-refs"); err != nil {
		t.Fatal(err)
	}
	m, err := git.OpenShallow(left, u.remote())
	if err != nil {
		t.Fatal(err)
	}
	bounded(t, m)
	if _, err := m.Tree(all[9]); !errors.Is(err, git.ErrUnknownRevision) {
		t.Errorf("what was left is trusted: %v", err)
	}
	if err := m.Fetch(ctx); err != nil {
		t.Fatal(err)
	}
	bounded(t, m)
	got, err := m.Commits(ctx, all[3], all[9])
	if err != nil || len(got) != 6 {
		t.Errorf("%d commits, want 6: %v", len(got), err)
	}
}
