package store

import (
	"context"
	"encoding/json"
	"strings"
)

// SkipFilter says what Skipped looks for.
type SkipFilter struct {
	All          bool     // in every repository
	Repositories []string // else in these, "owner/name" in any case
	Waits        bool     // what waits to be planned alone, oldest first
	Words        []string // each stands in the dispatch or in the outcome, in any case
	Limit        int      // of dispatches; 0: 100
}

// escaper takes their meaning from the signs of LIKE, with ! before them.
var escaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// fits is the condition that an outcome o of a dispatch d fits the filter. The
// repositories are one value: of somebody who sees many there are more than a
// statement may have.
func (s *Store) fits(f SkipFilter) (condition string, args []any, err error) {
	condition = "o.reason <> ''"
	if !f.All {
		names, err := json.Marshal(append([]string{}, f.Repositories...))
		if err != nil {
			return "", nil, err
		}
		list := "SELECT LOWER(value) FROM json_each(?)"
		if s.shared != nil {
			list = "SELECT LOWER(value) FROM jsonb_array_elements_text(CAST(? AS jsonb))"
		}
		condition += " AND LOWER(o.repository) IN (" + list + ")"
		args = append(args, string(names))
	}
	if f.Waits {
		condition += " AND o.stuck = ?"
		args = append(args, string(Waits))
	}
	for _, word := range f.Words {
		condition += " AND LOWER(d.image || ' ' || d.chart || ' ' || d.chart_repository || ' ' || d.tag || ' ' || o.repository || ' ' || o.service || ' ' || o.reason || ' ' || o.path) LIKE LOWER(?) ESCAPE '!'"
		args = append(args, "%"+escaper.Replace(word)+"%")
	}
	return condition, args, nil
}

// Skipped reads the newest dispatches that led to nothing somewhere, newest
// first, with those of their outcomes alone that have a reason and fit.
func (s *Store) Skipped(ctx context.Context, f SkipFilter) ([]Dispatch, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	condition, args, err := s.fits(f)
	if err != nil {
		return nil, err
	}
	of, order := "", "received DESC"
	if f.Waits {
		of, order = "d.done = 0 AND ", "received"
	}
	list, err := s.bareDispatches(ctx, "d WHERE "+of+"EXISTS (SELECT 1 FROM outcomes o WHERE o.dispatch = d.id AND "+condition+") ORDER BY "+order+", id LIMIT ?", append(args, f.Limit)...)
	if err != nil {
		return nil, err
	}
	return list, s.outcomes(ctx, list, condition, args...)
}
