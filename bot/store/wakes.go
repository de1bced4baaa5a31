package store

import (
	"context"
	"database/sql"
	"errors"
)

// AskTx counts a call to look at an upgrade again.
func (s *Store) AskTx(ctx context.Context, tx *sql.Tx, upgrade string) error {
	_, err := tx.ExecContext(ctx, s.sql("INSERT INTO wakes (upgrade, asked) VALUES (?, 1) ON CONFLICT (upgrade) DO UPDATE SET asked = wakes.asked + 1"), upgrade)
	return err
}

// Asked says how many calls there were, 0 for none.
func (s *Store) Asked(ctx context.Context, upgrade string) (int64, error) {
	return s.asked(s.read.QueryRowContext(ctx, s.sql("SELECT asked FROM wakes WHERE upgrade = ?"), upgrade))
}

// AskedTx says how many calls there were; the next one waits until the
// transaction has ended.
func (s *Store) AskedTx(ctx context.Context, tx *sql.Tx, upgrade string) (int64, error) {
	q := "SELECT asked FROM wakes WHERE upgrade = ?"
	if s.shared != nil {
		q += " FOR UPDATE"
	}
	return s.asked(tx.QueryRowContext(ctx, s.sql(q), upgrade))
}

func (s *Store) asked(row *sql.Row) (int64, error) {
	var n int64
	err := row.Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, s.trouble(err)
}
