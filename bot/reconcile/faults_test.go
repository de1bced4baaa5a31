package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/lifecycle"
)

// TestEveryCallFails has one call after the other fail, in each way in which
// GitHub fails: the end is the same, only later.
func TestEveryCallFails(t *testing.T) {
	if testing.Short() {
		t.Skip("a journey for each call takes a minute: left out by -short")
	}
	for name, fault := range map[string]sandbox.Fault{
		"500":                       {Status: http.StatusInternalServerError, Body: `{"message":"Server Error"}`},
		"502 after it was done":     {Status: http.StatusBadGateway, Body: "<html>", After: true},
		"connection reset":          {Reset: true},
		"reset after it was done":   {Reset: true, After: true},
		"secondary rate limit":      {Status: http.StatusForbidden, Header: http.Header{"Retry-After": {"1"}}, Body: `{"message":"You have exceeded a secondary rate limit."}`},
		"primary rate limit is out": {Status: http.StatusForbidden, Header: http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {strconv.FormatInt(time.Now().Unix(), 10)}}, Body: `{"message":"API rate limit exceeded"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			const calls = 30
			for i := range calls {
				files[fmt.Sprintf("stacks/f%02d/main.tf", i)] = stack(fmt.Sprintf("acme/f%02d:1.0.0", i))
			}
			w := newWorld(t, files)
			for i := range calls {
				service := fmt.Sprintf("f%02d", i)
				w.gh.Inject(func(n int, _ *http.Request) *sandbox.Fault {
					if n == i+1 {
						return &fault
					}
					return nil
				})
				w.dispatch("acme/"+service, "1.0.1")
				w.waits(service, lifecycle.Unverified, "")
				if n := w.pulls(service); n != 1 || w.image(service) != "acme/"+service+":1.0.1" {
					t.Errorf("call %d: %d pull requests, main runs %s", i+1, n, w.image(service))
				}
			}
			w.gh.Inject(nil)
			if n := len(w.repo.Log("main")); n != calls+1 {
				t.Errorf("%d commits on main, want %d", n, calls+1)
			}
		})
	}
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
