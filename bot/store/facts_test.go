package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/store"
)

func TestBlocks(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		a := store.Block{Repository: "acme/home-ops", Service: "web", Image: "acme/web", Target: "1.0.1", Why: "did not start", At: noon}
		b := store.Block{Repository: "acme/home-ops", Service: "web", Image: "acme/web", Target: "major", Why: "ana: not now", At: noon.Add(time.Hour)}
		for _, x := range []store.Block{a, b, {Repository: "acme/home-ops", Service: "data", Target: "1.0.1", At: noon}, {Repository: "bo/home-ops", Service: "web", Target: "1.0.1", At: noon}} {
			ok(t, s.AddBlock(ctx, x))
		}
		same(t, "of a service, oldest first", []store.Block{a, b}, must[[]store.Block](t)(s.Blocks(ctx, "acme/home-ops", "web")))
		a.Why, a.At = "did not start again", noon.Add(2*time.Hour)
		ok(t, s.AddBlock(ctx, a))
		same(t, "with the newer reason", []store.Block{b, a}, must[[]store.Block](t)(s.Blocks(ctx, "acme/home-ops", "web")))
		ok(t, s.RemoveBlock(ctx, "acme/home-ops", "web", "1.0.1"))
		same(t, "after one was removed", []store.Block{b}, must[[]store.Block](t)(s.Blocks(ctx, "acme/home-ops", "web")))
		same(t, "of another service", 1, len(must[[]store.Block](t)(s.Blocks(ctx, "acme/home-ops", "data"))))
	})
}

func TestFactsAndWhatIsRemembered(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		if _, err := s.Get(ctx, "cursor"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a fact that is not there: %v", err)
		}
		ok(t, s.Put(ctx, "cursor", "one"))
		ok(t, s.Put(ctx, "cursor", "two"))
		same(t, "a fact", "two", must[string](t)(s.Get(ctx, "cursor")))

		if !must[bool](t)(s.Remember(ctx, "delivery 1", noon.Add(time.Hour))) {
			t.Error("a delivery was known before")
		}
		if must[bool](t)(s.Remember(ctx, "delivery 1", noon.Add(time.Hour))) {
			t.Error("a delivery was new twice")
		}
		must[bool](t)(s.Remember(ctx, "delivery 2", noon.Add(3*time.Hour)))
		ok(t, s.Prune(ctx, noon.Add(2*time.Hour)))
		same(t, "remembered", []bool{false, true}, []bool{must[bool](t)(s.Remembers(ctx, "delivery 1")), must[bool](t)(s.Remembers(ctx, "delivery 2"))})
	})
}

func TestWhatIsKept(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		now := p.clock.Now()
		if _, err := s.Kept(ctx, "advice/1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a value that is not there: %v", err)
		}
		ok(t, s.Put(ctx, "advice/1", "a fact of the same name"))
		ok(t, s.Keep(ctx, "advice/1", "older", now.Add(time.Hour)))
		ok(t, s.Keep(ctx, "advice/1", `{"a": "newer"}`, now.Add(2*time.Hour)))
		ok(t, s.Keep(ctx, "advice/2", "", now.Add(4*time.Hour)))
		ok(t, s.Keep(ctx, "advice/3", "over", now.Add(-time.Second)))
		same(t, "the newer value", `{"a": "newer"}`, must[string](t)(s.Kept(ctx, "advice/1")))
		if _, err := s.Kept(ctx, "advice/3"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a value whose time is over: %v", err)
		}
		ok(t, s.Prune(ctx, now.Add(3*time.Hour)))
		if _, err := s.Kept(ctx, "advice/1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a value that was pruned: %v", err)
		}
		same(t, "one that is kept longer", "", must[string](t)(s.Kept(ctx, "advice/2")))
		same(t, "the fact", "a fact of the same name", must[string](t)(s.Get(ctx, "advice/1")))
	})
}

func TestClaims(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		claim := func(owner string) bool {
			return must[bool](t)(s.Claim(ctx, "turn", owner, p.clock.Now().Add(time.Hour)))
		}
		holder := func() string { return must[string](t)(s.Holder(ctx, "turn")) }
		same(t, "nobody's", "", holder())
		same(t, "the first has it, again and again; the second does not", []bool{true, true, false}, []bool{claim("u1"), claim("u1"), claim("u2")})
		same(t, "holder", "u1", holder())
		ok(t, s.Release(ctx, "turn", "u2"))
		same(t, "one who does not have it cannot give it back", "u1", holder())
		p.clock.pass(50 * time.Minute)
		same(t, "claimed again it lasts longer", true, claim("u1"))
		p.clock.pass(50 * time.Minute)
		same(t, "still the first's", "u1", holder())
		p.clock.pass(11 * time.Minute)
		same(t, "when it ends it is nobody's", "", holder())
		same(t, "and another's to take", []bool{true, false}, []bool{claim("u2"), claim("u1")})
		ok(t, s.Release(ctx, "turn", "u2"))
		same(t, "given back", "", holder())
	})
}

func TestOfManyWhoClaimOneGetsIt(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		var got atomic.Int64
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				mine, err := s.Claim(ctx, "turn", fmt.Sprint("u", i), noon.Add(time.Hour))
				if err != nil {
					t.Error(err)
				}
				if mine {
					got.Add(1)
				}
			})
		}
		wg.Wait()
		same(t, "who got it", int64(1), got.Load())
	})
}

func TestARepositoryGetsAnotherName(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		u, _, err := s.CreateUpgrade(ctx, web("u1"))
		ok(t, err)
		id, _, err := s.AddDispatch(ctx, store.Dispatch{Image: "a", Tag: "1", Repository: "acme/home-ops"}, nil)
		ok(t, err)
		ok(t, s.SetOutcomes(ctx, id, "acme/home-ops", []store.Outcome{{Reason: "older"}}))
		// Somebody was quicker, and has told belay about the new name already.
		ok(t, s.SetOutcomes(ctx, id, "acme/ops", []store.Outcome{{Reason: "newer"}}))
		block := store.Block{Repository: "acme/home-ops", Service: "web", Target: "1.0.1", Why: "older", At: noon}
		ok(t, s.AddBlock(ctx, block))
		block.Repository, block.Why = "acme/ops", "newer"
		ok(t, s.AddBlock(ctx, block))
		for range 2 { // the webhook comes twice
			ok(t, s.Rename(ctx, "acme/home-ops", "acme/ops"))
		}
		same(t, "its upgrades", []string{"u1"}, ids(must[[]store.Upgrade](t)(s.OpenUpgrades(ctx, "acme/ops"))))
		same(t, "under the old name", 0, len(must[[]store.Upgrade](t)(s.OpenUpgrades(ctx, "acme/home-ops"))))
		same(t, "its blocks", []store.Block{block}, must[[]store.Block](t)(s.Blocks(ctx, "acme/ops", "web")))
		d := must[store.Dispatch](t)(s.Dispatch(ctx, id))
		same(t, "its dispatches", "acme/ops", d.Repository)
		same(t, "its outcomes", []store.Outcome{{Repository: "acme/ops", Reason: "newer"}}, d.Outcomes)
		if _, err := s.SaveUpgrade(ctx, u); !errors.As(err, new(*store.ConflictError)) {
			t.Errorf("who read it before writes the old name back: %v", err)
		}
	})
}

func TestCallsAreCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		same(t, "before", int64(0), must[int64](t)(s.Asked(ctx, "u1")))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := s.Transact(ctx, func(tx *sql.Tx) error { return s.AskTx(ctx, tx, "u1") }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		same(t, "after", int64(20), must[int64](t)(s.Asked(ctx, "u1")))
		ok(t, s.Transact(ctx, func(tx *sql.Tx) error {
			same(t, "in a transaction", int64(20), must[int64](t)(s.AskedTx(ctx, tx, "u1")))
			return nil
		}))
	})
}
