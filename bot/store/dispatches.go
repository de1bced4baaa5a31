package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Dispatch is one message "image X has tag Y" as it arrived.
type Dispatch struct {
	ID         string
	Image      string
	Tag        string
	Digest     string
	Status     string
	Provider   string
	HubLink    string
	Source     string // diun, repository_dispatch, cli
	Repository string // "owner/name" that it is meant for, "" for all
	Received   time.Time
	Done       bool
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
	At         time.Time
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
		d.ID = DispatchID(d.Image, d.Tag, d.Digest, d.Repository)
	}
	if d.Received.IsZero() {
		d.Received = s.now()
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, s.sql(`INSERT INTO dispatches (id, image, tag, digest, status, provider, hub_link, source, repository, received)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`),
			d.ID, d.Image, d.Tag, d.Digest, d.Status, d.Provider, d.HubLink, d.Source, d.Repository, micro(d.Received))
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
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

const dispatchColumns = "id, image, tag, digest, status, provider, hub_link, source, repository, received, done"

func scanDispatch(row interface{ Scan(...any) error }) (Dispatch, error) {
	var d Dispatch
	var received, done int64
	err := row.Scan(&d.ID, &d.Image, &d.Tag, &d.Digest, &d.Status, &d.Provider, &d.HubLink, &d.Source, &d.Repository, &received, &done)
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
		return d, fmt.Errorf("%s: %w", s.name, err)
	}
	list := []Dispatch{d}
	err = s.outcomes(ctx, list)
	return list[0], err
}

// Dispatches reads the newest dispatches with their outcomes, newest first.
func (s *Store) Dispatches(ctx context.Context, limit int) ([]Dispatch, error) {
	return s.listDispatches(ctx, "ORDER BY received DESC, id LIMIT ?", limit)
}

// UnfinishedDispatches reads those that are not planned yet, oldest first.
func (s *Store) UnfinishedDispatches(ctx context.Context) ([]Dispatch, error) {
	return s.listDispatches(ctx, "WHERE done = 0 ORDER BY received, id LIMIT ?", 10_000)
}

func (s *Store) listDispatches(ctx context.Context, rest string, limit int) ([]Dispatch, error) {
	rows, err := s.read.QueryContext(ctx, s.sql("SELECT "+dispatchColumns+" FROM dispatches "+rest), limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
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
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out, s.outcomes(ctx, out)
}

// outcomes fills in what the dispatches led to.
func (s *Store) outcomes(ctx context.Context, list []Dispatch) error {
	for i := range list {
		rows, err := s.read.QueryContext(ctx, s.sql("SELECT repository, service, upgrade, reason, path, line, at FROM outcomes WHERE dispatch = ? ORDER BY repository, position"), list[i].ID)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for rows.Next() {
			var o Outcome
			var at int64
			if err := rows.Scan(&o.Repository, &o.Service, &o.Upgrade, &o.Reason, &o.Path, &o.Line, &at); err != nil {
				_ = rows.Close()
				return err
			}
			o.At = moment(at)
			list[i].Outcomes = append(list[i].Outcomes, o)
		}
		err = rows.Err()
		_ = rows.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// SetOutcomes records what a dispatch led to in one repository, in place of
// what was recorded for it before.
func (s *Store) SetOutcomes(ctx context.Context, id, repository string, outcomes []Outcome) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.sql("DELETE FROM outcomes WHERE dispatch = ? AND repository = ?"), id, repository); err != nil {
			return err
		}
		for i, o := range outcomes {
			if _, err := tx.ExecContext(ctx, s.sql("INSERT INTO outcomes (dispatch, repository, position, service, upgrade, reason, path, line, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
				id, repository, i, o.Service, o.Upgrade, o.Reason, o.Path, o.Line, micro(o.At)); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		return nil
	})
}

// FinishDispatch records that a dispatch has been planned everywhere.
func (s *Store) FinishDispatch(ctx context.Context, id string) error {
	_, err := s.exec(ctx, "UPDATE dispatches SET done = 1 WHERE id = ?", id)
	return err
}
