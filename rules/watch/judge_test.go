package watch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/rules/watch"
)

var (
	applied = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	limits  = watch.Limits{Since: applied, Window: 2 * time.Minute, Retries: 3, Interval: 15 * time.Second, Extend: 10 * time.Minute}
)

// letters say what a look finds, one letter a look: "PPGGB".
var letters = map[rune]watch.State{'G': watch.Good, 'P': watch.Progressing, 'N': watch.NotDeployed, 'B': watch.Bad, 'F': watch.Fatal, 'A': watch.Absent, '?': watch.Blind}

// look is what was found at one look of a script; '.' is an observer that gives nothing.
func look(x map[watch.Kind]string, i int, at time.Time) []watch.Sample {
	var out []watch.Sample
	for kind, script := range x {
		letter := rune(script[min(i, len(script)-1)]) // the last letter goes on for ever
		if letter == '.' {
			continue
		}
		s := watch.Sample{At: at, Kind: kind, Name: string(kind), State: letters[letter], Detail: "found " + string(letter)}
		if s.State == watch.Fatal {
			s.Cause, s.Log = watch.CauseOOM, "last words"
		}
		out = append(out, s)
	}
	return out
}

// play looks every 15 s until there is a verdict, and says after how long.
func play(t *testing.T, l watch.Limits, x map[watch.Kind]string) (watch.Verdict, time.Duration) {
	t.Helper()
	var s watch.Summary
	for i := range 1000 {
		after := time.Duration(i) * 15 * time.Second
		s = watch.Fold(s, look(x, i, applied.Add(after)))
		v := watch.Judge(s, l, applied.Add(after))
		if v.Health != watch.HealthRunning {
			return v, after
		}
		if !v.Until.After(applied.Add(after)) || v.Until.After(applied.Add(after+15*time.Second)) {
			t.Fatalf("after %s the next look is at %s", after, v.Until)
		}
	}
	t.Fatal("no verdict after four hours")
	return watch.Verdict{}, 0
}

func TestJudge(t *testing.T) {
	type looks = map[watch.Kind]string
	const rollout, web, kuma, prom = watch.Rollout, watch.HTTP, watch.Kuma, watch.Prometheus
	many := strings.Repeat
	for _, tc := range []struct {
		name  string
		looks looks
		want  watch.Health
		after time.Duration
		why   string
	}{
		{"healthy through the window", looks{rollout: "G", web: "G", kuma: "G"}, watch.HealthGood, 2 * time.Minute, "healthy for 2m"},
		{"the window begins when the version runs", looks{rollout: "NPPPPG", web: "G"}, watch.HealthGood, 75*time.Second + 2*time.Minute, ""},
		{"a slow start is no failure", looks{rollout: many("P", 36) + "G", web: many("B", 36) + "G"}, watch.HealthGood, 11 * time.Minute, ""},
		{"a crash fails at once", looks{rollout: "PPF", web: "G"}, watch.HealthBad, 30 * time.Second, "found F"},
		{"a crash late in the window", looks{rollout: "GGGGGGGF"}, watch.HealthBad, 105 * time.Second, ""},
		{"never ready", looks{rollout: "P"}, watch.HealthBad, 10 * time.Minute, "not Ready after 10m"},
		{"never ready while Uptime Kuma is down", looks{rollout: "P", kuma: "?"}, watch.HealthBad, 10 * time.Minute, "not Ready"},
		{"a pod that cannot be started is given two minutes", looks{rollout: "PB"}, watch.HealthBad, 135 * time.Second, ""},
		{"a pod that moves to another node", looks{rollout: "GGBBBBG", web: "GGBBBBG"}, watch.HealthGood, 3 * time.Minute, ""},
		{"5xx from the start", looks{rollout: "PPG", web: "B"}, watch.HealthBad, time.Minute, "3 looks in a row over 30s"},
		{"5xx late in the window", looks{rollout: "G", web: "GGGGGGGB"}, watch.HealthBad, 135 * time.Second, ""},
		{"5xx at the window's last look", looks{rollout: "G", web: "GGGGGGGGB"}, watch.HealthBad, 150 * time.Second, ""},
		{"a blip shorter than the retries", looks{rollout: "G", web: "GGBBG"}, watch.HealthGood, 150 * time.Second, ""},
		{"a blip at the start changes nothing", looks{rollout: "G", web: "BG"}, watch.HealthGood, 2 * time.Minute, ""},
		{"every other time is not healthy", looks{rollout: "G", web: many("GB", 200)}, watch.HealthBad, 12 * time.Minute, "unhealthy"},
		{"two of three is not healthy", looks{rollout: "G", web: many("GBB", 200)}, watch.HealthBad, 12 * time.Minute, ""},
		{"a blip every minute and a half is for a person", looks{rollout: "G", web: many("GGGGGB", 200)}, watch.HealthInconclusive, 12 * time.Minute, "never 3 looks in a row"},
		{"readiness on and off", looks{rollout: "G" + many("BG", 200)}, watch.HealthBad, 12 * time.Minute, ""},
		{"Uptime Kuma repeats one beat", looks{rollout: "G", kuma: "GBBBBG"}, watch.HealthGood, 165 * time.Second, ""},
		{"Uptime Kuma says down for longer than two beats", looks{rollout: "G", kuma: "GB"}, watch.HealthBad, 165 * time.Second, ""},
		{"Uptime Kuma is still pending at the end", looks{rollout: "G", kuma: many("G", 7) + "PPPPB"}, watch.HealthBad, 5*time.Minute + 15*time.Second, ""},
		{"maintenance and absent monitors are left out", looks{rollout: "G", kuma: "A"}, watch.HealthGood, 2 * time.Minute, ""},
		{"a query out of bounds", looks{rollout: "G", prom: "GGB"}, watch.HealthBad, time.Minute, ""},
		{"the merged version never runs", looks{rollout: "N", web: "B"}, watch.HealthNotDeployed, 2 * time.Minute, "does not run"},
		{"the cluster is out of reach to the end", looks{rollout: "?", web: "B"}, watch.HealthInconclusive, 12 * time.Minute, "could not be seen"},
		{"the cluster and the service vanish together", looks{rollout: "GGGG????????G", web: "GGGGBBBBBBBBG"}, watch.HealthGood, 4 * time.Minute, ""},
		{"failures must be in a row that was seen", looks{rollout: "G", web: "GBB?BBG"}, watch.HealthGood, 3 * time.Minute, ""},
		{"the API server restarts during the roll-out", looks{rollout: "NP????PG", web: "G"}, watch.HealthGood, 105*time.Second + 2*time.Minute, ""},
		{"Uptime Kuma down for a while extends the window", looks{rollout: "G", kuma: "G????G"}, watch.HealthGood, 3 * time.Minute, ""},
		{"Uptime Kuma down to the end", looks{rollout: "G", web: "G", kuma: "?"}, watch.HealthInconclusive, 12 * time.Minute, "out of reach"},
		{"a crash while Uptime Kuma is down", looks{rollout: "GGGGF", kuma: "?"}, watch.HealthBad, time.Minute, ""},
		{"nothing to observe", looks{rollout: "A", web: "A"}, watch.HealthUnwatched, 2 * time.Minute, "nothing"},
		{"no observer at all", looks{rollout: "."}, watch.HealthUnwatched, 2 * time.Minute, ""},
		{"HTTP alone, healthy", looks{web: "G"}, watch.HealthGood, 2 * time.Minute, ""},
		{"HTTP alone, the old pod ends before the new one is up", looks{web: "GBBBBBG"}, watch.HealthGood, 3 * time.Minute, ""},
		{"HTTP alone, 5xx from the start", looks{web: "B"}, watch.HealthBad, 150 * time.Second, ""},
		{"nobody looked for an hour", looks{rollout: "GG" + many(".", 240) + "G"}, watch.HealthGood, time.Hour + 135*time.Second, ""},
		{"the observer of the cluster falls silent", looks{rollout: "GG" + many(".", 240), web: "G"}, watch.HealthInconclusive, 12 * time.Minute, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, after := play(t, limits, tc.looks)
			if v.Health != tc.want || after != tc.after || !strings.Contains(v.Why, tc.why) {
				t.Errorf("%s after %s: %s; want %s after %s: …%s…", v.Health, after, v.Why, tc.want, tc.after, tc.why)
			}
			if (v.Health == watch.HealthBad) != (v.Cause != "") {
				t.Errorf("cause %q of %s", v.Cause, v.Health)
			}
		})
	}
}

func TestVerdictSaysWhatWasSeen(t *testing.T) {
	v, _ := play(t, limits, map[watch.Kind]string{watch.Rollout: "GGF", watch.HTTP: "GBG"})
	if v.Cause != watch.CauseOOM || v.Log != "last words" || len(v.Parts) != 2 {
		t.Errorf("%+v", v)
	}
	for _, p := range v.Parts {
		if p.Kind == watch.HTTP && p.Text != "found G (unhealthy at 1 of 3 looks)" {
			t.Errorf("%+v", p)
		}
	}
}

func TestManyEventsAtOnceAreOneFailure(t *testing.T) {
	s := watch.Fold(watch.Summary{}, []watch.Sample{{At: applied, Kind: watch.Rollout, Name: "web", State: watch.Good}})
	for i := range 50 {
		s = watch.Fold(s, []watch.Sample{{At: applied.Add(time.Duration(i) * time.Millisecond), Kind: watch.HTTP, Name: "https://web.example.org", State: watch.Bad}})
	}
	if v := watch.Judge(s, limits, applied.Add(time.Second)); v.Health != watch.HealthRunning {
		t.Errorf("%s: %s", v.Health, v.Why)
	}
}

func TestGoneIsLeftOut(t *testing.T) {
	first := []watch.Sample{{At: applied, Kind: watch.Rollout, Name: "web", State: watch.NotDeployed}, {At: applied, Kind: watch.HTTP, Name: "https://a.example.org", State: watch.Bad}}
	s := watch.Fold(watch.Summary{}, first)
	at := applied
	for range 10 {
		at = at.Add(15 * time.Second)
		s = watch.Fold(s, []watch.Sample{{At: at, Kind: watch.Rollout, Name: "deployment web/web", State: watch.Good}, {At: at, Kind: watch.HTTP, Name: "https://b.example.org", State: watch.Good}})
	}
	if v := watch.Judge(s, limits, at); v.Health != watch.HealthGood {
		t.Errorf("%s: %s", v.Health, v.Why)
	}
	s = watch.Fold(s, []watch.Sample{{At: at.Add(15 * time.Second), Kind: watch.Rollout, Name: "web", State: watch.Blind}})
	for _, w := range s.Watched {
		if w.Name == "deployment web/web" && w.State != watch.Good {
			t.Errorf("a look that saw nothing made %s %s", w.Name, w.State)
		}
	}
}

func TestSomeWorkloadsIgnoreTheImage(t *testing.T) {
	var s watch.Summary
	at := applied
	for range 9 {
		s = watch.Fold(s, []watch.Sample{{At: at, Kind: watch.Rollout, Name: "deployment ipam/web", State: watch.Good}, {At: at, Kind: watch.Rollout, Name: "cronjob ipam/scan", State: watch.NotDeployed}})
		at = at.Add(15 * time.Second)
	}
	if v := watch.Judge(s, limits, at.Add(-15*time.Second)); v.Health != watch.HealthNotDeployed || !strings.Contains(v.Why, "cronjob ipam/scan") {
		t.Errorf("%s: %s", v.Health, v.Why)
	}
}

func TestFailuresBeforeTheApplyAreNotTheUpgrades(t *testing.T) {
	s := watch.Fold(watch.Summary{}, []watch.Sample{{At: applied.Add(-time.Minute), Kind: watch.Rollout, Name: "web", State: watch.Fatal, Cause: watch.CauseCrash}})
	s = watch.Fold(s, []watch.Sample{{At: applied.Add(time.Second), Kind: watch.Rollout, Name: "web", State: watch.Good}})
	if v := watch.Judge(s, limits, applied.Add(time.Second)); v.Health != watch.HealthRunning {
		t.Errorf("%s: %s", v.Health, v.Why)
	}
}

func TestWhatComesBackWithTheClusterGetsAsLongAgain(t *testing.T) {
	type looks = map[watch.Kind]string
	healthy, _ := play(t, limits, looks{watch.Rollout: "GG????G", watch.HTTP: "GGBBBBBBBBG"})
	if healthy.Health != watch.HealthGood {
		t.Errorf("back a minute after the cluster: %s", healthy.Why)
	}
	if v, after := play(t, limits, looks{watch.Rollout: "GG????G", watch.HTTP: "GGB"}); v.Health != watch.HealthBad || after != 150*time.Second {
		t.Errorf("%s after %s: %s", v.Health, after, v.Why)
	}
}
