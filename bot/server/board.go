package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/server/page"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// row is what lists show of an upgrade: some hundred bytes of a record of some
// thousand.
type row struct {
	page.Item
	api     Upgrade
	version int64
	text    string // what a search looks through, lower case
}

// board keeps the rows of all open upgrades and of those that ended last, so
// that a list costs one small query: what has changed since. The state is the
// truth; the board is thrown away and read anew from time to time, and so
// forgets what was deleted or renamed.
type board struct {
	state *store.Store
	now   func() time.Time

	mu    sync.Mutex
	rows  map[string]row
	list  []row // in the order in which they are shown; replaced, never changed
	high  time.Time
	whole time.Time // when all was read
	asked time.Time // when it was asked what has changed
}

const (
	maxRows    = 5000                   // of what is over
	wholeEvery = 5 * time.Minute        // all is read anew
	fresh      = 100 * time.Millisecond // what many ask for at once is read once

	overlap       = 2 * time.Second
	overlapShared = 15 * time.Second
)

// look brings the board up to date and returns its rows, with the moment of the
// newest change. The rows are shared: nobody may change them.
func (b *board) look(ctx context.Context) ([]row, time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.rows == nil || now.Sub(b.whole) > wholeEvery {
		err := b.readAll(ctx, now)
		return b.list, b.high, err
	}
	if d := now.Sub(b.asked); d >= 0 && d < fresh {
		return b.list, b.high, nil
	}
	b.asked = now
	// Writes are seen a moment after their time, and replicas' clocks differ a little.
	from := b.high.Add(-overlap)
	if b.state.Pool() != nil {
		from = b.high.Add(-overlapShared)
	}
	changed := false
	for {
		some, err := b.state.ChangedSince(ctx, from, 1000)
		if err != nil {
			return b.list, b.high, err
		}
		for _, c := range some {
			if r, ok := b.rows[c.ID]; ok && r.version >= c.Version {
				continue
			}
			u, err := b.state.Upgrade(ctx, c.ID)
			if errors.Is(err, store.ErrNotFound) { // deleted meanwhile
				continue
			}
			if err != nil {
				return b.list, b.high, err
			}
			changed = b.take(u) || changed
		}
		if len(some) < 1000 || !some[len(some)-1].Updated.After(from) {
			break
		}
		from = some[len(some)-1].Updated
	}
	if changed {
		b.sort()
	}
	return b.list, b.high, nil
}

func (b *board) readAll(ctx context.Context, now time.Time) error {
	open, err := b.state.OpenUpgrades(ctx, "")
	if err != nil {
		return err
	}
	over, err := b.state.Upgrades(ctx, store.Filter{Limit: maxRows})
	if err != nil {
		return err
	}
	old := b.rows
	b.rows = make(map[string]row, len(open)+len(over))
	for _, u := range slices.Concat(over, open) {
		if r, ok := old[u.ID]; ok && r.version == u.Version && r.Repository == u.Repository {
			b.rows[u.ID] = r
			continue
		}
		b.take(u)
	}
	b.whole = now
	b.sort()
	return nil
}

// take keeps an upgrade, and reports whether it is another than before.
func (b *board) take(u store.Upgrade) bool {
	if u.Updated.After(b.high) {
		b.high = u.Updated
	}
	if r, ok := b.rows[u.ID]; ok && r.version >= u.Version && r.Repository == u.Repository {
		return false
	}
	b.rows[u.ID] = rowOf(u)
	return true
}

func (b *board) sort() {
	list := make([]row, 0, len(b.rows))
	for _, r := range b.rows {
		list = append(list, r)
	}
	rank := map[lifecycle.Group]int{}
	for i, g := range lifecycle.Groups() {
		rank[g] = i
	}
	urgent := func(r row) int { // red before amber
		if r.Tone == "bad" {
			return 0
		}
		return 1
	}
	slices.SortFunc(list, func(x, y row) int {
		if x.Group != y.Group {
			return cmp.Compare(rank[x.Group], rank[y.Group])
		}
		if x.Group == lifecycle.NeedsYou && urgent(x) != urgent(y) {
			return cmp.Compare(urgent(x), urgent(y))
		}
		return cmp.Or(y.Since.Compare(x.Since), cmp.Compare(x.ID, y.ID))
	})
	b.list = list
}

// rowOf is the row of an upgrade. A record that cannot be read shows its columns.
func rowOf(u store.Upgrade) row {
	s, err := reconcile.Show(u)
	r := row{api: upgradeOf(u, s), version: u.Version, Item: page.Item{ID: u.ID, Repository: u.Repository, Service: u.Service, From: u.From, To: u.To,
		State: u.State, Since: u.Updated, Pull: u.Pull}}
	if err == nil {
		r.Risk, r.Security, r.Says = string(s.Risk), len(s.Security) > 0, s.Waits
		if !s.Entered.IsZero() {
			r.Since = s.Entered
		}
		if l := s.Ladder; l != nil && len(l.Rungs) > 1 {
			r.Step = fmt.Sprintf("%d/%d", l.Place, len(l.Rungs))
		}
		if s.Failure != "" && u.State != string(lifecycle.Verified) {
			r.Says = s.Failure
			if s.Waits != "" && !u.Final {
				r.Says = s.Waits + ". " + s.Failure
			}
		}
	}
	r.Group = lifecycle.GroupOf(lifecycle.State(u.State), s.Waits)
	r.Tone = page.Tone(u.State, r.Group)
	r.text = strings.ToLower(strings.Join([]string{u.Service, u.Repository, u.From, u.To, u.State, u.Lane, r.Says}, "\n"))
	return r
}
