package store

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"sync"
)

// group lets transactions that wait for SQLite's one writer share a commit,
// since that is what takes time: the disk's word that everything is on it. Each
// is within a savepoint of its own, and none has returned before the commit.
type group struct {
	mu      sync.Mutex
	waiting []*member // the first of them leads
}

type member struct {
	f    func(tx *sql.Tx) error
	lead chan struct{} // closed when it is its turn to lead
	done chan struct{} // closed when err is known
	err  error
}

// together bounds how many share a commit, so that the first need not wait long.
const together = 64

func (g *group) transact(db *sql.DB, f func(tx *sql.Tx) error) error {
	m := &member{f: f, lead: make(chan struct{}), done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, m)
	if len(g.waiting) == 1 {
		close(m.lead)
	}
	g.mu.Unlock()
	select {
	case <-m.done:
	case <-m.lead:
		g.run(db)
	}
	return m.err
}

// run carries out those that wait, and has the next one lead.
func (g *group) run(db *sql.DB) {
	// No context: what one of them gives up is not to be taken from the others.
	tx, err := db.BeginTx(context.Background(), nil)
	g.mu.Lock()
	batch := g.waiting[:min(len(g.waiting), together)]
	g.mu.Unlock()
	if err == nil {
		err = commit(tx, batch)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range batch {
		if m.err == nil {
			m.err = err
		}
		close(m.done)
	}
	g.waiting = append([]*member(nil), g.waiting[len(batch):]...)
	if len(g.waiting) > 0 {
		close(g.waiting[0].lead)
	}
}

// commit does what each asks for. The error is everybody's: SQLite gives up the
// whole transaction when its disk is full.
func commit(tx *sql.Tx, batch []*member) error {
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	if len(batch) == 1 {
		if batch[0].err = try(tx, batch[0].f); batch[0].err != nil {
			return nil
		}
		return tx.Commit()
	}
	for _, m := range batch {
		if _, err := tx.Exec("SAVEPOINT one"); err != nil {
			return err
		}
		if m.err = try(tx, m.f); m.err != nil {
			if _, err := tx.Exec("ROLLBACK TO one"); err != nil {
				return m.err // that is what has ended the transaction
			}
		}
		if _, err := tx.Exec("RELEASE one"); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// try turns a panic into an error: the others are not to suffer.
func try(tx *sql.Tx, f func(tx *sql.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(tx)
}
