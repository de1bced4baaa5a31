package risk_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/risk"
)

func TestAdvised(t *testing.T) {
	for _, tc := range []struct {
		name  string
		rules risk.Level
		says  risk.Level
		want  risk.Level
	}{
		{"an adviser that is content leaves SAFE", risk.Safe, risk.Safe, risk.Safe},
		{"an adviser that warns raises SAFE", risk.Safe, risk.Caution, risk.Caution},
		{"an adviser that says nothing leaves SAFE", risk.Safe, "", risk.Safe},
		{"an adviser cannot say UNKNOWN", risk.Safe, risk.Unknown, risk.Safe},
		{"an adviser that is content leaves UNKNOWN", risk.Unknown, risk.Safe, risk.Unknown},
		{"an adviser that warns raises UNKNOWN", risk.Unknown, risk.Caution, risk.Caution},
		{"an adviser that is content leaves CAUTION", risk.Caution, risk.Safe, risk.Caution},
		{"an adviser that warns leaves CAUTION", risk.Caution, risk.Caution, risk.Caution},
		{"an adviser that makes up a level changes nothing", risk.Safe, "harmless", risk.Safe},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := risk.Assessment{Level: tc.rules, Reasons: []string{"the rules' reason"}}
			got := before.Advised(tc.says, "the adviser's")
			if got.Level != tc.want {
				t.Errorf("%s, want %s", got.Level, tc.want)
			}
			if !strings.Contains(strings.Join(got.Reasons, "\n"), "the rules' reason") {
				t.Errorf("the rules' reason is lost: %q", got.Reasons)
			}
			if raised := got.Level != tc.rules; raised != strings.Contains(strings.Join(got.Reasons, "\n"), "the adviser's") {
				t.Errorf("reasons %q of an assessment that was raised: %v", got.Reasons, raised)
			}
			if before.Reasons[0] != "the rules' reason" {
				t.Error("the assessment that went in was changed")
			}
		})
	}
}

// TestAdviceNeverLowers holds for whatever an adviser says, also several times:
// the level is never lower than the rules', and nothing else changes.
func TestAdviceNeverLowers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	levels := []risk.Level{risk.Safe, risk.Unknown, risk.Caution, "", "none", "SAFE", "critical"}
	for range 5000 {
		a := risk.Assessment{Level: levels[rnd.IntN(3)], Reasons: []string{"r"}, Security: []string{"CVE-2026-1"}, Migration: rnd.IntN(2) == 0}
		got, heard := a, []risk.Level{}
		for range rnd.IntN(5) {
			says := levels[rnd.IntN(len(levels))]
			heard = append(heard, says)
			got = got.Advised(says, "why")
		}
		if rank[got.Level] < rank[a.Level] {
			t.Fatalf("%v turned %s into %s", heard, a.Level, got.Level)
		}
		if got.Migration != a.Migration || fmt.Sprint(got.Security) != fmt.Sprint(a.Security) {
			t.Fatalf("%v changed what is not theirs: %+v", heard, got)
		}
	}
}
