package lifecycle_test

import (
	"testing"
	"time"

	"github.com/belaybot/belay/rules/lifecycle"
)

func TestWindowOpened(t *testing.T) {
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	hours := func(list ...int) []time.Time {
		var out []time.Time
		for _, h := range list {
			out = append(out, day.Add(time.Duration(h)*time.Hour))
		}
		return out
	}
	for _, tc := range []struct {
		name   string
		starts []time.Time
		want   time.Time
	}{
		{"nothing was started", nil, time.Time{}},
		{"the first one opens it", hours(3, 4, 8), day.Add(3 * time.Hour)},
		{"the first one after its end opens the next", hours(1, 2, 8, 9), day.Add(8 * time.Hour)},
		{"the moment of its end is after it", hours(1, 7), day.Add(7 * time.Hour)},
		{"the order does not matter", hours(9, 1, 8, 2), day.Add(8 * time.Hour)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := lifecycle.WindowOpened(tc.starts, 6*time.Hour); !got.Equal(tc.want) {
				t.Errorf("opened at %v, want %v", got, tc.want)
			}
		})
	}
}
