package reconcile_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// movable is a clock that is set to a time and goes on from there.
type movable struct{ ahead atomic.Int64 }

func (m *movable) Now() time.Time   { return time.Now().Add(time.Duration(m.ahead.Load())) }
func (m *movable) Set(to time.Time) { m.ahead.Store(int64(time.Until(to))) }

// at restarts a world's belay with a clock.
func (w *world) at(c *movable) {
	w.t.Helper()
	w.stop()
	w.now = c.Now
	w.seen = &observer{samples: map[string]watch.Sample{}, wakes: map[string]func(){}, now: c.Now}
	w.start()
}

// look has a service's upgrade looked at now, as its timer would.
func (w *world) look(service string) {
	w.t.Helper()
	if err := w.life.engine.Wake(context.Background(), w.upgrade(service).ID); err != nil {
		w.t.Fatal(err)
	}
}

func TestScheduleWindows(t *testing.T) {
	sofia, err := time.LoadLocation("Europe/Sofia")
	if err != nil {
		t.Fatal(err)
	}
	day := func(d, hour, minute int) time.Time { return time.Date(2026, 10, d, hour, minute, 0, 0, sofia) }
	t.Run("opens and merges in their windows, over the night in which the clocks change", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]string{".github/belay.yml": config + "schedule: { timezone: Europe/Sofia, open: \"Sat 20:00-23:00\", merge: \"Sat 22:00-23:00, Sun 03:30-06:00\" }\n"})
		var clock movable
		clock.Set(day(24, 19, 0))
		w.at(&clock)
		w.dispatch("acme/web", "1.0.1")
		w.waits("web", lifecycle.Queued, "are opened: it opens Sat 24 Oct 20:00 EEST")
		clock.Set(day(24, 20, 30))
		w.look("web")
		w.waits("web", lifecycle.Open, "belay merges: it opens Sat 24 Oct 22:00 EEST")
		w.repo.Comment(w.pull("web").Number, "ana", "/upgrade status")
		w.eventually("the answer says when", func() bool {
			c := w.pull("web").Comments
			return len(c) == 2 && strings.Contains(c[1].Body, "it opens Sat 24 Oct 22:00 EEST")
		})
		w.eventually("so does the check on the pull request", func() bool {
			for _, c := range w.pull("web").CheckRuns {
				if c.Name == "belay/verify" && strings.Contains(fmt.Sprint(c), "it opens Sat 24 Oct 22:00 EEST") {
					return true
				}
			}
			return false
		})
		clock.Set(day(24, 23, 0)) // missed: the next one begins in the hour that comes twice
		w.look("web")
		w.waits("web", lifecycle.Open, "it opens Sun 25 Oct 03:30 EEST")
		clock.Set(day(24, 23, 0).Add(4*time.Hour + 29*time.Minute))
		w.look("web")
		w.quiet("web")
		if p := w.pull("web"); p.State != "open" {
			t.Fatalf("#%d is %s at %s", p.Number, p.State, clock.Now().In(sofia))
		}
		clock.Set(day(24, 23, 0).Add(4*time.Hour + 31*time.Minute))
		w.look("web")
		w.waits("web", lifecycle.Verified, "")
	})
	t.Run("a revert does not wait for the window", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]string{".github/belay.yml": strings.ReplaceAll(config, "safe: 10ms", "safe: 30m") + "schedule: { merge: \"Mon 10:00-11:00\" }\n"})
		var clock movable
		clock.Set(time.Date(2026, 3, 2, 10, 30, 0, 0, time.UTC))
		w.at(&clock)
		w.dispatch("acme/web", "1.0.1")
		w.waits("web", lifecycle.Watching, "healthy so far")
		clock.Set(time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC))
		w.seen.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Cause: watch.CauseCrash, Detail: "CrashLoopBackOff"})
		w.look("web")
		w.waits("web", lifecycle.Rewatching, "")
		if got := w.image("web"); got != "acme/web:1.0.0" {
			t.Errorf("pinned at %s", got)
		}
	})
}

func TestScheduleLimits(t *testing.T) {
	t.Run("a service's own limit holds up that service alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]string{".github/belay.yml": strings.Replace(config, "window: 6h }", "window: 6h, services: { web: 1 } }", 1)})
		var clock movable
		w.at(&clock)
		w.dispatch("acme/web", "1.0.1")
		w.waits("web", lifecycle.Verified, "")
		w.quiet("web") // what is said of its end is written down after it
		w.dispatch("acme/web", "1.0.2")
		w.waits("web", lifecycle.Queued, "waits for the rate limit: until ")
		w.dispatch("acme/blog", "3.0.1")
		w.waits("blog", lifecycle.Verified, "")
		clock.Set(clock.Now().Add(6 * time.Hour))
		w.look("web")
		w.waits("web", lifecycle.Verified, "")
		if got := w.image("web"); got != "acme/web:1.0.2" {
			t.Errorf("pinned at %s", got)
		}
	})
	t.Run("a security fix passes where it may", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]string{".github/belay.yml": strings.Replace(config, "upgrades: 50", "upgrades: 1", 1) + "risk: { security_first: true }\n"})
		w.observed()
		w.up.say("3.0.1", "### Security\n\n- CVE-2026-10001 is closed")
		w.dispatch("acme/web", "1.0.1")
		w.waits("web", lifecycle.Verified, "")
		w.dispatch("acme/wiki", "4.0.1")
		w.waits("wiki", lifecycle.Queued, "waits for the rate limit: until ")
		w.dispatch("acme/blog", "3.0.1")
		w.waits("blog", lifecycle.Verified, "")
		w.waits("wiki", lifecycle.Queued, "waits for the rate limit: until ")
	})
}

// Tags answers for registries: what was released of an image.
func (o *outside) Tags(_ context.Context, ref image.Ref) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lists++
	return o.tags[ref.Familiar()], nil
}

func TestBulkScan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{".github/belay.yml": config + "scan: { every: 6h }\n"})
	w.up.mu.Lock()
	w.up.tags = map[string][]string{"acme/web": {"1.0.0", "1.0.1"}, "acme/blog": {"3.0.0", "latest"}}
	w.up.mu.Unlock()
	var clock movable
	w.at(&clock)
	scan := func() int {
		t.Helper()
		if err := w.life.rec.Scan(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.up.mu.Lock()
		defer w.up.mu.Unlock()
		n := w.up.lists
		w.up.lists = 0
		return n
	}
	if n := scan(); n != 4 {
		t.Errorf("asked %d times about four images", n)
	}
	w.waits("web", lifecycle.Verified, "")
	list, err := w.life.store.Dispatches(context.Background(), 10)
	if err != nil || len(list) != 1 || list[0].Source != "scan" || list[0].Repository != "acme/home-ops" || list[0].Tag != "1.0.1" {
		t.Errorf("dispatches %+v, %v", list, err)
	}
	if n := scan(); n != 0 {
		t.Errorf("asked %d times before it was due", n)
	}
	w.stop()
	w.start()
	if n := scan(); n != 0 {
		t.Errorf("asked %d times after a restart", n)
	}
	clock.Set(clock.Now().Add(7 * time.Hour))
	w.up.mu.Lock()
	w.up.tags["acme/web"] = append(w.up.tags["acme/web"], "1.1.0")
	w.up.mu.Unlock()
	if n := scan(); n != 4 {
		t.Errorf("asked %d times when it was due again", n)
	}
	w.eventually("the newer one is pinned", func() bool { return w.image("web") == "acme/web:1.1.0" })
	if c := w.life.rec.Scans(); c.Scans != 1 || c.Outdated != 1 || c.Asked != 4 || c.Dispatched != 1 {
		t.Errorf("counted %+v", c)
	}
}

// TestBulkScanThatIsOffCostsNothing: every minute it is asked whether a scan is
// due, and the repository is fetched for that every ten.
func TestBulkScanThatIsOffCostsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var clock movable
	w.at(&clock)
	fetches := func(minutes int) (n int) {
		t.Helper()
		w.gh.ResetCalls()
		for range minutes {
			if err := w.life.rec.Scan(context.Background()); err != nil {
				t.Fatal(err)
			}
			clock.Set(clock.Now().Add(time.Minute))
		}
		_, n, _ = w.calls()
		return n
	}
	once := fetches(1)
	if n := fetches(8); n != 0 {
		t.Errorf("fetched %d times in eight minutes", n)
	}
	if n := fetches(4); n == 0 || n > once {
		t.Errorf("fetched %d times after ten, and %d at first", n, once)
	}
	if _, err := w.repo.Push("ana", "main", "look for new versions", map[string]string{".github/belay.yml": config + "scan: { every: 6h }\n"}); err != nil {
		t.Fatal(err)
	}
	fetches(12)
	if c := w.life.rec.Scans(); c.Scans != 1 {
		t.Errorf("after it was turned on: %+v", c)
	}
}

func TestBulkScanIsSpread(t *testing.T) {
	last := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	seen := map[time.Time]bool{}
	for i := range 100 {
		at := reconcile.Due(fmt.Sprint("acme/repository", i), last, 10*time.Hour)
		if at.Before(last.Add(10*time.Hour)) || at.After(last.Add(11*time.Hour)) {
			t.Errorf("due at %s", at)
		}
		seen[at] = true
	}
	if len(seen) < 80 {
		t.Errorf("a hundred repositories are due at %d times", len(seen))
	}
	if at := reconcile.Due("acme/home-ops", time.Time{}, 10*time.Hour); !at.IsZero() {
		t.Errorf("the first is due at %s", at)
	}
}
