package store

import (
	"context"
	"database/sql"
)

// Migrate applies the schema and then more, as a newer belay would.
func (s *Store) Migrate(ctx context.Context, more ...string) error {
	steps, err := schema()
	if err != nil {
		return err
	}
	return s.migrate(ctx, append(steps, more...))
}

// Reader is the connection that reads.
func (s *Store) Reader() *sql.DB { return s.read }
