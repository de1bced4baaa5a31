package store

import (
	"context"
	"encoding/json"
	"time"
)

// Record is one line of the audit trail with the upgrade that it concerns.
type Record struct {
	Event
	Repository, Service, From, To string
}

// TrailFilter narrows Trail. Its zero value takes all.
type TrailFilter struct {
	After      int64 // events with a larger id
	Since      time.Time
	Repository string
	Service    string
	Upgrade    string
}

// trailPage is how many events are read at once.
const trailPage = 500

// Trail gives each event of the audit trail to f, in the order in which they
// were recorded, until f fails. It holds no transaction meanwhile: what is
// recorded while it runs may come, too.
func (s *Store) Trail(ctx context.Context, filter TrailFilter, f func(Record) error) error {
	for {
		page, err := s.trailPage(ctx, filter)
		if err != nil {
			return s.trouble(err)
		}
		for _, r := range page {
			if err := f(r); err != nil {
				return err
			}
			filter.After = r.ID
		}
		if len(page) < trailPage {
			return nil
		}
	}
}

func (s *Store) trailPage(ctx context.Context, f TrailFilter) ([]Record, error) {
	q := "SELECT e.id, e.upgrade, e.at, e.who, e.what, e.why, e.data, u.repository, u.service, u.from_version, u.to_version FROM events e JOIN upgrades u ON u.id = e.upgrade WHERE e.id > ? AND e.at >= ?"
	args := []any{f.After, micro(f.Since)}
	for column, value := range map[string]string{"LOWER(u.repository) = LOWER(?)": f.Repository, "u.service = ?": f.Service, "e.upgrade = ?": f.Upgrade} {
		if value != "" {
			q += " AND " + column
			args = append(args, value)
		}
	}
	rows, err := s.read.QueryContext(ctx, s.sql(q+" ORDER BY e.id LIMIT ?"), append(args, trailPage)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Record
	for rows.Next() {
		var r Record
		var at int64
		var data string
		if err := rows.Scan(&r.ID, &r.Upgrade, &at, &r.Who, &r.What, &r.Why, &data, &r.Repository, &r.Service, &r.From, &r.To); err != nil {
			return nil, err
		}
		r.At = moment(at)
		if err := json.Unmarshal([]byte(data), &r.Data); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
