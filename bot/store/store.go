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
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // the driver "sqlite", without cgo
)

// Options say where the state is kept.
type Options struct {
	Dir      string           // of SQLite's file belay.db; made with 0700 when missing
	Database string           // "postgres://…"; Dir is then unused
	Postgres OpenPostgres     // opens Database: pool.Open; nil in a program that has SQLite alone
	Now      func() time.Time // nil: time.Now
}

// OpenPostgres opens a PostgreSQL by its address and asks it for a sign of life.
type OpenPostgres func(ctx context.Context, address string) (Postgres, error)

// Postgres is a PostgreSQL that was opened.
type Postgres struct {
	DB    *sql.DB
	Name  string // for people: where it is and what it is called
	Close func() // after DB
}

// Store is an open database. It may be used by many at once.
type Store struct {
	write  *sql.DB // SQLite: one connection, so that writers queue instead of failing
	read   *sql.DB
	group  group        // SQLite: of transactions that share a commit
	shared *Postgres    // PostgreSQL only
	lock   *flock.Flock // SQLite only: held while the Store is open
	now    func() time.Time
	name   string // for errors: the file, or "the database"
}

// Open opens the state, making or migrating it. Its errors name the file and
// the way out; *NewerError refuses what a newer belay has written.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Store{now: opts.Now}
	var err error
	if opts.Database != "" {
		err = s.openPostgres(ctx, opts)
	} else {
		err = s.openSQLite(ctx, opts.Dir)
	}
	if err != nil {
		return nil, err
	}
	steps, err := schema()
	if err == nil {
		err = s.migrate(ctx, steps)
	}
	if err == nil { // a state that cannot be written is found out now, not at the first dispatch
		err = s.Put(ctx, "opened", opts.Now().UTC().Format(time.RFC3339))
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
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
	if s.shared != nil {
		s.shared.Close()
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Ping reports whether the state can be read.
func (s *Store) Ping(ctx context.Context) error {
	var n int // of a table: SQLite answers SELECT 1 without its file
	return s.trouble(s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM belay_schema").Scan(&n))
}

// DB is the connection that writes, for the queue that shares the database.
func (s *Store) DB() *sql.DB { return s.write }

// Shared reports whether other processes may have the state open, too: on
// PostgreSQL, and never on SQLite.
func (s *Store) Shared() bool { return s.shared != nil }

// sql gives a statement the placeholders of the database: "?" becomes "$1".
func (s *Store) sql(q string) string {
	if s.shared == nil {
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

// Transact does what f does in one transaction: all of it, durably, or nothing.
// f must not use the Store's other methods that write: SQLite has one writer.
func (s *Store) Transact(ctx context.Context, f func(tx *sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.shared == nil {
		return s.trouble(s.group.transact(s.write, f))
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return s.trouble(err)
	}
	defer func() { _ = tx.Rollback() }() // also when f panics; nothing after a commit
	if err := f(tx); err != nil {
		return s.trouble(err)
	}
	return s.trouble(tx.Commit())
}

func (s *Store) exec(ctx context.Context, q string, args ...any) (n int64, err error) {
	err = s.Transact(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, s.sql(q), args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
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
