package reconcile_test

import (
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/rules/lifecycle"
)

// TestAskedElsewhere gives commands that do not stand in a comment.
func TestAskedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.up.say("2.0.0", breaking)
	w.repo.SetPermission("bo", "read")
	w.dispatch("acme/web", "2.0.0")
	u := w.waits("web", lifecycle.Open, "approving review")
	ask := func(login, what, head string) {
		t.Helper()
		if err := w.life.rec.Ask(t.Context(), u.ID, reconcile.Asked{Login: login, Command: what, Head: head, From: "page"}); err != nil {
			t.Fatal(err)
		}
	}
	head := w.pull("web").Head
	ask("bo", "/upgrade approve", head)
	w.waits("web", lifecycle.Open, "for people with write permission")
	ask("ana", "/upgrade approve", strings.Repeat("0", 40))
	w.waits("web", lifecycle.Open, "not approved: the pull request has changed")
	ask("ana", "/upgrade hold a feast", "")
	w.waits("web", lifecycle.Open, `"waits":"held"`)
	ask("ana", "/upgrade resume", "")
	w.waits("web", lifecycle.Open, "approving review")
	ask("ana", "/upgrade approve", head)
	w.waits("web", lifecycle.Unverified, "")
	var said []string
	events, err := w.life.store.Events(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.What == "command" {
			said = append(said, e.Who+" "+e.Why+" "+e.Data["from"])
		}
	}
	if got := strings.Join(said, ", "); got != "ana hold a feast page, ana resume page, ana approve page" {
		t.Errorf("the audit trail has %s", got)
	}
}
