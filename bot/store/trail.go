package store

import (
	"context"
	"fmt"
)

// LastEvent is the id of the newest event of all upgrades, 0 when there is none.
func (s *Store) LastEvent(ctx context.Context) (int64, error) {
	var id int64
	if err := s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM events").Scan(&id); err != nil {
		return 0, fmt.Errorf("%s: %w", s.name, err)
	}
	return id, nil
}
