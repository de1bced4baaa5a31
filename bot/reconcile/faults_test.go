package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/lifecycle"
)

// faults are the ways in which GitHub fails. Both limits ask to come back at
// once; TestRateLimitIsWaitedFor has one that does not.
func faults() map[string]sandbox.Fault {
	past := strconv.FormatInt(time.Now().Add(-2*time.Second).Unix(), 10)
	return map[string]sandbox.Fault{
		"500":                     {Status: http.StatusInternalServerError, Body: `{"message":"Server Error"}`},
		"502 after it was done":   {Status: http.StatusBadGateway, Body: "<html>", After: true},
		"connection reset":        {Reset: true},
		"reset after it was done": {Reset: true, After: true},
		"secondary rate limit":    {Status: http.StatusForbidden, Header: http.Header{"Retry-After": {"0"}}, Body: `{"message":"You have exceeded a secondary rate limit."}`},
		"primary rate limit":      {Status: http.StatusForbidden, Header: http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {past}}, Body: `{"message":"API rate limit exceeded"}`},
	}
}

// stride is how many calls there are to one that fails, and so in how many
// rounds every call fails once.
const stride = 8

// fails says whether call n, counted from 1, fails in a round, from 0. The gaps
// between two faults differ, so that no part of a life meets one at the same
// call for ever.
func fails(n, round int) bool {
	block, place := (n-1)/stride, (n-1)%stride
	return place == (round+3*block)%stride
}

// TestEveryCallFails has every call of an upgrade fail in turn, in each way in
// which GitHub fails: the end is the same, only later. The upgrade is CAUTION
// with a command, a review and a backup, which calls for all that a SAFE one
// does; SAFE ones are seen with two of the faults. The calls are counted from the
// dispatch to the end, git's included; a round has every eighth fail, and there
// are rounds until none is left that has not failed.
func TestEveryCallFails(t *testing.T) {
	if testing.Short() {
		t.Skip("every call in turn, in six ways, takes most of a minute: left out by -short")
	}
	for name, fault := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("caution", func(t *testing.T) { everyCallFails(t, fault, (*world).takeCaution) })
			if name == "500" || name == "502 after it was done" {
				t.Run("safe", func(t *testing.T) { everyCallFails(t, fault, (*world).takeSafe) })
			}
		})
	}
}

func everyCallFails(t *testing.T, fault sandbox.Fault, take func(w *world, service string)) {
	t.Parallel()
	files := map[string]string{}
	config := strings.Builder{}
	config.WriteString("apply: { checks: [deploy] }\nverify: { safe: 10ms, caution: 10ms }\ndispatch: { limit: { upgrades: 50, window: 6h } }\ndatabases:\n")
	for round := range stride {
		files[fmt.Sprintf("stacks/f%d/main.tf", round)] = stack(fmt.Sprintf("acme/f%d:1.0.0", round))
		fmt.Fprintf(&config, "  f%d: { backup: { cronjob: dbaas/backup } }\n", round)
	}
	files[".github/belay.yml"] = config.String()
	w := newWorld(t, files)
	w.up.say("2.0.0", breaking)
	var failed []int
	fewest := 0
	for round := range stride {
		var n atomic.Int64
		w.gh.Inject(func(i int, _ *http.Request) *sandbox.Fault {
			n.Store(int64(i))
			if !fails(i, round) {
				return nil
			}
			failed = append(failed, i)
			return &fault
		})
		take(w, fmt.Sprintf("f%d", round))
		w.gh.Inject(nil)
		if calls := int(n.Load()); fewest == 0 || calls < fewest {
			fewest = calls
		}
	}
	// The shortest round had faults in it, so a life without any has fewer calls.
	for i := range fewest {
		if !slices.Contains(failed, i+1) {
			t.Errorf("call %d of %d never failed", i+1, fewest)
		}
	}
	if n, want := len(w.repo.Log("main")), stride+1; n != want {
		t.Errorf("%d commits on main, want %d", n, want)
	}
	t.Logf("%d calls failed; an upgrade made %d calls from dispatch to end, those that failed included", len(failed), fewest)
}

// takeSafe takes a service from dispatch to end.
func (w *world) takeSafe(service string) {
	w.t.Helper()
	w.dispatch("acme/"+service, "1.0.1")
	w.waits(service, lifecycle.Unverified, "")
	w.doneOnce(service, "acme/"+service+":1.0.1")
}

// takeCaution takes a service from dispatch to end, with a command and a review.
func (w *world) takeCaution(service string) {
	w.t.Helper()
	w.dispatch("acme/"+service, "2.0.0")
	w.waits(service, lifecycle.Open, "approving review")
	n := w.pull(service).Number
	id := w.repo.Comment(n, "ana", "/upgrade status")
	w.eventually("the command is answered", func() bool {
		return slices.ContainsFunc(w.pull(service).Comments, func(c sandbox.Comment) bool { return report.IsStatus(c.Body) && strings.Contains(c.Body, "| ana |") })
	})
	w.repo.Review(n, "ana", "approved")
	w.waits(service, lifecycle.Unverified, "")
	w.doneOnce(service, "acme/"+service+":2.0.0")
	for _, c := range w.pull(service).Comments {
		if c.ID == id && !slices.Equal(c.Reactions, []string{"eyes", "rocket"}) {
			w.t.Errorf("%s: the command's reactions are %v", service, c.Reactions)
		}
	}
}

// doneOnce checks that a service has one merged pull request with at most one
// status comment, and that the default branch runs what it went to.
func (w *world) doneOnce(service, image string) {
	w.t.Helper()
	p := w.pull(service)
	statuses := 0
	for _, c := range p.Comments {
		if report.IsStatus(c.Body) {
			statuses++
		}
	}
	if n := w.pulls(service); n != 1 || p.State != "merged" || statuses > 1 || w.image(service) != image {
		w.t.Errorf("%s: %d pull requests, the newest %s with %d status comments; main runs %s", service, n, p.State, statuses, w.image(service))
	}
}

// TestRateLimitIsWaitedFor checks that nothing is asked of GitHub before the
// moment that it names, and that all goes on then by itself.
func TestRateLimitIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var limited, early atomic.Int64
	w.gh.Inject(func(_ int, r *http.Request) *sandbox.Fault {
		now := time.Now()
		if strings.HasSuffix(r.URL.Path, "/merge") && limited.CompareAndSwap(0, now.UnixNano()) {
			return &sandbox.Fault{Status: http.StatusForbidden, Header: http.Header{"Retry-After": {"1"}}, Body: `{"message":"You have exceeded a secondary rate limit."}`}
		}
		if at := limited.Load(); at != 0 && strings.Contains(r.URL.Path, "/api/") && now.Sub(time.Unix(0, at)) < time.Second {
			early.Add(1)
		}
		return nil
	})
	w.dispatch("acme/web", "1.0.1")
	w.waits("web", lifecycle.Unverified, "")
	if limited.Load() == 0 || early.Load() != 0 {
		t.Errorf("limited at %d; %d calls within the second that GitHub asked for", limited.Load(), early.Load())
	}
	w.doneOnce("web", "acme/web:1.0.1")
}

// TestWebhooksTwiceOutOfOrderOrNever checks that webhooks only say "look again".
func TestWebhooksTwiceOutOfOrderOrNever(t *testing.T) {
	t.Run("twice and out of order", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		w.up.say("2.0.0", breaking)
		w.dispatch("acme/web", "2.0.0")
		w.waits("web", lifecycle.Open, "approving review")
		w.repo.Comment(w.pull("web").Number, "ana", "/upgrade approve")
		w.waits("web", lifecycle.Unverified, "")
		order := rand.Perm(w.gh.Deliveries())
		w.gh.RedeliverAll(append(order, rand.Perm(w.gh.Deliveries())...))
		w.waits("web", lifecycle.Unverified, "")
		if n := w.pulls("web"); n != 1 || strings.Count(string(w.upgrade("web").Data), `"command":"approve"`) != 1 {
			t.Errorf("%d pull requests; %s", n, w.upgrade("web").Data)
		}
	})
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		w.up.say("2.0.0", breaking)
		w.dispatch("acme/web", "2.0.0")
		u := w.waits("web", lifecycle.Open, "approving review")
		w.gh.SetWebhook("")
		w.repo.Review(w.pull("web").Number, "ana", "approved")
		w.repo.Dispatch("diun", map[string]string{"image": "acme/blog", "tag": "3.0.1"})
		if err := w.gh.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.upgrade("web"); got.Version != u.Version {
			t.Fatalf("belay knows of the review without a webhook: %s", got.Data)
		}
		w.stop()
		w.start() // the delivery log is read
		w.waits("web", lifecycle.Unverified, "")
		w.waits("blog", lifecycle.Unverified, "")
	})
}
