package reconcile_test

import (
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// sharing is a world in which blog and data take their version from the default
// of one module, and so cannot move apart.
func sharing(t *testing.T, configuration string) *world {
	module := "variable \"image\" {}\nvariable \"tag\" { default = \"1.0.0\" }\n" + stack("${var.image}:${var.tag}")
	call := func(image string) string {
		return "module \"app\" {\n  source = \"../../modules/app\"\n  image  = \"" + image + "\"\n}\n"
	}
	return newWorld(t, map[string]string{".github/belay.yml": configuration, "modules/app/main.tf": module, "stacks/blog/main.tf": call("acme/blog"), "stacks/data/main.tf": call("acme/data")})
}

// TestWhatMovesAlongIsBackedUpAndWatched: the upgrade is named after blog, and the
// database is data's.
func TestWhatMovesAlongIsBackedUpAndWatched(t *testing.T) {
	t.Parallel()
	w := sharing(t, config)
	w.observed()
	w.dispatch("acme/blog", "1.0.1")
	u := w.waits("blog", lifecycle.Verified, "")
	w.backups.mu.Lock()
	n := len(w.backups.made)
	w.backups.mu.Unlock()
	if n != 1 {
		t.Errorf("%d backups", n)
	}
	for _, want := range []string{"deployment blog/blog", "deployment data/data"} {
		if !strings.Contains(string(u.Data), want) {
			t.Errorf("%s was not watched: %s", want, u.Data)
		}
	}
}

func TestWhatMovesAlongAndFailsIsUndone(t *testing.T) {
	t.Parallel()
	w := sharing(t, config)
	w.observed().becomes("acme/data:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
	w.dispatch("acme/blog", "1.0.1")
	w.waits("blog", lifecycle.Reverted, "deployment data/data: CrashLoopBackOff")
	if got := mustFile(t, w, "main", "modules/app/main.tf"); !strings.Contains(got, "1.0.0") {
		t.Errorf("main has\n%s", got)
	}
}

// TestWhatMovesAlongWaitsForOneAnother: data is critical, and its version is blog's.
func TestWhatMovesAlongWaitsForOneAnother(t *testing.T) {
	t.Parallel()
	w := sharing(t, strings.ReplaceAll(config, "10ms", "1h"))
	w.observed()
	w.dispatch("acme/blog", "1.0.1")
	w.waits("blog", lifecycle.Watching, "healthy so far")
	// Somebody gives data a version of its own meanwhile.
	if _, err := w.repo.Push("ana", "main", "data of its own", map[string]string{"stacks/data/main.tf": stack("acme/data:1.0.1")}); err != nil {
		t.Fatal(err)
	}
	w.dispatch("acme/data", "1.0.2")
	w.waits("data", lifecycle.Open, "earlier upgrade")
}

// TestDifferentBackupsAreNotGuessed: belay takes one backup before a merge.
func TestDifferentBackupsAreNotGuessed(t *testing.T) {
	t.Parallel()
	w := sharing(t, strings.Replace(config, "databases:\n", "databases:\n  blog: { backup: { cronjob: dbaas/other } }\n", 1))
	w.dispatch("acme/blog", "1.0.1")
	w.waits("blog", lifecycle.Open, "different backups")
	w.repo.Comment(w.pull("blog").Number, "ana", "/upgrade approve")
	w.waits("blog", lifecycle.Aborted, "data: cronjob dbaas/backup")
	if p := w.pull("blog"); p.State != "open" {
		t.Errorf("it is %s", p.State)
	}
}
