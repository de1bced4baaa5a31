package store_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/belaybot/belay/bot/store"
)

func TestADispatchIsTakenAgainOnlyWhenNothingCameOfIt(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		planned := 0
		take := func(again bool, run string) store.Taken {
			t.Helper()
			return must[store.Taken](t)(s.TakeDispatch(ctx, store.Dispatch{Image: "docker.io/acme/web", Tag: "1.0.1", Source: "bulk", Run: run}, again,
				func(context.Context, *sql.Tx, string) error { planned++; return nil }))
		}
		first := take(false, "")
		if !first.New || planned != 1 {
			t.Fatalf("a new one: %+v, planned %d times", first, planned)
		}
		if got := take(true, ""); got.New || got.Again || planned != 1 {
			t.Errorf("one that is not planned yet: %+v, planned %d times", got, planned)
		}
		finish := func(outcomes ...store.Outcome) {
			t.Helper()
			if err := s.SetOutcomes(ctx, first.ID, "acme/home-ops", outcomes); err != nil {
				t.Fatal(err)
			}
			if err := s.FinishDispatch(ctx, first.ID); err != nil {
				t.Fatal(err)
			}
		}
		finish(store.Outcome{Reason: "image is not used in this repository"})
		if got := take(false, "r1"); !got.Again || planned != 2 {
			t.Errorf("one that came to nothing: %+v, planned %d times", got, planned)
		}
		u, _, err := s.CreateUpgrade(ctx, web("u1"))
		if err != nil {
			t.Fatal(err)
		}
		finish(store.Outcome{Service: "web", Upgrade: u.ID})
		got := take(true, "r2")
		if got.Again || len(got.Moved) != 1 || planned != 2 {
			t.Errorf("one whose upgrade waits: %+v, planned %d times", got, planned)
		}
		if u = must[store.Upgrade](t)(s.Upgrade(ctx, u.ID)); u.Run != "r2" {
			t.Errorf("its run is %q", u.Run)
		}
		u.State, u.Final = "verified", true
		must[store.Upgrade](t)(s.SaveUpgrade(ctx, u))
		if got := take(false, ""); got.Again || planned != 2 {
			t.Errorf("one whose upgrade is over: %+v, planned %d times", got, planned)
		}
		if got := take(true, ""); !got.Again || planned != 3 {
			t.Errorf("and that is behind again: %+v, planned %d times", got, planned)
		}
	})
}
