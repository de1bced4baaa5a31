package watch_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/watch"
)

var states = []watch.State{watch.Good, watch.Good, watch.Good, watch.Progressing, watch.NotDeployed, watch.Bad, watch.Absent, watch.Blind}

// story is a random watch: whole looks every 15 s, give or take.
func story(r *rand.Rand, allowed []watch.State) [][]watch.Sample {
	var out [][]watch.Sample
	at := applied
	names := map[watch.Kind][]string{watch.Rollout: {"deployment web/web", "statefulset web/db"}, watch.HTTP: {"https://a.example.org", "https://b.example.org"}, watch.Kuma: {"web"}}
	kinds := []watch.Kind{watch.Rollout, watch.HTTP, watch.Kuma}
	kinds = kinds[r.IntN(2):]
	now := map[string]watch.State{}
	for range 20 + r.IntN(80) {
		at = at.Add(15*time.Second + time.Duration(r.IntN(2000)-1000)*time.Millisecond)
		var look []watch.Sample
		for _, k := range kinds {
			for _, n := range names[k] {
				if now[n] == "" || r.IntN(4) == 0 {
					now[n] = allowed[r.IntN(len(allowed))]
				}
				look = append(look, watch.Sample{At: at, Kind: k, Name: n, State: now[n], Detail: "detail", Cause: watch.CauseUnhealthy, Log: "log"})
			}
		}
		out = append(out, look)
	}
	return out
}

// each calls f for many random watches, with the seed for the error.
func each(t *testing.T, f func(t *testing.T, r *rand.Rand)) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { f(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func TestFoldLeavesItsInputAlone(t *testing.T) {
	each(t, func(t *testing.T, r *rand.Rand) {
		var s watch.Summary
		for _, look := range story(r, states) {
			before, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			samples := slices.Clone(look)
			next := watch.Fold(s, look)
			if after, _ := json.Marshal(s); string(after) != string(before) {
				t.Fatal("the summary that went in was changed")
			}
			if diff := cmp.Diff(samples, look); diff != "" {
				t.Fatal(diff)
			}
			s = next
		}
	})
}

func TestStoredAndReadBackIsTheSame(t *testing.T) {
	each(t, func(t *testing.T, r *rand.Rand) {
		var kept, stored watch.Summary
		for _, look := range story(r, states) {
			kept = watch.Fold(kept, look)
			stored = watch.Fold(stored, look)
			data, err := json.Marshal(stored)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > 8<<10 {
				t.Fatalf("%d bytes", len(data))
			}
			stored = watch.Summary{}
			if err := json.Unmarshal(data, &stored); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(kept, stored); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestTwiceShuffledOrLateIsTheSame(t *testing.T) {
	each(t, func(t *testing.T, r *rand.Rand) {
		var once, twice watch.Summary
		looks := story(r, states)
		for i, look := range looks {
			once = watch.Fold(once, look)
			shuffled := slices.Clone(look)
			r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if i == 0 {
				shuffled = slices.Clone(look) // the first look sets the order in which things are shown
			}
			twice = watch.Fold(watch.Fold(twice, shuffled), look)
			if i > 0 {
				twice = watch.Fold(twice, looks[r.IntN(i)])
			}
			if diff := cmp.Diff(once, twice); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestNoBadLookNoRevert(t *testing.T) {
	each(t, func(t *testing.T, r *rand.Rand) {
		// Short looks under way are fine: Rollout is out of reach of these stories.
		l := limits
		l.Rollout = 24 * time.Hour
		var s watch.Summary
		for _, look := range story(r, []watch.State{watch.Good, watch.NotDeployed, watch.Absent, watch.Blind}) {
			s = watch.Fold(s, look)
			for d := time.Duration(0); d < time.Hour; d += 7 * time.Minute {
				if v := watch.Judge(s, l, s.Last.Add(d)); v.Health == watch.HealthBad {
					t.Fatal(v.Why)
				}
			}
		}
	})
}

func TestGoodIsEarned(t *testing.T) {
	good := 0
	each(t, func(t *testing.T, r *rand.Rand) {
		var s watch.Summary
		clean := applied // since when nothing was bad or blind
		for _, look := range story(r, states) {
			s = watch.Fold(s, look)
			at := look[0].At
			for _, x := range look {
				if x.State == watch.Bad || x.State == watch.Blind || x.State == watch.Progressing || x.State == watch.NotDeployed && x.Kind == watch.Rollout {
					clean = at
				}
			}
			if v := watch.Judge(s, limits, at); v.Health == watch.HealthGood {
				good++
				if at.Sub(applied) < limits.Window || !at.After(clean) {
					t.Fatalf("good %s after the apply, not clean at %s", at.Sub(applied), clean)
				}
			}
		}
	})
	if good < 20 {
		t.Errorf("only %d good verdicts: the stories prove little", good)
	}
}

func TestFatalIsNeverMissed(t *testing.T) {
	each(t, func(t *testing.T, r *rand.Rand) {
		var s watch.Summary
		looks := story(r, states)
		when := r.IntN(len(looks))
		for i, look := range looks {
			if i == when {
				look = append(slices.Clone(look), watch.Sample{At: look[0].At, Kind: watch.Rollout, Name: "deployment web/new", State: watch.Fatal, Cause: watch.CauseCrash})
			}
			s = watch.Fold(s, look)
			if v := watch.Judge(s, limits, look[0].At); i >= when && (v.Health != watch.HealthBad || v.Cause == "") {
				t.Fatalf("%s", v.Health)
			}
		}
	})
}

func TestEveryWatchEnds(t *testing.T) {
	each(t, func(t *testing.T, r *rand.Rand) {
		var s watch.Summary
		looks := story(r, states)
		last := looks[len(looks)-1]
		for i := 0; ; i++ { // what was found last stays so
			var look []watch.Sample
			if i < len(looks) {
				look = looks[i]
			} else {
				look = slices.Clone(last)
				for n := range look {
					look[n].At = last[n].At.Add(time.Duration(i-len(looks)+1) * 15 * time.Second)
				}
			}
			s = watch.Fold(s, look)
			if v := watch.Judge(s, limits, look[0].At); v.Health != watch.HealthRunning {
				return
			}
			if look[0].At.Sub(last[0].At) > time.Hour {
				t.Fatalf("no verdict: %+v", s)
			}
		}
	})
}

func TestLongTextsAreCut(t *testing.T) {
	x := watch.Sample{At: applied, Kind: watch.HTTP, Name: "https://web.example.org", State: watch.Bad, Detail: strings.Repeat("ä\n", 1000), Log: strings.Repeat("line ü\n", 10_000) + "the end"}
	s := watch.Fold(watch.Summary{}, []watch.Sample{x})
	w := s.Watched[0]
	if len(w.Detail) > 310 || strings.Contains(w.Detail, "\n") || len(w.Worst.Log) > 4<<10 || !strings.HasPrefix(w.Worst.Log, "line ü\n") || !strings.HasSuffix(w.Worst.Log, "the end") {
		t.Errorf("detail of %d bytes, log of %d bytes from %.10q", len(w.Detail), len(w.Worst.Log), w.Worst.Log)
	}
}

// FuzzJudge takes each byte as a look: its low bits say what is found, the high
// ones how much time went by.
func FuzzJudge(f *testing.F) {
	f.Add([]byte("healthy"), uint8(0))
	f.Add([]byte{1, 2, 3, 250, 251, 252}, uint8(3))
	f.Fuzz(func(t *testing.T, looks []byte, kinds uint8) {
		var s watch.Summary
		at := applied
		for i, b := range looks {
			at = at.Add(time.Duration(b>>3) * time.Second)
			kind := []watch.Kind{watch.Rollout, watch.HTTP, watch.Kuma, watch.Prometheus}[(int(kinds)+i*int(kinds&1))%4]
			last := states[b&7]
			s = watch.Fold(s, []watch.Sample{{At: at, Kind: kind, Name: "x", State: last}})
			v := watch.Judge(s, limits, at)
			if v.Health == watch.HealthGood && (last == watch.Bad || at.Sub(applied) < limits.Window) {
				t.Fatalf("good after %s with %s", at.Sub(applied), last)
			}
			if v.Health == watch.HealthRunning && !v.Until.After(at) {
				t.Fatalf("running, and the next look is at %s", v.Until)
			}
			if v.Why == "" {
				t.Fatal("a verdict without words")
			}
		}
	})
}
