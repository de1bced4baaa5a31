package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

const migration = "### Changed\n\n- A database migration converts the list of links at start."

const restoring = `
databases:
  data: { backup: { cronjob: dbaas/backup, restore: { cronjob: dbaas/restore } } }
apply: { checks: [deploy], timeout: 15m }
verify: { safe: 10ms, caution: 10ms, unknown: 10ms, interval: 1s, extend: 1s, settle: 1s }
`

// named is a service's Terraform with the workload's name.
func named(name, image string) string {
	return strings.Replace(stack(image), "  spec {", "  metadata {\n    name      = \""+name+"\"\n    namespace = \""+name+"\"\n  }\n  spec {", 1)
}

// migrated is a world in which data's next version migrates its data and crashes.
func migrated(t *testing.T, config string) *world {
	w := newWorld(t, map[string]string{".github/belay.yml": config, "stacks/data/main.tf": named("data", "acme/data:2.0.0")})
	w.up.say("2.0.1", migration)
	w.observed().becomes("acme/data:2.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
	w.dispatch("acme/data", "2.0.1")
	w.waits("data", lifecycle.Open, "approving review")
	w.repo.Comment(w.pull("data").Number, "ana", "/upgrade approve")
	return w
}

func TestRestorePutsImageAndDataBackTogether(t *testing.T) {
	t.Parallel()
	w := migrated(t, restoring)
	w.waits("data", lifecycle.Reverting, "data may have been migrated")
	p := w.revert("data")
	if !strings.Contains(p.Body, "`/upgrade restore` stops the workload") {
		t.Errorf("the revert does not offer the restore:\n%s", p.Body)
	}
	w.repo.Comment(p.Number, "ana", "/upgrade restore")
	w.waits("data", lifecycle.Reverted, "")
	if diff := cmp.Diff([]string{"down data/data", "restore dbaas/restore", "up data/data"}, slices.Compact(w.backups.did)); diff != "" {
		t.Error(diff)
	}
	if got := mustFile(t, w, "main", "stacks/data/main.tf"); !strings.Contains(got, "acme/data:2.0.0") {
		t.Errorf("main has\n%s", got)
	}
}

// TestWorkloadThatSomebodyChangesIsStartedAllTheSame holds that a workload is not
// taken for started because it was tried once.
func TestWorkloadThatSomebodyChangesIsStartedAllTheSame(t *testing.T) {
	t.Parallel()
	w := migrated(t, restoring+"revert: { on_migration: restore }\n")
	w.backups.mu.Lock()
	w.backups.changed = 1
	w.backups.mu.Unlock()
	w.waits("data", lifecycle.Reverted, "")
	up := 0
	for _, did := range w.backups.did {
		if did == "up data/data" {
			up++
		}
	}
	if up != 2 {
		t.Errorf("%q", w.backups.did)
	}
}

func TestTheDatabaseBesideItStaysUpForTheRestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{".github/belay.yml": restoring + "revert: { on_migration: restore }\n", "stacks/data/main.tf": named("data", "acme/data:2.0.0") +
		strings.ReplaceAll(named("postgresql", "postgres:17.2"), "\"kubernetes_deployment\" \"app\"", "\"kubernetes_stateful_set\" \"db\"")})
	w.up.say("2.0.1", migration)
	w.observed().becomes("acme/data:2.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
	w.dispatch("acme/data", "2.0.1")
	w.waits("data", lifecycle.Open, "approving review")
	w.repo.Comment(w.pull("data").Number, "ana", "/upgrade approve")
	w.waits("data", lifecycle.Reverted, "")
	if slices.Contains(w.backups.did, "down postgresql/postgresql") || !slices.Contains(w.backups.did, "down data/data") {
		t.Errorf("%q", w.backups.did)
	}
}

func TestRestoreWithoutAsking(t *testing.T) {
	t.Parallel()
	w := migrated(t, restoring+"revert: { on_migration: restore }\n")
	w.waits("data", lifecycle.Reverted, "")
	if diff := cmp.Diff([]string{"down data/data", "restore dbaas/restore", "up data/data"}, slices.Compact(w.backups.did)); diff != "" {
		t.Error(diff)
	}
}

func TestFailedRestoreLeavesTheWorkloadStopped(t *testing.T) {
	t.Parallel()
	w := migrated(t, restoring)
	w.backups.set("dbaas/restore", lifecycle.Bad)
	w.waits("data", lifecycle.Reverting, "data may have been migrated")
	w.repo.Comment(w.revert("data").Number, "ana", "/upgrade restore")
	w.waits("data", lifecycle.Critical, "the restore failed")
	if slices.Contains(w.backups.did, "up data/data") {
		t.Error("the workload was started on data that may be half")
	}
	if got := w.revert("data"); got.MergeSHA != "" {
		t.Error("the revert was merged without its data")
	}
}

func TestNothingElseIsMergedDuringARestore(t *testing.T) {
	for state, end := range map[lifecycle.Progress]lifecycle.State{lifecycle.Good: lifecycle.Reverted, lifecycle.Bad: lifecycle.Critical} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			w := migrated(t, restoring)
			w.backups.set("dbaas/restore", lifecycle.Running)
			w.waits("data", lifecycle.Reverting, "data may have been migrated")
			w.repo.Comment(w.revert("data").Number, "ana", "/upgrade restore")
			w.waits("data", lifecycle.Restoring, "\"stopped\":true")
			w.dispatch("acme/web", "1.0.1")
			w.waits("web", lifecycle.Open, "waits until the merge before it has been applied")
			w.backups.set("dbaas/restore", state)
			w.waits("data", end, "")
			w.waits("web", lifecycle.Verified, "")
		})
	}
}

func TestRestoreGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	w := migrated(t, restoring)
	w.backups.set("dbaas/restore", lifecycle.Running)
	w.waits("data", lifecycle.Reverting, "data may have been migrated")
	w.repo.Comment(w.revert("data").Number, "ana", "/upgrade restore")
	w.waits("data", lifecycle.Restoring, "\"stopped\":true")
	w.stop()
	w.backups.set("dbaas/restore", lifecycle.Good)
	w.start()
	w.waits("data", lifecycle.Reverted, "")
	down := 0
	for _, s := range w.backups.did {
		if strings.HasPrefix(s, "down") {
			down++
		}
	}
	if down != 1 {
		t.Errorf("the workload was stopped %d times", down)
	}
}

func TestRestoreThatIsRefusedBeforehandStopsNothing(t *testing.T) {
	for _, config := range []string{restoring, restoring + "revert: { on_migration: restore }\n"} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			w := migrated(t, config)
			w.backups.refuse("the snapshot is gone: nothing is changed")
			if config == restoring {
				w.waits("data", lifecycle.Reverting, "data may have been migrated")
				w.repo.Comment(w.revert("data").Number, "ana", "/upgrade restore")
			}
			w.waits("data", lifecycle.Reverting, "The data cannot be put back, and nothing was stopped: the snapshot is gone: nothing is changed.")
			w.waits("data", lifecycle.Reverting, "data may have been migrated")
			if len(w.backups.did) != 0 {
				t.Errorf("%q", w.backups.did)
			}
			w.dispatch("acme/web", "1.0.1") // nobody waits for what does not happen
			w.waits("web", lifecycle.Verified, "")
			w.backups.refuse("")
			w.repo.Comment(w.revert("data").Number, "ana", "/upgrade restore")
			w.waits("data", lifecycle.Reverted, "")
			if diff := cmp.Diff([]string{"down data/data", "restore dbaas/restore", "up data/data"}, slices.Compact(w.backups.did)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRestoreIsOfferedWhereThereIsSomethingToPutBack: what was merged by hand has
// no backup.
func TestRestoreIsOfferedWhereThereIsSomethingToPutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{".github/belay.yml": restoring, "stacks/data/main.tf": named("data", "acme/data:2.0.0")})
	w.up.say("2.0.1", migration)
	w.observed().becomes("acme/data:2.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
	w.dispatch("acme/data", "2.0.1")
	w.waits("data", lifecycle.Open, "approving review")
	if err := w.repo.MergeAs(w.pull("data").Number, "ana"); err != nil {
		t.Fatal(err)
	}
	w.waits("data", lifecycle.Reverting, "no data to put back")
	p := w.revert("data")
	if strings.Contains(p.Body, "/upgrade restore") || !strings.Contains(p.Body, "No backup was taken before the merge") {
		t.Errorf("the revert offers what would be refused:\n%s", p.Body)
	}
}
