package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/store"
)

// web is an upgrade to begin with.
func web(id string) store.Upgrade {
	return store.Upgrade{ID: id, Repository: "acme/home-ops", Service: "web", Lane: "acme/web", State: "queued", From: "1.0.0", To: "1.0.1", Data: []byte(`{"risk":"safe"}`)}
}

func TestAServiceHasOneUnmergedUpgradePerLane(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		var mu sync.Mutex
		var wg sync.WaitGroup
		created, seen := 0, map[string]bool{}
		for i := range 20 {
			wg.Go(func() {
				u, isNew, err := s.CreateUpgrade(ctx, web(fmt.Sprint("u", i)))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				seen[u.ID] = true
				if isNew {
					created++
				}
			})
		}
		wg.Wait()
		if created != 1 || len(seen) != 1 {
			t.Fatalf("%d were created, %v came back; want one", created, seen)
		}
		u := must[[]store.Upgrade](t)(s.OpenUpgrades(ctx, "acme/home-ops"))[0]
		other := web("other")
		other.Lane = "acme/worker"
		if _, isNew, err := s.CreateUpgrade(ctx, other); err != nil || !isNew {
			t.Errorf("another lane: %v, %v", isNew, err)
		}
		u.State = "watching" // merged: the next may begin
		u = must[store.Upgrade](t)(s.SaveUpgrade(ctx, u))
		next, isNew, err := s.CreateUpgrade(ctx, web("next"))
		if err != nil || !isNew {
			t.Fatalf("the next: %v, %v", isNew, err)
		}
		u.State, u.Final = "verified", true
		must[store.Upgrade](t)(s.SaveUpgrade(ctx, u))
		if got, isNew, err := s.CreateUpgrade(ctx, web(u.ID)); err != nil || isNew || got.ID != next.ID {
			t.Errorf("an id again while another is open: %s, %v, %v", got.ID, isNew, err)
		}
		next.State, next.Final = "closed", true
		must[store.Upgrade](t)(s.SaveUpgrade(ctx, next))
		if got, isNew, err := s.CreateUpgrade(ctx, web(u.ID)); err != nil || isNew || got.ID != u.ID || !got.Final {
			t.Errorf("an id again: %+v, %v, %v", got, isNew, err)
		}
	})
}

func TestAnUpgradeIsReadAsItWasWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		u := web("u1")
		u.Pull, u.Wake, u.Started = 7, noon.Add(time.Hour), noon.Add(123*time.Microsecond)
		u, _, err := s.CreateUpgrade(ctx, u)
		ok(t, err)
		same(t, "created", u, must[store.Upgrade](t)(s.Upgrade(ctx, "u1")))
		p.clock.pass(time.Minute)
		u.State, u.To, u.Data = "open", "1.0.2", []byte(`{"notes":"ünïcode 🙂 'quoted' ? $1"}`)
		u = must[store.Upgrade](t)(s.SaveUpgrade(ctx, u, store.Event{At: noon, Who: "belay", What: "opened", Why: "why? $1", Data: map[string]string{"pull": "7"}}, store.Event{At: noon, Who: "ana", What: "held"}))
		if u.Version != 2 || !u.Updated.Equal(noon.Add(time.Minute)) {
			t.Errorf("version %d, updated %s", u.Version, u.Updated)
		}
		same(t, "saved", u, must[store.Upgrade](t)(s.Upgrade(ctx, "u1")))
		same(t, "by pull request", u, must[store.Upgrade](t)(s.UpgradeByPull(ctx, "acme/home-ops", 7)))
		for _, n := range []int{0, 8} {
			if _, err := s.UpgradeByPull(ctx, "acme/home-ops", n); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("by pull request %d: %v", n, err)
			}
		}
		if _, err := s.Upgrade(ctx, "u0"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		same(t, "its trail", []store.Event{{Upgrade: "u1", At: noon, Who: "belay", What: "opened", Why: "why? $1", Data: map[string]string{"pull": "7"}}, {Upgrade: "u1", At: noon, Who: "ana", What: "held"}},
			withoutIDs(must[[]store.Event](t)(s.Events(ctx, "u1"))))
		ok(t, s.Close())
		again := p.open(t)
		same(t, "after opening again", u, must[store.Upgrade](t)(again.Upgrade(ctx, "u1")))
	})
}

func withoutIDs(list []store.Event) []store.Event {
	for i := range list {
		list[i].ID = 0
	}
	return list
}

func TestOfTwoWhoWriteOneIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		u, _, err := s.CreateUpgrade(ctx, web("u1"))
		ok(t, err)
		must[store.Upgrade](t)(s.SaveUpgrade(ctx, u, store.Event{What: "first"}))
		_, err = s.SaveUpgrade(ctx, u, store.Event{What: "second"})
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.ID != "u1" {
			t.Errorf("got %v", err)
		}
		same(t, "the trail tells only what was written", 1, len(must[[]store.Event](t)(s.Events(ctx, "u1"))))
	})
}

// TestAReaderOfTheTrailMissesNothing follows the trail from an id on while
// several write; two of them through another opening, as another replica would.
func TestAReaderOfTheTrailMissesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		writers := []*store.Store{s, s, s, s}
		if p.opts.Database != "" {
			other := p.open(t)
			writers[0], writers[1] = other, other
		}
		const each = 25
		var wg sync.WaitGroup
		for i, w := range writers {
			u := web(fmt.Sprint("u", i))
			u.Lane = u.ID
			u, _, err := s.CreateUpgrade(ctx, u)
			ok(t, err)
			wg.Go(func() {
				for n := range each {
					var err error
					if u, err = w.SaveUpgrade(ctx, u, store.Event{What: fmt.Sprint(n, "a")}, store.Event{What: fmt.Sprint(n, "b")}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		ended := make(chan struct{})
		go func() { wg.Wait(); close(ended) }()
		var got []store.Event
		last := int64(0)
		for over := false; !over; {
			select {
			case <-ended:
				over = true // and look once more
			default:
			}
			for {
				list := must[[]store.Event](t)(s.AllEvents(ctx, last, 7))
				if len(list) == 0 {
					break
				}
				got = append(got, list...)
				last = list[len(list)-1].ID
			}
		}
		want := len(writers) * each * 2
		if len(got) != want {
			t.Errorf("%d events were seen, %d written", len(got), want)
		}
		if !slices.IsSortedFunc(got, func(a, b store.Event) int { return int(a.ID - b.ID) }) {
			t.Error("the ids do not grow")
		}
	})
}

func TestUpgradesAreFiltered(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		for i, u := range []store.Upgrade{
			{ID: "u1", Repository: "acme/one", Service: "web", State: "open"},
			{ID: "u2", Repository: "acme/one", Service: "data", State: "verified", Final: true},
			{ID: "u3", Repository: "acme/two", Service: "web", State: "open", Started: noon},
			{ID: "u4", Repository: "acme/two", Service: "data", State: "queued", Started: noon.Add(time.Hour)},
		} {
			u.Lane = fmt.Sprint(i)
			if _, isNew, err := s.CreateUpgrade(ctx, u); err != nil || !isNew {
				t.Fatal(isNew, err)
			}
			p.clock.pass(time.Minute)
		}
		for _, row := range []struct {
			name   string
			filter store.Filter
			want   []string
		}{
			{"all, the one changed last first", store.Filter{}, []string{"u4", "u3", "u2", "u1"}},
			{"of a repository", store.Filter{Repository: "acme/one"}, []string{"u2", "u1"}},
			{"of a service, wherever", store.Filter{Service: "web"}, []string{"u3", "u1"}},
			{"in a state", store.Filter{State: "open"}, []string{"u3", "u1"}},
			{"of a service of a repository in a state", store.Filter{Repository: "acme/two", Service: "data", State: "queued"}, []string{"u4"}},
			{"changed before", store.Filter{Before: noon.Add(2 * time.Minute)}, []string{"u2", "u1"}},
			{"a few", store.Filter{Limit: 1}, []string{"u4"}},
			{"of a service that does not exist", store.Filter{Service: "' OR 1=1 --"}, nil},
		} {
			same(t, row.name, row.want, ids(must[[]store.Upgrade](t)(s.Upgrades(ctx, row.filter))))
		}
		same(t, "open ones, oldest first", []string{"u1", "u3", "u4"}, ids(must[[]store.Upgrade](t)(s.OpenUpgrades(ctx, ""))))
		same(t, "open ones of a repository", []string{"u3", "u4"}, ids(must[[]store.Upgrade](t)(s.OpenUpgrades(ctx, "acme/two"))))
		same(t, "open ones of a service", []string{"u4"}, ids(must[[]store.Upgrade](t)(s.OpenUpgradesOf(ctx, "acme/two", "data"))))
		same(t, "none is merged", 0, len(must[[]store.Upgrade](t)(s.UnderWay(ctx, "acme/two"))))
		if _, isNew, err := s.CreateUpgrade(ctx, store.Upgrade{ID: "u5", Repository: "acme/two", Service: "wiki", Lane: "5", State: "watching"}); err != nil || !isNew {
			t.Fatal(isNew, err)
		}
		same(t, "one is merged", []string{"u5"}, ids(must[[]store.Upgrade](t)(s.UnderWay(ctx, "acme/two"))))
		for _, row := range []struct {
			name       string
			repository string
			since      time.Time
			n          int
			first      time.Time
		}{
			{"started since noon", "acme/two", noon, 2, noon},
			{"started since after noon", "acme/two", noon.Add(time.Second), 1, noon.Add(time.Hour)},
			{"started in another repository", "acme/one", noon, 0, time.Time{}},
			{"what was not started does not count from the beginning of time either", "acme/one", time.Time{}, 0, time.Time{}},
		} {
			n, first, err := s.StartedSince(ctx, row.repository, row.since)
			if err != nil || n != row.n || !first.Equal(row.first) {
				t.Errorf("%s: %d, first %s, %v; want %d, %s", row.name, n, first, err, row.n, row.first)
			}
		}
	})
}

func ids(list []store.Upgrade) []string {
	var out []string
	for _, u := range list {
		out = append(out, u.ID)
	}
	return out
}

func TestAStepAndTheNextAreWrittenTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		first := web("u1")
		first.Ladder, first.Place = "u1", 1
		first, _, err := s.CreateUpgrade(ctx, first)
		if err != nil {
			t.Fatal(err)
		}
		next := web("u2")
		next.Ladder, next.Place, next.From, next.To = "u1", 2, "1.0.1", "1.0.2"
		stale := first
		stale.Version--
		if _, _, _, err := s.SaveAndCreate(ctx, stale, next, nil); !errors.As(err, new(*store.ConflictError)) {
			t.Errorf("from a stale record: %v", err)
		}
		if _, err := s.Upgrade(ctx, "u2"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the next step was made all the same: %v", err)
		}
		first.State, first.Final = "verified", true
		full := errors.New("the disk is full")
		if _, _, _, err := s.SaveAndCreate(ctx, first, next, func(context.Context, *sql.Tx, string) error { return full }); !errors.Is(err, full) {
			t.Errorf("a job that cannot be stored: %v", err)
		}
		if got := must[store.Upgrade](t)(s.Upgrade(ctx, "u1")); got.Final {
			t.Error("the step is over, and the next one has no job")
		}
		if _, _, err := s.CreateUpgradeAnd(ctx, next, func(context.Context, *sql.Tx, string) error { return full }); !errors.Is(err, full) {
			t.Errorf("a job that cannot be stored: %v", err)
		}
		if _, err := s.Upgrade(ctx, "u2"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the next step was made without a job: %v", err)
		}
		first, made, created, err := s.SaveAndCreate(ctx, first, next, nil, store.Event{At: time.Now(), What: "verified"})
		if err != nil || !created || made.ID != "u2" {
			t.Fatalf("%+v, %v, %v", made, created, err)
		}
		if _, made, created, err = s.SaveAndCreate(ctx, first, next, nil); err != nil || created || made.ID != "u2" {
			t.Errorf("once more: %+v, %v, %v", made, created, err)
		}
		list := must[[]store.Upgrade](t)(s.Ladder(ctx, "u1"))
		if len(list) != 2 || list[0].ID != "u1" || list[1].Place != 2 || list[1].Ladder != "u1" {
			t.Errorf("the ladder is %+v", list)
		}
		if list := must[[]store.Upgrade](t)(s.Ladder(ctx, "")); len(list) != 0 {
			t.Errorf("what is no step is a ladder: %+v", list)
		}
	})
}

func TestWhatWasWrittenIsListedInItsOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		var last store.Upgrade
		for _, id := range []string{"u1", "u2", "u3"} {
			u := web(id)
			u.Lane = id
			last, _, _ = s.CreateUpgrade(ctx, u)
		}
		first := must[store.Upgrade](t)(s.Upgrade(ctx, "u1"))
		must[store.Upgrade](t)(s.SaveUpgrade(ctx, first))
		list := must[[]store.Changed](t)(s.ChangedSince(ctx, time.Time{}, 10))
		if len(list) != 3 || !slices.ContainsFunc(list, func(c store.Changed) bool { return c.ID == "u1" && c.Version == 2 }) || list[0].Updated.After(list[2].Updated) {
			t.Errorf("%+v", list)
		}
		if list := must[[]store.Changed](t)(s.ChangedSince(ctx, last.Updated.Add(time.Hour), 10)); len(list) != 0 {
			t.Errorf("in an hour: %+v", list)
		}
		if list := must[[]store.Changed](t)(s.ChangedSince(ctx, time.Time{}, 2)); len(list) != 2 {
			t.Errorf("two at most: %+v", list)
		}
	})
}
