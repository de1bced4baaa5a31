package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

func (w *world) freeze(repository, who, reason string) {
	w.t.Helper()
	if err := w.life.rec.Freeze(context.Background(), repository, who, reason); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) thaw(repository string) {
	w.t.Helper()
	if was, err := w.life.rec.Thaw(context.Background(), repository, "ana"); err != nil || !was {
		w.t.Fatalf("thaw: %v, %v", was, err)
	}
}

func TestFreeze(t *testing.T) {
	t.Run("nothing is opened until it ends, and belay's own restart does not end it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		w.freeze("Acme/Home-Ops", "ana", "the database moves tonight")
		w.dispatch("acme/web", "1.0.1")
		w.waits("web", lifecycle.Queued, "by ana, the database moves tonight")
		w.stop()
		w.start()
		w.waits("web", lifecycle.Queued, "frozen")
		if n := w.pulls("web"); n != 0 {
			t.Fatalf("%d pull requests were opened", n)
		}
		w.thaw("acme/home-ops")
		w.waits("web", lifecycle.Unverified, "")
	})
	t.Run("what is open is not merged, and shows who froze", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		w.repo.AutoChecks(map[string]string{"deploy": "success"})
		w.repo.RequireChecks("ci")
		w.dispatch("acme/web", "1.0.1")
		w.waits("web", lifecycle.Open, "waits for the checks")
		w.freeze("", "bo", "")
		w.waits("web", lifecycle.Open, "frozen")
		w.repo.SetStatus(w.pull("web").Head, "ci", "success")
		w.waits("web", lifecycle.Open, "in this repository: by bo")
		if w.pull("web").State != "open" {
			t.Fatal("it was merged")
		}
		w.thaw("")
		w.waits("web", lifecycle.Unverified, "")
	})
	t.Run("a revert goes its way", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		o := w.observed()
		o.becomes("acme/web:1.0.1", watch.Sample{State: watch.Progressing, Detail: "0 of 1 pods are Ready"})
		w.dispatch("acme/web", "1.0.1")
		w.waits("web", lifecycle.Watching, "")
		w.freeze("acme/home-ops", "ana", "incident")
		o.becomes("acme/web:1.0.1", watch.Sample{State: watch.Fatal, Detail: "CrashLoopBackOff"})
		w.waits("web", lifecycle.Reverted, "")
		if got := w.image("web"); got != "acme/web:1.0.0" {
			t.Errorf("pinned at %s", got)
		}
	})
	t.Run("a repository that is not served is refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		err := w.life.rec.Freeze(context.Background(), "acme/home-opps", "ana", "")
		var unknown *reconcile.UnknownRepositoryError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "there are acme/home-ops") {
			t.Errorf("%v", err)
		}
	})
}
