package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schema reads the migrations in their order. In them, SERIAL stands for a
// number that the database gives, growing and never given twice.
func schema() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, string(text))
	}
	return out, nil
}

const (
	migrationLock = 7311201 // PostgreSQL's advisory locks that belay takes
	eventLock     = 7311202
)

// migrate applies the migrations that are missing, each with its number: all or
// none of them.
func (s *Store) migrate(ctx context.Context, steps []string) error {
	serial := "INTEGER PRIMARY KEY AUTOINCREMENT"
	if s.shared != nil {
		serial = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
	}
	return s.Alone(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS belay_schema (version BIGINT PRIMARY KEY)"); err != nil {
			return err
		}
		have := 0
		if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM belay_schema").Scan(&have); err != nil {
			return err
		}
		if have > len(steps) {
			return &NewerError{Name: s.name, Have: have, Known: len(steps)}
		}
		for i, text := range steps[have:] {
			if _, err := tx.ExecContext(ctx, strings.ReplaceAll(text, "SERIAL", serial)); err != nil {
				return fmt.Errorf("migration %d: %w", have+i+1, err)
			}
			if _, err := tx.ExecContext(ctx, s.sql("INSERT INTO belay_schema (version) VALUES (?)"), have+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// Alone does what f does in a transaction that no other replica is in, such as
// one that makes tables: several may start at once.
func (s *Store) Alone(ctx context.Context, f func(tx *sql.Tx) error) error {
	return s.Transact(ctx, func(tx *sql.Tx) error {
		if err := s.lockTx(ctx, tx, migrationLock); err != nil {
			return err
		}
		return f(tx)
	})
}

// lockTx makes transactions of all replicas that take the same lock follow one
// another. SQLite's do so anyway.
func (s *Store) lockTx(ctx context.Context, tx *sql.Tx, lock int) error {
	if s.shared == nil {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", lock)
	return err
}
