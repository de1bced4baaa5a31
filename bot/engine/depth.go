package engine

import (
	"context"
	"fmt"
	"time"
)

// Depth is how many jobs of a kind are due, running, or for later.
type Depth struct {
	Kind, When string
	Jobs       int
	Oldest     time.Duration // how long the one that waits longest has been due
}

// Depths says how full the queue is.
func (e *Engine) Depths(ctx context.Context) ([]Depth, error) {
	age := "COALESCE(MAX(unixepoch('now', 'subsec') - unixepoch(scheduled_at, 'subsec')), 0)"
	due := "state = 'available' AND unixepoch(scheduled_at) <= unixepoch('now')"
	if e.opts.Store.Shared() {
		age, due = "COALESCE(MAX(EXTRACT(EPOCH FROM now() - scheduled_at)), 0)", "state = 'available' AND scheduled_at <= now()"
	}
	rows, err := e.opts.Store.DB().QueryContext(ctx, "SELECT kind, CASE WHEN state = 'running' THEN 'running' WHEN "+due+" THEN 'due' ELSE 'later' END AS w, COUNT(*), "+age+
		" FROM river_job WHERE state IN ('available', 'running', 'retryable', 'scheduled', 'pending') GROUP BY kind, w")
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	defer rows.Close()
	var out []Depth
	for rows.Next() {
		var d Depth
		var oldest float64
		if err := rows.Scan(&d.Kind, &d.When, &d.Jobs, &oldest); err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
		if d.When == "due" {
			d.Oldest = max(0, time.Duration(oldest*float64(time.Second)))
		}
		out = append(out, d)
	}
	return out, rows.Err()
}
