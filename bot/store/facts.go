package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Block is a version that a service is not taken to: it failed, or a person
// does not want it.
type Block struct {
	Repository string
	Service    string
	Image      string // the lane of the upgrade
	Target     string // a version, or a kind of bump: major, minor
	Why        string
	At         time.Time
}

// AddBlock records a block; the same one again gets the newer reason.
func (s *Store) AddBlock(ctx context.Context, b Block) error {
	_, err := s.exec(ctx, "INSERT INTO blocks (repository, service, image, target, why, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (repository, service, image, target) DO UPDATE SET why = excluded.why, at = excluded.at",
		b.Repository, b.Service, b.Image, b.Target, b.Why, micro(b.At))
	return err
}

// RemoveBlock lets a service go to a version again.
func (s *Store) RemoveBlock(ctx context.Context, repository, service, target string) error {
	_, err := s.exec(ctx, "DELETE FROM blocks WHERE repository = ? AND service = ? AND target = ?", repository, service, target)
	return err
}

// Blocks reads the blocks of a service, of all services when it is "", oldest first.
func (s *Store) Blocks(ctx context.Context, repository, service string) ([]Block, error) {
	rows, err := s.read.QueryContext(ctx, s.sql("SELECT repository, service, image, target, why, at FROM blocks WHERE repository = ? AND (service = ? OR ? = '') ORDER BY at"), repository, service, service)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var out []Block
	for rows.Next() {
		var b Block
		var at int64
		if err := rows.Scan(&b.Repository, &b.Service, &b.Image, &b.Target, &b.Why, &at); err != nil {
			return nil, err
		}
		b.At = moment(at)
		out = append(out, b)
	}
	return out, rows.Err()
}

// Get reads a fact, or returns ErrNotFound.
func (s *Store) Get(ctx context.Context, name string) (string, error) {
	var value string
	err := s.read.QueryRowContext(ctx, s.sql("SELECT value FROM facts WHERE name = ?"), name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", s.trouble(err)
	}
	return value, nil
}

// GetAll reads facts by their names; those that there are not are left out.
func (s *Store) GetAll(ctx context.Context, names []string) (map[string]string, error) {
	out := make(map[string]string, len(names))
	for some := range slices.Chunk(names, 500) {
		args := make([]any, len(some))
		for i, name := range some {
			args[i] = name
		}
		if err := s.getSome(ctx, args, out); err != nil {
			return nil, s.trouble(err)
		}
	}
	return out, nil
}

func (s *Store) getSome(ctx context.Context, names []any, into map[string]string) error {
	rows, err := s.read.QueryContext(ctx, s.sql("SELECT name, value FROM facts WHERE name IN (?"+strings.Repeat(", ?", len(names)-1)+")"), names...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		into[name] = value
	}
	return rows.Err()
}

// BoardFact begins the names of facts about the dashboard issues; the
// repository's name in lower case follows.
const BoardFact = "dashboard "

// Facts reads the facts whose names begin with a prefix.
func (s *Store) Facts(ctx context.Context, prefix string) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, s.sql("SELECT value FROM facts WHERE SUBSTR(name, 1, ?) = ? ORDER BY name"), len(prefix), prefix)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, rows.Err()
}

// Put writes a fact.
func (s *Store) Put(ctx context.Context, name, value string) error {
	_, err := s.exec(ctx, "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
	return err
}

// Remember keeps a name until a moment, and reports whether it was new.
func (s *Store) Remember(ctx context.Context, name string, until time.Time) (bool, error) {
	n, err := s.exec(ctx, "INSERT INTO remembered (name, until) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, micro(until))
	return n == 1, err
}

// Remembers reports whether a name is remembered.
func (s *Store) Remembers(ctx context.Context, name string) (bool, error) {
	var n int
	if err := s.read.QueryRowContext(ctx, s.sql("SELECT COUNT(*) FROM remembered WHERE name = ?"), name).Scan(&n); err != nil {
		return false, s.trouble(err)
	}
	return n > 0, nil
}

// Keep keeps a value under a name until a moment. The same name again gets the
// newer value. Names begin with what they are about: "advice/…".
func (s *Store) Keep(ctx context.Context, name, value string, until time.Time) error {
	return s.Put(ctx, keptPrefix+name, fmt.Sprintf("%0*d %s", keptDigits, micro(until), value))
}

// Kept reads a value that is kept, or returns ErrNotFound.
func (s *Store) Kept(ctx context.Context, name string) (string, error) {
	value, err := s.Get(ctx, keptPrefix+name)
	if err != nil {
		return "", err
	}
	until, value, _ := strings.Cut(value, " ")
	if until < fmt.Sprintf("%0*d", keptDigits, micro(s.now())) {
		return "", ErrNotFound
	}
	return value, nil
}

// What is kept stands among the facts: its moment first, in so many digits that
// texts order as moments do.
const (
	keptPrefix = "kept/"
	keptDigits = 20
)

// Prune forgets what was to be remembered, or was claimed or kept, until before a moment.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	_, err := s.exec(ctx, "DELETE FROM remembered WHERE until < ?", micro(before))
	if err == nil {
		_, err = s.exec(ctx, "DELETE FROM claims WHERE until < ?", micro(before))
	}
	if err == nil {
		_, err = s.exec(ctx, "DELETE FROM facts WHERE name LIKE ? AND value < ?", keptPrefix+"%", fmt.Sprintf("%0*d", keptDigits, micro(before)))
	}
	return err
}

// Claim takes a name for an owner until a moment, unless another owner has it.
// Claiming again extends it.
func (s *Store) Claim(ctx context.Context, name, owner string, until time.Time) (bool, error) {
	n, err := s.exec(ctx, "INSERT INTO claims (name, owner, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE claims.owner = excluded.owner OR claims.until < ?",
		name, owner, micro(until), micro(s.now()))
	return n == 1, err
}

// Holder says who has a name, "" when nobody does.
func (s *Store) Holder(ctx context.Context, name string) (string, error) {
	var owner string
	err := s.read.QueryRowContext(ctx, s.sql("SELECT owner FROM claims WHERE name = ? AND until >= ?"), name, micro(s.now())).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", s.trouble(err)
	}
	return owner, nil
}

// Release gives a name back if the owner has it.
func (s *Store) Release(ctx context.Context, name, owner string) error {
	_, err := s.exec(ctx, "DELETE FROM claims WHERE name = ? AND owner = ?", name, owner)
	return err
}
