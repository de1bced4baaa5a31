package risk_test

import (
	"testing"

	"github.com/belaybot/belay/rules/risk"
)

func TestHighest(t *testing.T) {
	for _, tc := range []struct {
		name   string
		levels []risk.Level
		want   risk.Level
	}{
		{"nothing", nil, ""},
		{"all safe", []risk.Level{risk.Safe, risk.Safe}, risk.Safe},
		{"one that nobody knows", []risk.Level{risk.Unknown, risk.Safe}, risk.Unknown},
		{"one that asks for care", []risk.Level{risk.Safe, risk.Caution, risk.Unknown}, risk.Caution},
		{"what has no level raises nothing", []risk.Level{"", risk.Safe, "other"}, risk.Safe},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := risk.Highest(tc.levels...); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
