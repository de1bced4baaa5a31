package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// Dispatch is one message "image X has tag Y" as it arrived.
type Dispatch struct {
	ID         string
	Image      string // "" when a chart is meant
	Chart      string
	ChartFrom  string // the chart's repository, "" when it is not said
	Tag        string
	Digest     string
	Status     string
	Provider   string
	HubLink    string
	Source     string // diun, repository_dispatch, bulk, scan
	Repository string // "owner/name" that it is meant for, "" for all
	Run        string // of the bulk run with a limit of its own that it came with, "" for none
	Received   time.Time
	Done       bool // planned everywhere, or given up: see Outcome.Stuck
	Outcomes   []Outcome
}

// Outcome is what a dispatch led to in one place.
type Outcome struct {
	Repository string
	Service    string
	Upgrade    string // its id, "" when nothing happened
	Reason     string // why nothing happened, or how it joined
	Path       string
	Line       int
	At         time.Time // of one that waits: since when
	Stuck      Stuck     // planning failed, and Reason says why
}

// Stuck is how it stands with what could not be planned.
type Stuck string

// What comes of a plan that failed.
const (
	Waits   Stuck = "waits"    // it is tried again
	GivenUp Stuck = "given up" // it is not, unless the same dispatch comes again
)

// Subject is what a dispatch speaks of: an image's name, or "chart" with the
// chart's name and repository.
func (d Dispatch) Subject() string {
	if d.Chart == "" {
		return d.Image
	}
	return strings.TrimSpace("chart " + d.Chart + " " + d.ChartFrom)
}

// DispatchID names a dispatch by what makes it the same one again.
func DispatchID(image, tag, digest, repository string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{image, tag, digest, repository}, "\x00")))
	return "d" + hex.EncodeToString(sum[:8])
}

// AddDispatch stores a dispatch, and in the same transaction calls then, which
// may be nil, when it is new. It is durable when the method returns.
func (s *Store) AddDispatch(ctx context.Context, d Dispatch, then func(ctx context.Context, tx *sql.Tx, id string) error) (id string, isNew bool, err error) {
	if d.ID == "" {
		d.ID = DispatchID(d.Subject(), d.Tag, d.Digest, d.Repository)
	}
	if d.Received.IsZero() {
		d.Received = s.now()
	}
	err = s.Transact(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, s.sql(`INSERT INTO dispatches (id, image, tag, digest, status, provider, hub_link, source, repository, received, run, chart, chart_repository, asked)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`),
			d.ID, d.Image, d.Tag, d.Digest, d.Status, d.Provider, d.HubLink, d.Source, d.Repository, micro(d.Received), d.Run, d.Chart, d.ChartFrom, micro(d.Received))
		if err != nil {
			return s.trouble(err)
		}
		n, err := res.RowsAffected()
		isNew = n == 1
		if err != nil || !isNew || then == nil {
			return err
		}
		return then(ctx, tx, d.ID)
	})
	return d.ID, isNew, err
}

const dispatchColumns = "id, image, tag, digest, status, provider, hub_link, source, repository, received, done, run, chart, chart_repository"

func scanDispatch(row interface{ Scan(...any) error }) (Dispatch, error) {
	var d Dispatch
	var received, done int64
	err := row.Scan(&d.ID, &d.Image, &d.Tag, &d.Digest, &d.Status, &d.Provider, &d.HubLink, &d.Source, &d.Repository, &received, &done, &d.Run, &d.Chart, &d.ChartFrom)
	d.Received, d.Done = moment(received), done != 0
	return d, err
}

// Dispatch reads one dispatch with its outcomes, or returns ErrNotFound.
func (s *Store) Dispatch(ctx context.Context, id string) (Dispatch, error) {
	d, err := scanDispatch(s.read.QueryRowContext(ctx, s.sql("SELECT "+dispatchColumns+" FROM dispatches WHERE id = ?"), id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, ErrNotFound
	}
	if err != nil {
		return d, s.trouble(err)
	}
	list := []Dispatch{d}
	err = s.outcomes(ctx, list, "")
	return list[0], err
}

// Dispatches reads the newest dispatches with their outcomes, newest first.
func (s *Store) Dispatches(ctx context.Context, limit int) ([]Dispatch, error) {
	return s.DispatchesFrom(ctx, "", limit)
}

// DispatchesFrom is Dispatches for those of one source, such as "diun"; "" is all.
func (s *Store) DispatchesFrom(ctx context.Context, source string, limit int) ([]Dispatch, error) {
	return s.listDispatches(ctx, "WHERE ? IN ('', source) ORDER BY received DESC, id LIMIT ?", source, limit)
}

// UnfinishedDispatches reads those that are not planned yet, oldest first.
func (s *Store) UnfinishedDispatches(ctx context.Context) ([]Dispatch, error) {
	return s.listDispatches(ctx, "WHERE done = 0 ORDER BY received, id LIMIT ?", 10_000)
}

func (s *Store) listDispatches(ctx context.Context, rest string, args ...any) ([]Dispatch, error) {
	out, err := s.bareDispatches(ctx, rest, args...)
	if err != nil {
		return nil, err
	}
	return out, s.outcomes(ctx, out, "")
}

// bareDispatches reads dispatches without what they led to.
func (s *Store) bareDispatches(ctx context.Context, rest string, args ...any) ([]Dispatch, error) {
	rows, err := s.read.QueryContext(ctx, s.sql("SELECT "+dispatchColumns+" FROM dispatches "+rest), args...)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var out []Dispatch
	for rows.Next() {
		d, err := scanDispatch(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// outcomes fills in what the dispatches led to, as far as it meets a condition
// on an outcome o and its dispatch d; "" is none.
func (s *Store) outcomes(ctx context.Context, list []Dispatch, condition string, args ...any) error {
	at := make(map[string]*Dispatch, len(list))
	for i := range list {
		at[list[i].ID] = &list[i]
	}
	for some := range slices.Chunk(list, 500) {
		var ids []any
		for _, d := range some {
			ids = append(ids, d.ID)
		}
		if err := s.outcomesOf(ctx, ids, at, condition, args); err != nil {
			return s.trouble(err)
		}
	}
	return nil
}

func (s *Store) outcomesOf(ctx context.Context, ids []any, at map[string]*Dispatch, condition string, args []any) error {
	q := "SELECT o.dispatch, o.repository, o.service, o.upgrade, o.reason, o.path, o.line, o.at, o.stuck FROM outcomes o"
	where := " WHERE o.dispatch IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"
	if condition != "" {
		q, where = q+" JOIN dispatches d ON d.id = o.dispatch", where+" AND "+condition
	}
	rows, err := s.read.QueryContext(ctx, s.sql(q+where+" ORDER BY o.dispatch, o.repository, o.position"), append(ids, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var o Outcome
		var when int64
		if err := rows.Scan(&id, &o.Repository, &o.Service, &o.Upgrade, &o.Reason, &o.Path, &o.Line, &when, &o.Stuck); err != nil {
			return err
		}
		o.At = moment(when)
		at[id].Outcomes = append(at[id].Outcomes, o)
	}
	return rows.Err()
}

// SetOutcomes records what a dispatch led to in one repository, in place of
// what was recorded for it before.
func (s *Store) SetOutcomes(ctx context.Context, id, repository string, outcomes []Outcome) error {
	return s.Transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.sql("DELETE FROM outcomes WHERE dispatch = ? AND repository = ?"), id, repository); err != nil {
			return err
		}
		position := 0
		for some := range slices.Chunk(outcomes, 500) {
			var args []any
			for _, o := range some {
				args = append(args, id, repository, position, o.Service, o.Upgrade, o.Reason, o.Path, o.Line, micro(o.At), string(o.Stuck))
				position++
			}
			rows := strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", len(some))[2:]
			if _, err := tx.ExecContext(ctx, s.sql("INSERT INTO outcomes (dispatch, repository, position, service, upgrade, reason, path, line, at, stuck) VALUES "+rows), args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// RepeatDispatch has a dispatch planned once more that has been planned, and
// calls then in the same transaction. run takes the place of its own.
func (s *Store) RepeatDispatch(ctx context.Context, id, run string, then func(ctx context.Context, tx *sql.Tx, id string) error) error {
	_, err := s.repeat(ctx, id, then, "UPDATE dispatches SET done = 0, asked = ?, run = ? WHERE id = ? AND done = 1", micro(s.now()), run, id)
	return err
}

// RepeatStuck has a dispatch planned once more of which something was given up,
// and calls then in the same transaction. Others are left as they are.
func (s *Store) RepeatStuck(ctx context.Context, id string, then func(ctx context.Context, tx *sql.Tx, id string) error) (again bool, err error) {
	return s.repeat(ctx, id, then, "UPDATE dispatches SET done = 0, asked = ? WHERE id = ? AND done = 1 AND EXISTS (SELECT 1 FROM outcomes WHERE dispatch = dispatches.id AND stuck = ?)", micro(s.now()), id, string(GivenUp))
}

func (s *Store) repeat(ctx context.Context, id string, then func(ctx context.Context, tx *sql.Tx, id string) error, update string, args ...any) (again bool, err error) {
	err = s.Transact(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, s.sql(update), args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if again = n > 0; err != nil || !again {
			return err
		}
		return then(ctx, tx, id)
	})
	return again, err
}

// UnplannedSince is since when the dispatch waits to be planned that has waited
// longest, whether it is being planned or tried again later; zero when none does.
func (s *Store) UnplannedSince(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.read.QueryRowContext(ctx, "SELECT COALESCE(MIN(CASE WHEN asked = 0 THEN received ELSE asked END), 0) FROM dispatches WHERE done = 0").Scan(&at)
	if err != nil {
		return time.Time{}, s.trouble(err)
	}
	return moment(at), nil
}

// DispatchesByID reads dispatches by their ids, in that order; those that
// there are not are left out.
func (s *Store) DispatchesByID(ctx context.Context, ids []string) ([]Dispatch, error) {
	var out []Dispatch
	for some := range slices.Chunk(ids, 500) {
		var args []any
		for _, id := range some {
			args = append(args, id)
		}
		list, err := s.listDispatches(ctx, "WHERE id IN (?"+strings.Repeat(", ?", len(some)-1)+")", args...)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(list, func(a, b Dispatch) int { return slices.Index(some, a.ID) - slices.Index(some, b.ID) })
		out = append(out, list...)
	}
	return out, nil
}

// FinishDispatch records that a dispatch has been planned everywhere.
func (s *Store) FinishDispatch(ctx context.Context, id string) error {
	_, err := s.exec(ctx, "UPDATE dispatches SET done = 1 WHERE id = ?", id)
	return err
}
