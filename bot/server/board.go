package server

import (
	"cmp"
	"context"
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

// row is what lists show of an upgrade, some hundred bytes: its record has some
// thousand.
type row struct {
	page.Item
	api     Upgrade
	version int64
	text    string // what a search looks through, lower case
}

// board keeps the rows of all upgrades that are not over and of those that ended
// last, so that a list costs one small query: what has changed since. Which they
// are is asked anew from time to time: that lets go of what was deleted, or is no
// longer among the last, and notices what was renamed. The state is the truth.
type board struct {
	state *store.Store
	now   func() time.Time

	mu    sync.Mutex
	rows  map[string]row
	list  []row     // in the order in which they are shown; replaced, never changed
	high  time.Time // of the newest change that was read
	whole time.Time // when it was asked which upgrades there are
	asked time.Time // when it was asked what has changed
	// unsorted is true while list is older than rows: also when only some of what
	// has changed could be read.
	unsorted bool
}

const (
	maxRows    = 5000                   // of what is over, when it is asked which there are
	wholeEvery = 5 * time.Minute        // which there are is asked anew
	fresh      = 100 * time.Millisecond // what many ask for at once is read once
	atOnce     = 500                    // records are read at once

	// Writes are seen a moment after their time, and replicas' clocks differ a little.
	overlap       = 2 * time.Second
	overlapShared = 15 * time.Second
)

// look brings the board up to date and returns its rows, with the moment of the
// newest change. The rows are shared: nobody may change them.
func (b *board) look(ctx context.Context) ([]row, time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.catchUp(ctx)
	if b.unsorted {
		b.sort()
	}
	return b.list, b.high, err
}

func (b *board) catchUp(ctx context.Context) error {
	now := b.now()
	if b.rows == nil || now.Sub(b.whole) > wholeEvery {
		return b.readAll(ctx, now)
	}
	if d := now.Sub(b.asked); d >= 0 && d < fresh {
		return nil
	}
	b.asked = now
	from := b.high.Add(-overlap)
	if b.state.Shared() {
		from = b.high.Add(-overlapShared)
	}
	for {
		some, err := b.state.ChangedSince(ctx, from, 1000)
		if err != nil {
			return err
		}
		if err := b.bring(ctx, some); err != nil {
			return err
		}
		if len(some) < 1000 || !some[len(some)-1].Updated.After(from) {
			return nil
		}
		from = some[len(some)-1].Updated
	}
}

// readAll asks which upgrades there are, and reads those that changed.
func (b *board) readAll(ctx context.Context, now time.Time) error {
	all, err := b.state.Newest(ctx, maxRows)
	if err != nil {
		return err
	}
	rows := make(map[string]row, len(all))
	for _, c := range all {
		if r, ok := b.rows[c.ID]; ok {
			rows[c.ID] = r
		}
	}
	b.rows, b.unsorted = rows, true
	if err := b.bring(ctx, all); err != nil {
		return err
	}
	b.whole = now
	return nil
}

// bring reads those of the upgrades whose rows are older than they are.
func (b *board) bring(ctx context.Context, list []store.Changed) error {
	var ids []string
	for _, c := range list {
		if r, ok := b.rows[c.ID]; !ok || r.version < c.Version {
			ids = append(ids, c.ID)
		}
	}
	for some := range slices.Chunk(ids, atOnce) {
		upgrades, err := b.state.UpgradesByID(ctx, some)
		if err != nil {
			return err
		}
		for _, u := range upgrades {
			b.rows[u.ID], b.unsorted = rowOf(u), true
			if u.Updated.After(b.high) {
				b.high = u.Updated
			}
		}
	}
	return nil
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
	b.list, b.unsorted = list, false
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
