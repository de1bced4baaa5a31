package store

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Changed is an upgrade that was written, without what was.
type Changed struct {
	ID      string
	Version int64
	Updated time.Time
}

// ChangedSince lists up to limit upgrades that were written at or after a
// moment, in the order in which they were. It costs little, so that it may be
// asked every second.
func (s *Store) ChangedSince(ctx context.Context, t time.Time, limit int) ([]Changed, error) {
	return s.listChanged(ctx, "WHERE updated >= ? ORDER BY updated, id LIMIT ?", micro(t), limit)
}

// Newest lists all upgrades that are not over, and those up to a number of the
// others that were written last.
func (s *Store) Newest(ctx context.Context, over int) ([]Changed, error) {
	return s.listChanged(ctx, "WHERE final = 0 OR id IN (SELECT id FROM upgrades WHERE final = 1 ORDER BY updated DESC, id LIMIT ?) ORDER BY updated, id", over)
}

func (s *Store) listChanged(ctx context.Context, rest string, args ...any) ([]Changed, error) {
	rows, err := s.read.QueryContext(ctx, s.sql("SELECT id, version, updated FROM upgrades "+rest), args...)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var out []Changed
	for rows.Next() {
		var c Changed
		var updated int64
		if err := rows.Scan(&c.ID, &c.Version, &updated); err != nil {
			return nil, err
		}
		c.Updated = moment(updated)
		out = append(out, c)
	}
	return out, rows.Err()
}

// UpgradesByID reads upgrades by their ids, in that order; those that there are
// not are left out.
func (s *Store) UpgradesByID(ctx context.Context, ids []string) ([]Upgrade, error) {
	var out []Upgrade
	for some := range slices.Chunk(ids, 500) {
		args, place := make([]any, len(some)), make(map[string]int, len(some))
		for i, id := range some {
			args[i], place[id] = id, i
		}
		list, err := s.listUpgrades(ctx, "WHERE id IN (?"+strings.Repeat(", ?", len(some)-1)+")", args...)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(list, func(a, b Upgrade) int { return place[a.ID] - place[b.ID] })
		out = append(out, list...)
	}
	return out, nil
}
