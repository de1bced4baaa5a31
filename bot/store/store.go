// Package store is what belay remembers: dispatches, upgrades, their audit
// trail, and what is to be left alone. It keeps them in SQLite or PostgreSQL,
// behind one type.
//
// What a method has returned is on disk: a process that is killed afterwards
// has lost nothing. See SPEC section 16.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite", without cgo
)

// Options say where the state is kept.
type Options struct {
	Dir      string           // of SQLite's file belay.db; made with 0700 when missing
	Database string           // "postgres://…"; Dir is then unused
	Now      func() time.Time // nil: time.Now
}

// Store is an open database. It may be used by many at once.
type Store struct {
	write *sql.DB // SQLite: one connection, so that writers queue instead of failing
	read  *sql.DB
	pool  *pgxpool.Pool // PostgreSQL only
	now   func() time.Time
	name  string // for errors: the file, or "the database"
}

// ErrNotFound means that there is no such row.
var ErrNotFound = errors.New("not in the state")

// ConflictError means that an upgrade was written by somebody else meanwhile.
type ConflictError struct{ ID string }

// Error names the upgrade.
func (e *ConflictError) Error() string {
	return "upgrade " + e.ID + " was written by somebody else meanwhile"
}

// NewerError means that a newer belay has written the state.
type NewerError struct {
	Name        string
	Have, Known int // versions of the schema
}

// Error says what to do.
func (e *NewerError) Error() string {
	return fmt.Sprintf("%s was written by a newer belay (schema %d, this one knows %d): run that version, or restore a copy from before the update", e.Name, e.Have, e.Known)
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the state, making or migrating it. Its errors name the file and
// the way out; *NewerError refuses what a newer belay has written.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Store{now: opts.Now}
	var err error
	if opts.Database != "" {
		err = s.openPostgres(ctx, opts.Database)
	} else {
		err = s.openSQLite(ctx, opts.Dir)
	}
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) openPostgres(ctx context.Context, url string) error {
	s.name = "the database"
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return errors.New("--database: not a PostgreSQL address: give postgres://USER:PASSWORD@HOST/NAME") // the cause may show the password
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return fmt.Errorf("--database: %s:%d does not answer: %w", pool.Config().ConnConfig.Host, pool.Config().ConnConfig.Port, err)
	}
	s.pool = pool
	s.write = stdlib.OpenDBFromPool(pool)
	s.read = s.write
	return nil
}

func (s *Store) openSQLite(ctx context.Context, dir string) error {
	s.name = filepath.Join(dir, "belay.db")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("--state: %w: choose a directory that belay may write", err)
	}
	f, err := os.OpenFile(s.name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("--state: %w: belay has to be able to write it", err)
	}
	_ = f.Close()
	const common = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)"
	if s.write, err = sql.Open("sqlite", "file:"+s.name+common+"&_txlock=immediate"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", "file:"+s.name+common); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	var sound string
	if err := s.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&sound); err != nil || sound != "ok" {
		if err == nil {
			err = errors.New(sound)
		}
		_ = s.Close()
		return fmt.Errorf("%s is damaged or no database (%w): move it away and run belay recover, which rebuilds it from the pull requests", s.name, err)
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	var errs []error
	if s.read != nil && s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return errors.Join(errs...)
}

// Ping reports whether the state can be read.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := s.read.ExecContext(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// DB is the connection that writes, for the queue that shares the database.
func (s *Store) DB() *sql.DB { return s.write }

// Pool is PostgreSQL's, nil on SQLite.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// migrate applies the numbered migrations that are missing, each in a
// transaction with its number.
func (s *Store) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		if s.pool != nil { // several replicas may start at once
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(7311201)"); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS belay_schema (version BIGINT PRIMARY KEY)"); err != nil {
			return err
		}
		have := 0
		if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM belay_schema").Scan(&have); err != nil {
			return err
		}
		if have > len(names) {
			return &NewerError{Name: s.name, Have: have, Known: len(names)}
		}
		for i, name := range names[have:] {
			text, err := migrations.ReadFile(name)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("%s: %s: %w", s.name, filepath.Base(name), err)
			}
			if _, err := tx.ExecContext(ctx, s.sql("INSERT INTO belay_schema (version) VALUES (?)"), have+i+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// sql gives a statement the placeholders of the database: "?" becomes "$1".
func (s *Store) sql(q string) string {
	if s.pool == nil {
		return q
	}
	var b strings.Builder
	n := 0
	for _, r := range q {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (s *Store) transact(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

func (s *Store) exec(ctx context.Context, q string, args ...any) (int64, error) {
	res, err := s.write.ExecContext(ctx, s.sql(q), args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.name, err)
	}
	return res.RowsAffected()
}

// Times are kept as microseconds since 1970; 0 is none.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
