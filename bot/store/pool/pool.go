// Package pool opens PostgreSQL for bot/store. It is apart so that a program that
// keeps its state in SQLite alone is built without PostgreSQL's client.
package pool

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/belaybot/belay/bot/store"
)

// Open is what store.Options.Postgres asks for. An error names the server, and
// never the password.
func Open(ctx context.Context, address string) (store.Postgres, error) {
	p, err := pgxpool.New(ctx, address)
	if err != nil {
		return store.Postgres{}, errors.New("BELAY_DATABASE (--database) is not a PostgreSQL address: give postgres://USER:PASSWORD@HOST/NAME") // the cause may show the password
	}
	c := p.Config().ConnConfig
	if err := p.Ping(ctx); err != nil {
		p.Close()
		return store.Postgres{}, fmt.Errorf("the database of BELAY_DATABASE (--database) at %s:%d does not answer: %w", c.Host, c.Port, err)
	}
	return store.Postgres{DB: stdlib.OpenDBFromPool(p), Name: fmt.Sprintf("PostgreSQL on %s, database %s", c.Host, c.Database), Close: p.Close}, nil
}
