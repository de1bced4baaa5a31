package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Inspected is what Inspect finds.
type Inspected struct {
	Name   string // of the database, for people, without a password
	Schema int    // its version; 0: there are no tables yet
	Known  int    // the version that this belay makes
	Absent bool   // there is no state yet
}

// Inspect looks at a state without making or changing anything, while a belay
// may be running on it. Only where it is counts of the options.
func Inspect(ctx context.Context, opts Options) (Inspected, error) {
	steps, err := schema()
	if err != nil {
		return Inspected{}, err
	}
	out := Inspected{Known: len(steps)}
	s := &Store{}
	if opts.Database != "" {
		if err := s.openPostgres(ctx, opts); err != nil {
			return out, err
		}
		out.Name = s.shared.Name
		defer s.Close()
		var table sql.NullString
		if err := s.read.QueryRowContext(ctx, "SELECT to_regclass('belay_schema')::text").Scan(&table); err != nil {
			return out, err
		}
		if !table.Valid {
			out.Absent = true
			return out, nil
		}
		return out, s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM belay_schema").Scan(&out.Schema)
	}
	out.Name = filepath.Join(opts.Dir, "belay.db")
	if _, err := os.Stat(out.Name); errors.Is(err, fs.ErrNotExist) {
		out.Absent = true
		return out, nil
	} else if err != nil {
		return out, fmt.Errorf("--state: %w", err)
	}
	db, err := sql.Open("sqlite", fileURI(out.Name)+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return out, err
	}
	defer db.Close()
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'belay_schema'").Scan(&tables); err != nil || tables == 0 {
		return out, err
	}
	return out, db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM belay_schema").Scan(&out.Schema)
}
