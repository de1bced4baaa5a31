package reconcile_test

import (
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

func TestHealthyThroughTheWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.observed()
	w.dispatch("acme/web", "1.0.1")
	u := w.waits("web", lifecycle.Verified, "healthy for")
	// A late webhook has it looked at once more: what is over waits for nothing.
	if _, err := w.life.rec.Reconcile(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if u = w.upgrade("web"); strings.Contains(string(u.Data), `"waits"`) {
		t.Errorf("it waits: %s", u.Data)
	}
}

func TestUnhealthyIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	seen := w.observed()
	seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff", Log: "panic: no such table\n[skip ci] @everyone"})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Reverted, "")
	p := w.revert("web")
	for _, want := range []string{"deployment web/web: CrashLoopBackOff", "panic: no such table"} {
		if !strings.Contains(p.Body, want) {
			t.Errorf("%q is not in\n%s", want, p.Body)
		}
	}
	if got := w.image("web"); got != "acme/web:1.0.0" {
		t.Errorf("main runs %s", got)
	}
	for _, m := range w.repo.Log("main") {
		if strings.Contains(m, "[skip ci]") {
			t.Errorf("CI would skip %q", m)
		}
	}
}

func TestWhatCICouldNotApplyIsLookedAt(t *testing.T) {
	t.Parallel()
	w := failing(t, nil)
	seen := w.observed()
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Applying, "")
	seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff", Log: "panic: no such table"})
	w.applied(w.pull("web").MergeSHA, "failure")
	w.waits("web", lifecycle.Undoing, "")
	for _, want := range []string{"deployment web/web: CrashLoopBackOff; CI could not apply it", "panic: no such table"} {
		if body := w.revert("web").Body; !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
}

func TestOldVersionUnhealthyTooIsCritical(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	seen := w.observed()
	for _, v := range []string{"acme/web:1.0.1", "acme/web:1.0.0"} {
		seen.becomes(v, watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "UnknownPrimaryKey"})
	}
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Critical, "UnknownPrimaryKey")
}

func TestWhatDoesNotRunIsToldAndNotReverted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.observed().becomes("acme/web:1.0.1", watch.Sample{State: watch.NotDeployed, Detail: "runs 1.0.0"})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.NotDeployed, "runs 1.0.0")
	if p := w.revert("web"); p.Number != 0 {
		t.Errorf("#%d reverts what was never deployed", p.Number)
	}
}

func TestAnOutageOfTheObserverRevertsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.observed().becomes("acme/web:1.0.1", watch.Sample{State: watch.Blind, Detail: "connection refused"})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Unverified, "connection refused")
	if p := w.revert("web"); p.Number != 0 {
		t.Errorf("#%d reverts what nobody saw", p.Number)
	}
}

func TestWatchGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{".github/belay.yml": strings.ReplaceAll(config, "safe: 10ms", "safe: 1h")})
	seen := w.observed()
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Watching, "healthy so far")
	w.stop()
	w.start()
	w.eventually("the service is followed again", func() bool {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		return seen.wakes["web"] != nil
	})
	// The cluster says so, long before the next look is due.
	seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseOOM, Detail: "OOMKilled"})
	w.waits("web", lifecycle.Rewatching, "OOMKilled")
	if got := w.image("web"); got != "acme/web:1.0.0" {
		t.Errorf("main runs %s", got)
	}
}

// memory gives a service's Terraform a memory limit.
func memory(text, limit string) string {
	return strings.Replace(text, " # pinned\n", " # pinned\n          resources {\n            limits = {\n              memory = \""+limit+"\"\n            }\n          }\n", 1)
}

func TestOOMKilledIsMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"stacks/web/main.tf": memory(named("web", "acme/web:1.0.0"), "1Gi"),
		".github/belay.yml": config + "revert: { automerge: false }\n"})
	seen := w.observed()
	seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseOOM, Detail: "OOMKilled"})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Reverting, "approving review")
	revert := w.revert("web")
	if !strings.Contains(revert.Body, "### Or mend it") || !strings.Contains(revert.Body, "memory = \"2Gi\"") {
		t.Fatalf("the revert does not offer the fix:\n%s", revert.Body)
	}
	seen.mu.Lock()
	delete(seen.samples, "acme/web:1.0.1") // with more memory it is well
	seen.mu.Unlock()
	w.repo.Comment(revert.Number, "ana", "/upgrade fix")
	w.waits("web", lifecycle.Verified, "")
	if got, want := mustFile(t, w, "main", "stacks/web/main.tf"), memory(named("web", "acme/web:1.0.1"), "2Gi"); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("main has\n%s", got)
	}
	if p := w.revert("web"); p.MergeSHA != "" {
		t.Error("the revert was merged as well")
	}
}
