package store_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/store"
)

// TestStuckDispatches has dispatches that could not be planned come again.
func TestStuckDispatches(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		same(t, "nothing waits", time.Time{}, must[time.Time](t)(s.UnplannedSince(ctx)))
		queued := 0
		queue := func(context.Context, *sql.Tx, string) error { queued++; return nil }
		first := p.clock.Now().Truncate(time.Microsecond).UTC()
		_, _, err := s.AddDispatch(ctx, store.Dispatch{ID: "d1", Image: "docker.io/acme/web", Tag: "1.0.1"}, nil)
		ok(t, err)
		p.clock.pass(time.Hour)
		_, _, err = s.AddDispatch(ctx, store.Dispatch{ID: "d2", Image: "docker.io/acme/web", Tag: "1.0.2"}, nil)
		ok(t, err)
		waits := []store.Outcome{{Repository: "acme/home-ops", Service: "data", Upgrade: "u1", At: first}, {Repository: "acme/home-ops", Service: "blog", Reason: "the registry is down", At: first, Stuck: store.Waits}}
		ok(t, s.SetOutcomes(ctx, "d1", "acme/home-ops", waits))
		same(t, "outcomes", waits, must[store.Dispatch](t)(s.Dispatch(ctx, "d1")).Outcomes)
		same(t, "the one that has waited longest", first, must[time.Time](t)(s.UnplannedSince(ctx)))
		same(t, "what waits is not begun anew", false, must[bool](t)(s.RepeatStuck(ctx, "d1", queue)))

		_, _, err = s.CreateUpgrade(ctx, store.Upgrade{ID: "u1", Repository: "acme/home-ops", Service: "data", State: "queued", Data: []byte("{}")})
		ok(t, err)
		waits[1].Stuck = store.GivenUp
		ok(t, s.SetOutcomes(ctx, "d1", "acme/home-ops", waits))
		ok(t, s.FinishDispatch(ctx, "d1"))
		ok(t, s.FinishDispatch(ctx, "d2"))
		same(t, "all is planned", time.Time{}, must[time.Time](t)(s.UnplannedSince(ctx)))
		p.clock.pass(time.Hour)
		same(t, "what was given up is begun anew", true, must[bool](t)(s.RepeatStuck(ctx, "d1", queue)))
		same(t, "once", false, must[bool](t)(s.RepeatStuck(ctx, "d1", queue)))
		same(t, "what was planned is not", false, must[bool](t)(s.RepeatStuck(ctx, "d2", queue)))
		same(t, "it waits since it came again", p.clock.Now().Truncate(time.Microsecond).UTC(), must[time.Time](t)(s.UnplannedSince(ctx)))
		ok(t, s.FinishDispatch(ctx, "d1"))
		same(t, "a bulk run begins it anew, though an upgrade of it is open", true, must[store.Taken](t)(s.TakeDispatch(ctx, store.Dispatch{ID: "d1", Image: "docker.io/acme/web", Tag: "1.0.1"}, false, queue)).Again)
		same(t, "times queued", 2, queued)
	})
}
