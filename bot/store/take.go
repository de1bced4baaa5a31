package store

import (
	"context"
	"database/sql"
)

// Taken is what became of a dispatch that was taken.
type Taken struct {
	ID    string
	New   bool     // it was not known before
	Again bool     // it was known, came to nothing that goes on, and is planned once more
	Moved []string // upgrades that wait and are counted by the dispatch's run from now on
}

// TakeDispatch stores a dispatch, or finds the same one. A known one that has been planned
// and led to no upgrade, or could not be planned for some service, is planned
// again, since the repository and the registries may have changed; with again, so is one whose upgrades are all over. then is called, in the same
// transaction, for one that is to be planned.
func (s *Store) TakeDispatch(ctx context.Context, d Dispatch, again bool, then func(ctx context.Context, tx *sql.Tx, id string) error) (Taken, error) {
	id, isNew, err := s.AddDispatch(ctx, d, then)
	out := Taken{ID: id, New: isNew}
	if err != nil || isNew {
		return out, err
	}
	old, err := s.Dispatch(ctx, id)
	if err != nil {
		return out, err
	}
	var upgrades []string
	open, givenUp := false, false
	for _, o := range old.Outcomes {
		givenUp = givenUp || o.Stuck == GivenUp
		if o.Upgrade == "" {
			continue
		}
		upgrades = append(upgrades, o.Upgrade)
		u, err := s.Upgrade(ctx, o.Upgrade)
		if err != nil {
			return out, err
		}
		open = open || !u.Final
	}
	if old.Done && (len(upgrades) == 0 || givenUp || again && !open) {
		out.Again = true
		return out, s.RepeatDispatch(ctx, id, d.Run, then)
	}
	if d.Run != "" {
		out.Moved, err = s.SetRun(ctx, d.Run, upgrades...)
	}
	return out, err
}
