package ladder_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
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

func tags(t testing.TB, list string) []version.Tag {
	t.Helper()
	var out []version.Tag
	for s := range strings.FieldsSeq(list) {
		out = append(out, tag(t, s))
	}
	return out
}

// at is a ladder whose step goes to the rung in brackets: "1.0 < 1.1 [1.2] 1.3".
func at(s string) *ladder.Ladder {
	from, rest, _ := strings.Cut(s, " < ")
	l := &ladder.Ladder{ID: "u1", From: from, Rule: version.StepsEvery}
	for i, r := range strings.Fields(rest) {
		if v := strings.Trim(r, "[]"); v != r {
			l.Place, r = i+1, v
		}
		l.Rungs = append(l.Rungs, r)
	}
	return l
}

// drawn is the other way round.
func drawn(l *ladder.Ladder) string {
	out := l.From + " <"
	for i, r := range l.Rungs {
		if i+1 == l.Place {
			r = "[" + r + "]"
		}
		out += " " + r
	}
	return out
}

func TestDraw(t *testing.T) {
	const all = "1.0 1.1 1.2 1.2.1 1.3 2.0 2.1"
	for _, tc := range []struct {
		name        string
		old         *ladder.Ladder
		anew        bool
		pinned, top string
		released    string
		rule        version.Steps
		left        string
		want        string
	}{
		{name: "a new ladder has every release", pinned: "1.0", top: "2.0", rule: version.StepsEvery, want: "1.0 < [1.1] 1.2 1.2.1 1.3 2.0"},
		{name: "or the last patch of every minor", pinned: "1.0", top: "2.0", rule: version.StepsMinor, want: "1.0 < [1.1] 1.2.1 1.3 2.0"},
		{name: "or the last of every major", pinned: "1.0", top: "2.1", rule: version.StepsMajor, want: "1.0 < [1.3] 2.1"},
		{name: "or goes at once", pinned: "1.0", top: "2.1", rule: version.StepsDirect, want: "1.0 < [2.1]"},
		{name: "what is left out is no rung", pinned: "1.0", top: "2.0", rule: version.StepsEvery, left: "1.1 1.2.1", want: "1.0 < [1.2] 1.3 2.0"},
		{name: "the patch before takes the place of one that is left out", pinned: "1.0", top: "2.0", rule: version.StepsMinor, left: "1.2.1", want: "1.0 < [1.1] 1.2 1.3 2.0"},
		{name: "the end is never left out", pinned: "1.3", top: "2.0", rule: version.StepsEvery, left: "2.0", want: "1.3 < [2.0]"},
		{name: "the second step, from where the first has come to", old: at("1.0 < 1.1 [1.2] 1.3"), pinned: "1.1", top: "1.3", rule: version.StepsEvery, want: "1.0 < 1.1 [1.2] 1.2.1 1.3"},
		{name: "a release that came out late does not change a step that was begun", old: at("1.0 < 1.1 [1.2.1] 1.3"), pinned: "1.1", top: "1.3", rule: version.StepsEvery, want: "1.0 < 1.1 [1.2.1] 1.3"},
		{name: "a newer end makes it longer", old: at("1.0 < 1.1 [1.2] 1.3"), pinned: "1.1", top: "2.1", rule: version.StepsEvery, want: "1.0 < 1.1 [1.2] 1.2.1 1.3 2.0 2.1"},
		{name: "asked to choose anew, the first rung above what is pinned", old: at("1.0 < 1.1 [1.3]"), anew: true, pinned: "1.1", top: "2.0", rule: version.StepsEvery, want: "1.0 < 1.1 [1.2] 1.2.1 1.3 2.0"},
		{name: "another rule from here on", old: at("1.0 < 1.1 [1.2] 1.2.1 1.3 2.0"), anew: true, pinned: "1.1", top: "2.0", rule: version.StepsMajor, want: "1.0 < 1.1 [1.3] 2.0"},
		{name: "a lower end", old: at("1.0 < 1.1 [1.2] 1.2.1 1.3 2.0"), pinned: "1.1", top: "1.2.1", rule: version.StepsEvery, want: "1.0 < 1.1 [1.2] 1.2.1"},
		{name: "an end below the step that was begun", old: at("1.0 < 1.1 [1.3] 2.0"), pinned: "1.1", top: "1.2", rule: version.StepsEvery, want: "1.0 < 1.1 [1.2]"},
		{name: "the step that was begun is left out now", old: at("1.0 < 1.1 [1.2] 1.3"), pinned: "1.1", top: "1.3", left: "1.2", rule: version.StepsEvery, want: "1.0 < 1.1 [1.2.1] 1.3"},
		{name: "somebody put the pin back: no step is passed over", old: at("1.0 < 1.1 1.2 [1.3] 2.0"), pinned: "1.1", top: "2.0", rule: version.StepsEvery, want: "1.0 < 1.1 [1.2] 1.2.1 1.3 2.0"},
		{name: "to before the beginning", old: at("1.1 < 1.2 [1.3] 2.0"), pinned: "1.0", top: "2.0", rule: version.StepsMinor, want: "1.0 < [1.1] 1.2.1 1.3 2.0"},
		{name: "somebody moved the pin on", old: at("1.0 < 1.1 [1.2] 1.3 2.0"), pinned: "1.3", top: "2.0", rule: version.StepsEvery, want: "1.0 < 1.1 1.2 1.3 [2.0]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.old != nil {
				tc.old.Anew = tc.anew
			}
			var left []ladder.Left
			for v := range strings.FieldsSeq(tc.left) {
				left = append(left, ladder.Left{Version: v, Why: "no image"})
			}
			got := ladder.Draw(tc.old, ladder.Way{Pinned: tag(t, tc.pinned), Top: tag(t, tc.top), Released: tags(t, all), Rule: tc.rule, Left: left})
			if diff := cmp.Diff(tc.want, drawn(&got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Anew {
				t.Error("it is to be chosen anew for ever")
			}
		})
	}
}

func TestLeftOutIsSaidInOrderAndOnce(t *testing.T) {
	left := []ladder.Left{{Version: "1.3", Why: "yanked"}, {Version: "1.1", Why: "no image"}, {Version: "1.3", Why: "no image"}, {Version: "0.9", Why: "yanked"}, {Version: "3.0", Why: "yanked"}}
	got := ladder.Draw(nil, ladder.Way{Pinned: tag(t, "1.0"), Top: tag(t, "2.0"), Released: tags(t, "1.1 1.2 1.3"), Rule: version.StepsEvery, Left: left})
	want := []ladder.Left{{Version: "1.1", Why: "no image"}, {Version: "1.3", Why: "yanked"}}
	if diff := cmp.Diff(want, got.Left); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhereAStepStands(t *testing.T) {
	l := at("1.0 < 1.1 [1.2] 1.3")
	if l.Start() != "1.1" || l.To() != "1.2" || l.Top() != "1.3" || l.Of() != "step 2 of 3" || !slices.Equal(l.Ahead(), []string{"1.3"}) {
		t.Errorf("from %s to %s, top %s, %s, ahead %v", l.Start(), l.To(), l.Top(), l.Of(), l.Ahead())
	}
	if first := at("1.0 < [1.1] 1.2"); first.Start() != "1.0" {
		t.Errorf("the first starts from %s", first.Start())
	}
	for pinned, want := range map[string]bool{"1.1": false, "1.2": true, "1.3": true} {
		if got := l.Reached(tag(t, pinned)); got != want {
			t.Errorf("pinned at %s: reached %v", pinned, got)
		}
	}
	l.All = &ladder.Agreed{Login: "ana"}
	if l.Covered() {
		t.Error("who agreed to nothing in particular agreed to it")
	}
	var none *ladder.Ladder
	if none.To() != "" || none.Top() != "" || none.Ahead() != nil || none.Covered() || none.Again() != nil {
		t.Error("no ladder has a rung")
	}
}

func TestAfter(t *testing.T) {
	for _, tc := range []struct {
		name  string
		l     *ladder.Ladder
		state lifecycle.State
		asked bool
		want  bool
		stop  string
	}{
		{"a verified step is followed by itself", at("1.0 < 1.1 [1.2] 1.3"), lifecycle.Verified, false, true, ""},
		{"after the last there is nothing", at("1.0 < 1.1 [1.2]"), lifecycle.Verified, false, false, ""},
		{"unless a newer version came out meanwhile", at("1.0 < 1.1 [1.2]").Retop("1.3"), lifecycle.Verified, false, true, ""},
		{"what is no ladder is followed by nothing", nil, lifecycle.Verified, true, false, ""},
		{"where nobody looked a person says so", at("1.0 < [1.1] 1.2"), lifecycle.Unverified, false, false, "step 1 of 2: nobody could see how 1.1 fares; `/upgrade step`"},
		{"and said so", at("1.0 < [1.1] 1.2"), lifecycle.Unverified, true, true, ""},
		{"what does not run is not climbed on", at("1.0 < [1.1] 1.2"), lifecycle.NotDeployed, false, false, "does not run; `/upgrade step`"},
		{"unless a person says so", at("1.0 < [1.1] 1.2"), lifecycle.NotDeployed, true, true, ""},
		{"what somebody else did is not verified", at("1.0 < [1.1] 1.2"), lifecycle.Obsolete, false, false, "`/upgrade step`"},
		{"a failed step ends it", at("1.0 < 1.1 [1.2] 1.3"), lifecycle.Reverted, false, false, "step 2 of 3: 1.2 failed, and 1.1 runs again; `/upgrade retry`"},
		{"whatever a person says", at("1.0 < 1.1 [1.2] 1.3"), lifecycle.Reverted, true, false, "`/upgrade retry`"},
		{"a failed one that is left to a person", at("1.0 < [1.2] 1.3"), lifecycle.Failed, true, false, "`/upgrade retry`"},
		{"a closed one", at("1.0 < [1.2] 1.3"), lifecycle.Closed, true, false, "closed it; `/upgrade retry`"},
		{"what is not over yet", at("1.0 < [1.2] 1.3"), lifecycle.Watching, true, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.l.After(tc.state, tc.asked)
			if got.Go != tc.want || !strings.Contains(got.Stop, tc.stop) || tc.stop == "" && got.Stop != "" {
				t.Errorf("got %+v, want %v %q", got, tc.want, tc.stop)
			}
		})
	}
	for _, s := range lifecycle.States() {
		if got := at("1.0 < [1.1] 1.2").After(s, false); s.Final() && !got.Go && got.Stop == "" {
			t.Errorf("%s: nobody learns why it does not go on", s)
		} else if !s.Final() && got != (ladder.Follows{}) {
			t.Errorf("%s is not over, and something follows: %+v", s, got)
		}
	}
}

func TestHolds(t *testing.T) {
	second := at("1.0 < [1.1] 1.2").Step("u1")
	for _, s := range append(lifecycle.States(), "") {
		if got, want := second.Holds(s, nil), s != lifecycle.Reverted && s != lifecycle.Failed; got != want {
			t.Errorf("the step before is %q: %v", s, got)
		}
	}
	redrawn := *second // on what is pinned after the rollback, before the step before is over
	redrawn.From, redrawn.Rungs, redrawn.Place = "1.0", []string{"1.2"}, 1
	for _, tc := range []struct {
		name     string
		l        *ladder.Ladder
		previous lifecycle.State
		blocked  string
		want     bool
	}{
		{"a forgotten step whose version is left out", second, "", "1.1", false},
		{"the same, written otherwise", second, "", "v1.1", false},
		{"the same, drawn anew meanwhile", &redrawn, "", "1.1", false},
		{"another version is left out", second, "", "1.2", true},
		{"a step that is known, and whose version failed once before", second, lifecycle.Verified, "1.1", true},
		{"the first step", at("1.1 < [1.2]"), "", "1.1", true},
		{"no ladder", nil, "", "1.1", true},
	} {
		if got := tc.l.Holds(tc.previous, []ladder.Left{{Version: tc.blocked}}); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestStep(t *testing.T) {
	l := at("1.0 < [1.1] 1.2")
	l.Next, l.Stopped, l.All = "u2", "it stands", &ladder.Agreed{Login: "ana", To: "1.2"}
	next := l.Step("u1")
	if drawn(next) != "1.0 < 1.1 [1.2]" || next.Previous != "u1" || next.Next != "" || next.Stopped != "" || next.Anew || !next.Covered() {
		t.Errorf("%+v", next)
	}
	longer := next.Retop("1.3").Step("u2")
	if drawn(longer) != "1.0 < 1.1 1.2 [1.3]" || !longer.Anew || longer.Covered() {
		t.Errorf("who agreed to 1.2 has not agreed to 1.3: %+v", longer)
	}
	if drawn(l) != "1.0 < [1.1] 1.2" || l.Next != "u2" {
		t.Errorf("the step itself was changed: %+v", l)
	}
	if short := at("1.0 < 1.1 [1.2] 1.3 1.4").Retop("1.3"); drawn(short) != "1.0 < 1.1 [1.2] 1.3" || short.Anew {
		t.Errorf("a lower end: %+v", short)
	}
	if short := at("1.0 < 1.1 [1.2] 1.3 1.4").Retop("1.2"); short.After(lifecycle.Verified, false) != (ladder.Follows{}) {
		t.Errorf("it ends here: %+v", short)
	}
	if again := l.Again(); again.Covered() || drawn(again) != drawn(l) {
		t.Errorf("after a failure nobody has agreed: %+v", again)
	}
}

// TestEveryPathEndsAndPassesNoRungOver climbs at random: releases come out and
// are withdrawn, ends are moved, rules chosen, pins moved by hand. Every step
// goes to the rung that is next by the rule in force when it was begun, needs an
// agreement of its own unless somebody agreed to all up to there, and once
// nobody interferes any more the top is reached.
func TestEveryPathEndsAndPassesNoRungOver(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	rules := []version.Steps{version.StepsEvery, version.StepsMinor, version.StepsMajor, version.StepsDirect}
	for range 300 {
		var released []version.Tag
		for major := range 3 {
			for minor := range 1 + random.IntN(3) {
				for patch := range 1 + random.IntN(3) {
					released = append(released, tag(t, fmt.Sprintf("%d.%d.%d", major+1, minor, patch)))
				}
			}
		}
		pinned, topAt := released[0], 1+random.IntN(len(released)-1)
		w := ladder.Way{Pinned: pinned, Top: released[topAt], Released: released, Rule: rules[random.IntN(4)]}
		l := ladder.Draw(nil, w)
		l.ID = "u1"
		steps, quiet := 0, false
		for {
			if steps++; steps > 60 {
				t.Fatalf("no end: %s", drawn(&l))
			}
			// The step that is open goes to the first rung above what is pinned.
			must := version.Ladder(w.Pinned, w.Top, slices.DeleteFunc(slices.Clone(released), func(v version.Tag) bool {
				return slices.ContainsFunc(w.Left, func(x ladder.Left) bool { return x.Version == v.String() })
			}), w.Rule)[0].String()
			if l.To() != must {
				t.Fatalf("pinned at %s, %s of %v: %s passes over %s", w.Pinned, w.Rule, released, drawn(&l), must)
			}
			if l.Top() != w.Top.String() {
				t.Fatalf("%s does not end at %s", drawn(&l), w.Top)
			}
			quiet = quiet || steps > 20
			if !quiet {
				switch random.IntN(6) {
				case 0: // a newer version, or a lower end
					w.Top = released[min(len(released)-1, slices.IndexFunc(released, func(v version.Tag) bool { return v.String() == w.Pinned.String() })+1+random.IntN(6))]
					l.Anew = true
				case 1:
					w.Rule, l.Anew = rules[random.IntN(4)], true
				case 2: // the registry has no image of it
					if l.To() != w.Top.String() {
						w.Left = append(w.Left, ladder.Left{Version: l.To(), Why: "no image"})
					}
				case 3: // somebody puts the pin back
					w.Pinned = released[random.IntN(1+slices.IndexFunc(released, func(v version.Tag) bool { return v.String() == w.Pinned.String() }))]
				case 4:
					l.All = &ladder.Agreed{Login: "ana", To: l.Top()}
				}
				if version.CompareReleases(w.Pinned, w.Top) >= 0 {
					break
				}
				l = ladder.Draw(&l, w)
				continue
			}
			if l.Covered() != (l.All != nil && version.CompareReleases(tag(t, l.To()), tag(t, l.All.To)) <= 0) {
				t.Fatalf("%s is covered by %+v: %v", drawn(&l), l.All, l.Covered())
			}
			w.Pinned = tag(t, l.To()) // merged and verified
			after := l.After(lifecycle.Verified, false)
			if !after.Go {
				if w.Pinned.String() != w.Top.String() {
					t.Fatalf("%s ends before %s", drawn(&l), w.Top)
				}
				break
			}
			l = ladder.Draw(l.Step("u"+fmt.Sprint(steps)), w)
		}
	}
}
