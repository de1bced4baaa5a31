package store

import (
	"context"
	"database/sql"
	"time"
)

// Freeze is a time in which belay opens and merges nothing in a repository.
type Freeze struct {
	Repository string // "owner/name"; "" is every repository
	Who        string // a login, or the name that somebody gave on the command line
	Reason     string // "" when none was given
	At         time.Time
	Ended      time.Time // zero while it lasts
	EndedBy    string
}

// Freeze begins a freeze. One that lasts already is ended in its favour, so that
// the newest reason is the one that is shown.
func (s *Store) Freeze(ctx context.Context, f Freeze) error {
	if f.At.IsZero() {
		f.At = s.now()
	}
	return s.Transact(ctx, func(tx *sql.Tx) error {
		if _, err := s.endFreeze(ctx, tx, f.Repository, f.Who, f.At); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, s.sql("INSERT INTO freezes (repository, who, reason, at) VALUES (?, ?, ?, ?)"), f.Repository, f.Who, f.Reason, micro(f.At))
		return err
	})
}

// Thaw ends a freeze, and reports whether there was one. One of every
// repository is ended by the name "" alone.
func (s *Store) Thaw(ctx context.Context, repository, who string) (was bool, err error) {
	err = s.Transact(ctx, func(tx *sql.Tx) error {
		n, err := s.endFreeze(ctx, tx, repository, who, s.now())
		was = n > 0
		return err
	})
	return was, err
}

func (s *Store) endFreeze(ctx context.Context, tx *sql.Tx, repository, who string, at time.Time) (int64, error) {
	// Names on GitHub are the same in any case.
	res, err := tx.ExecContext(ctx, s.sql("UPDATE freezes SET ended = ?, ended_by = ? WHERE ended = 0 AND LOWER(repository) = LOWER(?)"), micro(at), who, repository)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

const freezeColumns = "SELECT repository, who, reason, at, ended, ended_by FROM freezes "

// FreezeOf reads the freeze that a repository is under: its own, or that of
// every repository. It returns ErrNotFound when there is none.
func (s *Store) FreezeOf(ctx context.Context, repository string) (Freeze, error) {
	list, err := s.listFreezes(ctx, "WHERE ended = 0 AND (LOWER(repository) = LOWER(?) OR repository = '') ORDER BY repository DESC", repository)
	if err != nil {
		return Freeze{}, err
	}
	if len(list) == 0 {
		return Freeze{}, ErrNotFound
	}
	return list[0], nil
}

// Freezes reads the freezes that last, oldest first.
func (s *Store) Freezes(ctx context.Context) ([]Freeze, error) {
	return s.listFreezes(ctx, "WHERE ended = 0 ORDER BY at, id")
}

// AllFreezes reads every freeze there ever was, oldest first, for the audit.
func (s *Store) AllFreezes(ctx context.Context) ([]Freeze, error) {
	return s.listFreezes(ctx, "ORDER BY at, id")
}

func (s *Store) listFreezes(ctx context.Context, rest string, args ...any) ([]Freeze, error) {
	rows, err := s.read.QueryContext(ctx, s.sql(freezeColumns+rest), args...)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var out []Freeze
	for rows.Next() {
		var f Freeze
		var at, ended int64
		if err := rows.Scan(&f.Repository, &f.Who, &f.Reason, &at, &ended, &f.EndedBy); err != nil {
			return nil, err
		}
		f.At, f.Ended = moment(at), moment(ended)
		out = append(out, f)
	}
	return out, rows.Err()
}
