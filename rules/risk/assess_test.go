package risk_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/risk"
	"github.com/belaybot/belay/rules/version"
)

func tag(t testing.TB, s string) version.Tag {
	t.Helper()
	v, err := version.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func releases(tags ...string) []notes.Release {
	var out []notes.Release
	for _, s := range tags {
		out = append(out, notes.Release{Tag: s, Body: "fixes"})
	}
	return out
}

func signal(strength notes.Strength) risk.Evidence {
	return risk.Evidence{Signal: notes.Signal{Version: "v2.10.0", Text: "an option was removed", Strength: strength}}
}

func TestAssess(t *testing.T) {
	used := signal(notes.Strong)
	used.Uses = []risk.Use{{Identifier: "X", At: []pin.Location{{Path: "main.tf", Line: 1}}}}
	migrating := signal(notes.Weak)
	migrating.Migration = true
	for _, tc := range []struct {
		name    string
		in      risk.Input
		from    string
		to      string
		level   risk.Level
		reason  string
		migrate bool
	}{
		{"a minor bump with all notes is safe", risk.Input{Releases: releases("v2.10.0", "v2.11.0"), Strict: true}, "v2.9.1", "v2.11.0", risk.Safe, "notes found for 2 releases", false},
		{"a build is safe with notes", risk.Input{Releases: releases("4.6.3"), Strict: true}, "4.6.3-r1", "4.6.3-r2", risk.Safe, "build bump", false},
		{"a major bump asks", risk.Input{Releases: releases("5.0.2")}, "4.3.4", "5.0.2", risk.Caution, "major bump: 4.3.4 → 5.0.2", false},
		{"a major bump without notes asks and says so", risk.Input{}, "4.3.4", "5.0.2", risk.Caution, "no release notes found", false},
		{"0.x is major when configured", risk.Input{Releases: releases("0.38.0"), ZeroMajor: true}, "0.37.1", "0.38.0", risk.Caution, "major", false},
		{"0.x is minor otherwise", risk.Input{Releases: releases("0.38.0")}, "0.37.1", "0.38.0", risk.Safe, "minor", false},
		{"a strong signal asks", risk.Input{Releases: releases("v2.10.0"), Evidence: []risk.Evidence{signal(notes.Strong)}}, "v2.9.1", "v2.10.0", risk.Caution, "1 breaking signal", false},
		{"a weak signal asks when strict", risk.Input{Releases: releases("v2.10.0"), Evidence: []risk.Evidence{signal(notes.Weak)}, Strict: true}, "v2.9.1", "v2.10.0", risk.Caution, "1 weak signal", false},
		{"a weak signal is shown otherwise", risk.Input{Releases: releases("v2.10.0"), Evidence: []risk.Evidence{signal(notes.Weak)}}, "v2.9.1", "v2.10.0", risk.Safe, "only weak signals", false},
		{"what is used here is counted", risk.Input{Releases: releases("v2.10.0"), Evidence: []risk.Evidence{used}}, "v2.9.1", "v2.10.0", risk.Caution, "1 about settings used here", false},
		{"always_step asks", risk.Input{Releases: releases("v2.10.0"), AlwaysStep: true}, "v2.9.1", "v2.10.0", risk.Caution, "always_step", false},
		{"no notes are unknown", risk.Input{}, "v2.9.1", "v2.10.0", risk.Unknown, "no release notes found between", false},
		{"one missing version is unknown", risk.Input{Releases: releases("v2.10.0", "v2.11.0"), Missing: []string{"v2.10.1"}}, "v2.9.1", "v2.11.0", risk.Unknown, "no release notes for v2.10.1", false},
		{"an empty body is missing", risk.Input{Releases: append(releases("v2.11.0"), notes.Release{Tag: "v2.10.0", Body: " \n"})}, "v2.9.1", "v2.11.0", risk.Unknown, "v2.10.0", false},
		{"notes without the target are unknown", risk.Input{Releases: releases("v2.10.0")}, "v2.9.1", "v2.11.0", risk.Unknown, "no release notes for v2.11.0 itself", false},
		{"many missing are counted", risk.Input{Releases: releases("v2.11.0"), Missing: []string{"a", "b", "c", "d", "e"}}, "v2.9.1", "v2.11.0", risk.Unknown, "a, b, c and 2 more", false},
		{"a migration is marked", risk.Input{Releases: releases("v2.10.0"), Migration: "migrates the schema"}, "v2.9.1", "v2.10.0", risk.Safe, "", true},
		{"a signal may mark it", risk.Input{Releases: releases("v2.10.0"), Evidence: []risk.Evidence{migrating}}, "v2.9.1", "v2.10.0", risk.Safe, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.in.From, tc.in.To = tag(t, tc.from), tag(t, tc.to)
			got := risk.Assess(tc.in)
			if got.Level != tc.level || !strings.Contains(strings.Join(got.Reasons, "\n"), tc.reason) || got.Migration != tc.migrate {
				t.Errorf("got %s, %q, migration %v; want %s, %q, %v", got.Level, got.Reasons, got.Migration, tc.level, tc.reason, tc.migrate)
			}
			if len(got.Reasons) == 0 {
				t.Error("no reason given")
			}
		})
	}
}

func TestEvidenceIsSorted(t *testing.T) {
	weak, strong, used := signal(notes.Weak), signal(notes.Strong), signal(notes.Weak)
	used.Uses = []risk.Use{{Identifier: "X", At: []pin.Location{{Path: "main.tf", Line: 1}}}}
	used.Text, strong.Text, weak.Text = "used", "strong", "weak"
	got := risk.Assess(risk.Input{From: tag(t, "1.0"), To: tag(t, "1.1"), Evidence: []risk.Evidence{weak, strong, used}})
	var order []string
	for _, e := range got.Evidence {
		order = append(order, e.Text)
	}
	if fmt.Sprint(order) != "[used strong weak]" {
		t.Errorf("order is %v", order)
	}
}

func TestMayAutomerge(t *testing.T) {
	if !risk.MayAutomerge(risk.Safe, []string{"safe"}) || risk.MayAutomerge(risk.Unknown, []string{"safe"}) || risk.MayAutomerge(risk.Safe, nil) {
		t.Error("the list is not followed")
	}
	if risk.MayAutomerge(risk.Caution, []string{"caution"}) {
		t.Error("CAUTION is merged without a person")
	}
}

var rank = map[risk.Level]int{risk.Safe: 0, risk.Unknown: 1, risk.Caution: 2}

// TestRiskNeverFalls holds for any input: another signal never lowers the risk,
// and without notes for every version between it is never SAFE.
func TestRiskNeverFalls(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		in := risk.Input{
			From: tag(t, fmt.Sprintf("%d.%d.0", rnd.IntN(2), rnd.IntN(3))), To: tag(t, fmt.Sprintf("%d.%d.1", rnd.IntN(3), rnd.IntN(4))),
			AlwaysStep: rnd.IntN(5) == 0, Strict: rnd.IntN(2) == 0, ZeroMajor: rnd.IntN(2) == 0,
		}
		for range rnd.IntN(3) {
			in.Releases = append(in.Releases, notes.Release{Tag: fmt.Sprintf("1.%d.1", rnd.IntN(4)), Body: []string{"", "x"}[rnd.IntN(2)]})
		}
		if rnd.IntN(3) == 0 {
			in.Missing = []string{"1.1.9"}
		}
		for range rnd.IntN(3) {
			in.Evidence = append(in.Evidence, signal([]notes.Strength{notes.Weak, notes.Strong}[rnd.IntN(2)]))
		}
		before := risk.Assess(in)
		empty := len(in.Missing) > 0 || len(in.Releases) == 0
		for _, r := range in.Releases {
			empty = empty || r.Body == ""
		}
		if empty && before.Level == risk.Safe {
			t.Fatalf("SAFE without all notes: %+v", in)
		}
		in.Evidence = append(in.Evidence, signal([]notes.Strength{notes.Weak, notes.Strong}[rnd.IntN(2)]))
		if after := risk.Assess(in); rank[after.Level] < rank[before.Level] {
			t.Fatalf("another signal turned %s into %s: %+v", before.Level, after.Level, in)
		}
	}
}
