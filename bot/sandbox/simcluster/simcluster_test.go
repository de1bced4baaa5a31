package simcluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/sandbox/simcluster"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

var (
	_ reconcile.Backups  = (*simcluster.Cluster)(nil)
	_ reconcile.Follower = (*simcluster.Cluster)(nil)
)

func TestAScriptIsPlayed(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := simcluster.New(simcluster.Options{Now: func() time.Time { return now }})
	defer c.Close()
	c.Play("web", "2", simcluster.Script{Ready: time.Minute, Fails: time.Hour, Cause: watch.CauseOOM, Detail: "was killed", Log: "the last line"})
	woken := make(chan struct{}, 8)
	c.Follow(watch.Subject{Service: "web"}, func() { woken <- struct{}{} })
	c.Apply("web", "1") // Ready at once: whoever follows hears of it
	select {
	case <-woken:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was woken")
	}
	start := now
	for _, tc := range []struct {
		name    string
		applied string // "" leaves what runs
		after   time.Duration
		want    watch.State
	}{
		{"another version runs", "", 0, watch.NotDeployed},
		{"it comes up", "2", time.Second, watch.Progressing},
		{"it is Ready", "", time.Minute, watch.Good},
		{"it fails", "", time.Hour, watch.Fatal},
	} {
		now = start
		if tc.applied != "" {
			c.Apply("web", tc.applied)
		}
		now = start.Add(tc.after)
		got := c.Look(t.Context(), watch.Subject{Service: "web", Version: "2"})
		if len(got) != 1 || got[0].State != tc.want || got[0].Kind != watch.Rollout || got[0].Name != "deployment web/web" {
			t.Errorf("%s: %+v, want %s", tc.name, got, tc.want)
		}
		if failed := c.FailedAt("web"); failed.IsZero() != (tc.want != watch.Fatal) {
			t.Errorf("%s: failed at %s", tc.name, failed)
		}
		if tc.want == watch.Fatal && (got[0].Cause != watch.CauseOOM || got[0].Log != "the last line") {
			t.Errorf("%s: %+v", tc.name, got[0])
		}
	}
}

func TestABackupRunsAndEnds(t *testing.T) {
	c := simcluster.New(simcluster.Options{})
	defer c.Close()
	c.Break("dbaas/mysql", "no space left on device")
	for target, want := range map[string]lifecycle.Progress{"dbaas/postgresql": lifecycle.Good, "dbaas/mysql": lifecycle.Bad} {
		r := cluster.BackupRequest{Key: "key of " + target, Backup: policy.Backup{Kind: policy.BackupCronJob, Target: target}}
		first, err := c.Backup(t.Context(), r)
		if err != nil || first.State != lifecycle.Running {
			t.Fatalf("%s: %+v, %v", target, first, err)
		}
		again, err := c.Backup(t.Context(), r)
		if err != nil || again.State != want || again.Name != first.Name || again.Detail == "" {
			t.Errorf("%s: %+v, %v", target, again, err)
		}
	}
	if did := c.Did(); len(did) != 2 {
		t.Errorf("the same key made another Job: %q", did)
	}
	held := simcluster.New(simcluster.Options{Backup: time.Hour})
	defer held.Close()
	r := cluster.BackupRequest{Key: "k", Backup: policy.Backup{Target: "dbaas/postgresql"}}
	if _, err := held.Backup(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := held.Backup(ctx, r); err == nil {
		t.Error("it waits in spite of the context's end")
	}
}
