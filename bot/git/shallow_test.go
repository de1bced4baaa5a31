package git_test

import (
	"context"
	"errors"
	"fmt"
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
