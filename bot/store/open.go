package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

func (s *Store) openPostgres(ctx context.Context, opts Options) error {
	s.name = "the database"
	if opts.Postgres == nil {
		return errors.New("BELAY_DATABASE (--database): this program keeps its state in SQLite alone")
	}
	p, err := opts.Postgres(ctx, opts.Database)
	if err != nil {
		return err
	}
	s.shared, s.write, s.read = &p, p.DB, p.DB
	return nil
}

// pragmas of every connection: what was committed is on disk.
const pragmas = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)"

func (s *Store) openSQLite(ctx context.Context, dir string) error {
	s.name = filepath.Join(dir, "belay.db")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("--state: %w: choose a directory that belay may write", err)
	}
	// SQLite itself would let two processes share the file. belay may not:
	// each takes the jobs of the other for those of a process that was killed.
	lock := flock.New(filepath.Join(dir, "belay.lock"), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("--state: %w: choose a directory that belay may write, on a disk that knows file locks", err)
	}
	if !got {
		return fmt.Errorf("--state %s: %w: end that one first, or give this one a directory of its own", dir, ErrInUse)
	}
	s.lock = lock
	if err := s.openFile(ctx); err != nil {
		_ = s.Close()
		return err
	}
	return nil
}

// fileURI is a path as SQLite's file: addresses have it: "#" would end it, and
// another file be opened.
func fileURI(path string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

func (s *Store) openFile(ctx context.Context) error {
	f, err := os.OpenFile(s.name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("--state: %w: belay has to be able to write it", err)
	}
	_ = f.Close()
	if s.write, err = sql.Open("sqlite", fileURI(s.name)+pragmas+"&_txlock=immediate"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", fileURI(s.name)+pragmas); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	var sound string
	if err := s.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&sound); err != nil {
		return s.trouble(err)
	}
	if sound != "ok" {
		return &Trouble{s.name, hintDamaged, errors.New(sound)}
	}
	return nil
}
