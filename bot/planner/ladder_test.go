package planner_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
)

// annotated is the sample with an annotation beside its image.
func annotated(annotation string) string {
	return strings.Replace(sample, "    template {\n", "    template {\n      metadata {\n        annotations = {\n          "+annotation+"\n        }\n      }\n", 1)
}

// TestStepToTheEndOfPinsThatDifferInDigests: of two pins of one image, the first
// of which carries no digest, the second gets that of the new version.
func TestStepToTheEndOfPinsThatDifferInDigests(t *testing.T) {
	container := func(name, ref string) string {
		return "        container {\n          name  = \"" + name + "\"\n          image = \"" + ref + "\"\n        }\n"
	}
	inv := scan(t, map[string]string{"web/main.tf": "resource \"kubernetes_deployment\" \"web\" {\n  spec {\n    template {\n      spec {\n" +
		container("web", "acme/web:2.0.0") + container("worker", "acme/web:2.0.0@sha256:"+strings.Repeat("a", 64)) + "      }\n    }\n  }\n}\n"})
	p := planner.Planner{Policy: policy.Default(), Upstream: &outside{notes: upstream.Notes{From: "GitHub releases", Releases: []notes.Release{{Tag: "3.0.0", Body: "### Breaking changes\n\n- `OLD` was removed"}}}}}
	r, err := p.Plan(t.Context(), inv, dispatch(t, "acme/web", "3.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := p.Step(t.Context(), inv, r, planner.Climb{Service: "web", Old: &ladder.Ladder{ID: "u1", From: "1.0.0", Rungs: []string{"2.0.0", "3.0.0"}, Place: 2}})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(s.Changes[0].Content); !strings.Contains(text, `"acme/web:3.0.0"`) || !strings.Contains(text, `"acme/web:3.0.0@sha256:`+strings.Repeat("b", 64)+`"`) {
		t.Errorf("it becomes\n%s", text)
	}
}

// TestStep plans the hop that is due of an upgrade to 4.0.0 of what is pinned at 2.0.0.
func TestStep(t *testing.T) {
	released := upstream.Notes{Repository: "acme/web", From: "GitHub releases", Releases: []notes.Release{
		{Tag: "v2.1.0", Body: "- Faster search"}, {Tag: "v3.0.0-rc.1", Body: "- Try it", Prerelease: true},
		{Tag: "v3.0.0", Body: "### Breaking changes\n\n- `OLD_SETTING` was removed"}, {Tag: "v4.0.0", Body: "### Breaking changes\n\n- `OTHER` was removed"}}}
	withdrawn := released
	withdrawn.Releases = append([]notes.Release{{Tag: "v2.1.0", Name: "2.1.0 [YANKED]"}}, released.Releases[1:]...)
	for _, tc := range []struct {
		name   string
		out    outside
		file   string // "": sample
		config string
		climb  planner.Climb
		to     string
		level  risk.Level
		way    string // "2.1.0 3.0.0 4.0.0"; "" is one hop
		said   string // among the warnings
		left   string
	}{
		{name: "the first rung, with its own risk", out: outside{notes: released}, to: "2.1.0", level: risk.Safe, way: "2.1.0 3.0.0 4.0.0"},
		{name: "in one hop where the configuration says so", out: outside{notes: released}, config: "steps: direct", to: "4.0.0", level: risk.Caution},
		{name: "the second", out: outside{notes: released}, climb: planner.Climb{Old: &ladder.Ladder{ID: "u1", From: "1.0.0", Rungs: []string{"2.0.0", "3.0.0", "4.0.0"}, Place: 2}}, to: "3.0.0", level: risk.Caution, way: "2.0.0 3.0.0 4.0.0"},
		{name: "without what failed before", out: outside{notes: released}, climb: planner.Climb{Blocked: []ladder.Left{{Version: "2.1.0", Why: "it failed"}}}, to: "3.0.0", level: risk.Caution, way: "3.0.0 4.0.0", left: "it failed"},
		{name: "without what was withdrawn", out: outside{notes: withdrawn}, to: "3.0.0", level: risk.Caution, way: "3.0.0 4.0.0", left: "withdrawn"},
		{name: "without what an annotation leaves out", out: outside{notes: released}, file: annotated(`"diun.exclude_tags" = "^3[.]0"`), to: "2.1.0", level: risk.Safe, way: "2.1.0 4.0.0", left: "3.0.0 tag 3.0.0 matches diun.exclude_tags"},
		{name: "of what an annotation lets through", out: outside{notes: released}, file: annotated(`"diun.include_tags" = "^[34][.]"`), to: "3.0.0", level: risk.Caution, way: "3.0.0 4.0.0", left: "2.1.0 tag 2.1.0 does not match diun.include_tags"},
		{name: "without what has no image", out: outside{notes: released, tags: map[string]error{"2.1.0": upstream.ErrNotFound, "2.0.0": nil}}, to: "3.0.0", level: risk.Caution, way: "3.0.0 4.0.0", left: "no image"},
		{name: "a registry that shows nothing skips nothing", out: outside{notes: released, tags: map[string]error{"2.1.0": upstream.ErrNotFound, "2.0.0": upstream.ErrNotFound}}, to: "2.1.0", level: risk.Safe, way: "2.1.0 3.0.0 4.0.0", said: "does not show this image"},
		{name: "one that is down skips nothing", out: outside{notes: released, tags: map[string]error{"2.1.0": errors.New("the registry answers 503")}}, to: "2.1.0", level: risk.Safe, way: "2.1.0 3.0.0 4.0.0", said: "answers 503"},
		{name: "the end is not asked for", out: outside{notes: upstream.Notes{From: "GitHub releases", Releases: released.Releases[3:]}, tags: map[string]error{}}, to: "4.0.0", level: risk.Caution},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv := scan(t, map[string]string{"web/main.tf": cmp.Or(tc.file, sample)})
			config := policy.Default()
			if tc.config != "" {
				var err error
				if config, err = policy.Parse("belay.yml", []byte(tc.config)); err != nil {
					t.Fatal(err)
				}
			}
			p := planner.Planner{Policy: config, Upstream: &tc.out}
			r, err := p.Plan(t.Context(), inv, dispatch(t, "acme/web", "4.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			tc.climb.Service = "web"
			s, ok, err := p.Step(t.Context(), inv, r, tc.climb)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			u := s.Upgrade
			if u.From != "2.0.0" || u.To != tc.to || u.Risk.Level != tc.level || !strings.Contains(u.Edits[0].After, "acme/web:"+tc.to) || len(s.Changes) != 1 || len(u.Moves) != 1 {
				t.Errorf("%s → %s is %s and edits %+v", u.From, u.To, u.Risk.Level, u.Edits)
			}
			way, left := "", ""
			if u.Ladder != nil {
				way = strings.Join(u.Ladder.Rungs, " ")
				for _, l := range u.Ladder.Left {
					left += l.Version + " " + l.Why
				}
				if u.Automerge {
					t.Error("a step is merged without a person")
				}
			}
			if way != tc.way || !strings.Contains(left, tc.left) || !strings.Contains(strings.Join(u.Warnings, "\n"), tc.said) {
				t.Errorf("way %q, left out %q, warnings %q", way, left, u.Warnings)
			}
		})
	}
}

func TestStepOfAChart(t *testing.T) {
	out := outside{notes: upstream.Notes{From: "GitHub releases", Releases: []notes.Release{{Tag: "1.1.0", Body: "- x"}, {Tag: "1.1.5", Body: "- x"}, {Tag: "1.2.0", Body: "### Breaking changes\n\n- `values.old` was removed"}}},
		images: map[string][]upstream.ChartImage{"app 1.0.0": {{Name: "acme/web", Tag: "1.9.0"}}, "app 1.1.0": {{Name: "acme/web", Tag: "1.9.5"}}, "app 1.2.0": {{Name: "acme/web", Tag: "v2.1.0"}}}}
	inv := scan(t, map[string]string{"app/main.tf": release})
	p := planner.Planner{Policy: policy.Default(), Upstream: &out}
	r, err := p.Plan(t.Context(), inv, dispatch(t, "acme/web", "2.1.0"))
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := p.Step(t.Context(), inv, r, planner.Climb{Service: "app"})
	if err != nil {
		t.Fatal(err)
	}
	// 1.1.5 has notes and is not in the chart's index.
	if u := s.Upgrade; u.To != "1.1.0" || u.AppTo != "1.9.5" || strings.Join(u.Ladder.Rungs, " ") != "1.1.0 1.1.5 1.2.0" {
		t.Errorf("%s with %s, %+v", u.To, u.AppTo, u.Ladder)
	}
	next := s.Upgrade.Ladder.Step("u1")
	next.From, next.Rungs, next.Place = "0.9.0", []string{"1.0.0", "1.1.5", "1.2.0"}, 2
	if s, _, err = p.Step(t.Context(), inv, r, planner.Climb{Service: "app", Old: next}); err != nil || s.Upgrade.To == "1.1.5" {
		t.Errorf("it goes to a version that the chart's repository does not have: %s, %v", s.Upgrade.To, err)
	}
}
