package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits say how long a watch takes and what it takes for a failure. Zero
// values stand for the defaults named beside them.
type Limits struct {
	Since    time.Time     // when the upgrade was applied
	Window   time.Duration // how long the service has to be healthy
	Retries  int           // failures in a row that count as one (3)
	Interval time.Duration // between two looks, at most a minute (15s)
	Extend   time.Duration // how far the window is extended at most
	Rollout  time.Duration // how long pods may take to become Ready (10m, as Kubernetes has it)
	Settle   time.Duration // how long a service may take to come up where no roll-out can be seen (2m)
	Beat     time.Duration // how long Uptime Kuma has to say down: more than two intervals of its monitors (2m30s)
}

// Health is what a watch comes to.
type Health string

// How a service fares.
const (
	HealthRunning      Health = "healthy so far"
	HealthGood         Health = "healthy" // through the whole window
	HealthBad          Health = "unhealthy"
	HealthNotDeployed  Health = "not deployed" // the merged version did not run by the end: told, not reverted
	HealthInconclusive Health = "inconclusive" // belay could not see enough: a person is told, nothing is reverted
	HealthUnwatched    Health = "not watched"  // nothing to observe
)

// Verdict is what a summary means at one moment.
type Verdict struct {
	Health Health
	Why    string    // for people, one sentence without a full stop
	Cause  Cause     // of HealthBad, where it is recognised
	Log    string    // of HealthBad: the failing pod's last lines
	Until  time.Time // of HealthRunning: when to look again at the latest
	Parts  []Part
}

// Part is one thing watched, for people.
type Part struct {
	Kind  Kind
	Name  string
	State State
	Text  string // "3 of 3 pods are Ready"
}

// unsteady says when a service that never failed for long enough in a row is
// unhealthy all the same: at the end of the extended window, when trouble began
// three times and took a third of the time. A healthy service with the odd
// hiccup stays far below, one that answers every other time far above.
const (
	unsteadyTurns = 3
	unsteadyPart  = 3
)

// Judge says what a summary means now.
//
//	fails        Fatal, at once
//	             Bad, Retries looks in a row and that long; Uptime Kuma for Beat, since it repeats its last word until its
//	             next beat, and two of those can meet two hiccups; pods that are not Ready for Settle
//	             a roll-out that takes longer than Rollout
//	             trouble on and off until the extended window ends
//	good         through the window, which begins when the version is seen deployed (where no roll-out is observed: when it was applied).
//	             After trouble a clean stretch of half the window, or of twice the looks that make a failure, comes at the end
//	not deployed the version does not run at the end of the window
//	inconclusive an observer was out of reach, or trouble stayed short, and the window cannot be extended any further
//
// The window gets longer by the time in which an observer was out of reach, by
// Extend at most, and by that in which belay itself was away. See SPEC section 11.
func Judge(s Summary, l Limits, now time.Time) Verdict {
	j := judgement{s: &s, l: l.filled(), now: now}
	v := j.verdict()
	v.Parts = parts(s)
	if v.Health == HealthRunning && !v.Until.After(now) {
		v.Until = now.Add(j.l.Interval)
	}
	return v
}

func (l Limits) filled() Limits {
	fill := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	l.Retries = max(l.Retries, 0)
	if l.Retries == 0 {
		l.Retries = 3
	}
	fill(&l.Interval, 15*time.Second)
	fill(&l.Rollout, 10*time.Minute)
	fill(&l.Settle, 2*time.Minute)
	fill(&l.Beat, 150*time.Second)
	l.Window, l.Extend = max(l.Window, 0), max(l.Extend, 0)
	return l
}

type judgement struct {
	s   *Summary
	l   Limits
	now time.Time
}

func (j *judgement) verdict() Verdict {
	if f := j.s.Failed; f != nil && !f.At.Before(j.l.Since) {
		return bad(*f, fmt.Sprintf("%s: %s", f.Name, f.Detail))
	}
	for _, w := range j.s.Watched {
		if lasted, ok := j.confirmed(w); ok {
			text := fmt.Sprintf("%s: %s, %d looks in a row over %s", w.Name, w.Worst.Detail, w.Row, short(lasted))
			return bad(*w.Worst, text)
		}
	}
	if v, ok := j.overdue(); ok {
		return v
	}
	switch {
	case !j.s.any(func(w Watched) bool { return w.State != Absent }):
		if j.now.Before(j.l.Since.Add(j.l.Window)) {
			return j.running("nothing has been found yet that says how the service fares", j.l.Since.Add(j.l.Window))
		}
		return Verdict{Health: HealthUnwatched, Why: "nothing that says how the service fares is configured or was found"}
	case j.now.Sub(j.s.Last) > 3*j.l.Interval:
		return j.running("nobody has looked since "+j.s.Last.UTC().Format("15:04:05"), time.Time{})
	case j.s.Deployed.IsZero() && j.s.observed():
		return j.undeployed()
	}
	return j.window()
}

// bad is the verdict that a sample leads to.
func bad(x Sample, why string) Verdict {
	v := Verdict{Health: HealthBad, Why: why, Cause: x.Cause, Log: x.Log}
	if v.Cause == "" {
		v.Cause = CauseUnhealthy
	}
	return v
}

func (j *judgement) running(why string, until time.Time) Verdict {
	next := j.now.Add(j.l.Interval)
	if until.After(j.now) && until.Before(next) {
		next = until
	}
	return Verdict{Health: HealthRunning, Why: why, Until: next}
}

// confirmed reports whether failures in a row are enough, and how long they
// have lasted. Counting alone would not do: events can bring three looks within
// a second.
func (j *judgement) confirmed(w Watched) (time.Duration, bool) {
	if w.Row < j.l.Retries || w.Worst == nil {
		return 0, false
	}
	// A tenth less, since looks are never on the dot.
	need := max(0, time.Duration(j.l.Retries-1)*j.l.Interval-j.l.Interval/10)
	from := w.RowFrom
	switch w.Kind {
	case Rollout:
		// A registry that refuses for a minute, a Secret that comes with the
		// next apply, a pod that moves to another node with its volume.
		need = max(need, j.l.Settle)
	default:
		// What comes back with the cluster gets as long again.
		if back := j.s.Back.Add(need); !j.s.Back.IsZero() && from.Before(back) {
			from = back
		}
		if w.Kind == Kuma {
			need = max(need, j.l.Beat)
		}
	}
	if settled := j.l.Since.Add(j.l.Settle); !j.s.observed() && from.Before(settled) {
		from = settled // the old pod may have ended before the new one was up
	}
	lasted := w.Last.Sub(from)
	return w.Last.Sub(w.RowFrom), lasted >= need
}

// overdue reports a roll-out that takes too long.
func (j *judgement) overdue() (Verdict, bool) {
	for _, w := range j.s.Watched {
		if w.Kind != Rollout || w.State != Progressing || j.s.any(isUnseen) {
			continue
		}
		from := w.Entered
		if j.s.Deployed.IsZero() {
			from = latest(j.s.Rolling, j.l.Since)
		}
		if took := w.Last.Sub(from) - j.s.Unseen - j.s.Asleep; took >= max(j.l.Rollout, j.l.Window) {
			return Verdict{Health: HealthBad, Cause: CauseDeadline, Why: fmt.Sprintf("%s: not Ready after %s: %s", w.Name, short(took), w.Detail)}, true
		}
	}
	return Verdict{}, false
}

// undeployed judges while the merged version has not been seen running.
func (j *judgement) undeployed() Verdict {
	end := j.l.Since.Add(j.l.Window + j.s.Asleep)
	var waits, blind, missing []Watched
	for _, w := range j.s.Watched {
		if w.Kind != Rollout {
			continue
		}
		switch w.State {
		case Blind:
			blind = append(blind, w)
		case NotDeployed:
			missing = append(missing, w)
		case Progressing, Bad, Fatal:
			waits = append(waits, w)
		case Good, Absent:
		}
	}
	switch {
	case len(blind) > 0:
		limit := end.Add(j.l.Extend)
		if !j.s.Rolling.IsZero() { // it may take so long by itself
			limit = limit.Add(max(0, j.l.Rollout-j.l.Window))
		}
		if j.now.Before(limit) {
			return j.running("the roll-out cannot be seen: "+lines(blind), limit)
		}
		return Verdict{Health: HealthInconclusive, Why: "the roll-out could not be seen: " + lines(blind)}
	case len(waits) > 0:
		return j.running("the roll-out is under way: "+lines(waits), time.Time{})
	}
	if end = end.Add(min(j.s.Unseen, j.l.Extend)); j.now.Before(end) {
		return j.running("the merged version does not run yet: "+lines(missing), end)
	}
	return Verdict{Health: HealthNotDeployed, Why: "the merged version does not run: " + lines(missing)}
}

// window judges a version that runs, or a service whose roll-out nobody sees.
func (j *judgement) window() Verdict {
	start := latest(j.s.Deployed, j.l.Since)
	limit := start.Add(j.l.Window + j.l.Extend + j.s.Asleep)
	plain := start.Add(j.l.Window + j.s.Blind + j.s.Asleep)
	end := plain
	if !j.s.Trouble.IsZero() {
		end = latest(end, j.s.Trouble.Add(j.stretch()))
	}
	missing := j.only(func(w Watched) bool { return w.Kind == Rollout && w.State == NotDeployed })
	troubled := j.only(func(w Watched) bool { return w.Row > 0 && j.s.Last.Sub(w.Last) <= 3*j.l.Interval })
	waiting := j.only(func(w Watched) bool { return w.State == Progressing })
	blind := j.only(func(w Watched) bool {
		// An observer of the cluster that has fallen silent is as good as blind.
		return w.State == Blind || w.Kind == Rollout && w.State != Absent && j.now.Sub(w.Last) > 3*j.l.Interval
	})
	over := !j.now.Before(limit)
	switch {
	case len(troubled) > 0: // either it is confirmed soon, or it passes
		return j.running("trouble: "+lines(troubled), time.Time{})
	case len(blind) > 0 && !over:
		return j.running("out of reach: "+lines(blind), limit)
	case len(waiting) > 0 && (!over || waiting[0].Kind == Rollout && !j.s.any(isUnseen)): // overdue ends it
		return j.running("waits for "+lines(waiting), limit)
	case len(missing) > 0 && !j.now.Before(plain):
		return Verdict{Health: HealthNotDeployed, Why: "the merged version does not run everywhere: " + lines(missing)}
	case j.now.Before(end) && !over:
		why := "healthy so far"
		if !j.s.Trouble.IsZero() {
			why = fmt.Sprintf("healthy since %s, after trouble", j.s.Trouble.UTC().Format("15:04:05"))
		}
		return j.running(why, end)
	case len(blind) > 0:
		return Verdict{Health: HealthInconclusive, Why: "out of reach: " + lines(blind)}
	case !j.now.Before(end) && len(waiting) == 0:
		return Verdict{Health: HealthGood, Why: "healthy for " + short(j.now.Sub(latest(start, j.s.Trouble)))}
	}
	return j.unsteady(start)
}

// unsteady judges a service that did not stay healthy for long enough in the
// whole extended window, and never failed long enough either.
func (j *judgement) unsteady(start time.Time) Verdict {
	var worst Watched
	for _, w := range j.s.Watched {
		if w.Worst != nil && w.Bad > worst.Bad {
			worst = w
		}
	}
	why := fmt.Sprintf("unhealthy %d times for %s in all, never %d looks in a row", j.s.Turns, short(j.s.Troubled), j.l.Retries)
	if worst.Worst != nil {
		why += fmt.Sprintf(": %s: %s", worst.Name, worst.Worst.Detail)
	}
	if awake := j.now.Sub(start) - j.s.Asleep; j.s.Turns >= unsteadyTurns && j.s.Troubled*unsteadyPart >= awake {
		if worst.Worst == nil {
			return Verdict{Health: HealthBad, Cause: CauseUnhealthy, Why: why}
		}
		return bad(*worst.Worst, why)
	}
	switch waiting := j.only(func(w Watched) bool { return w.State == Progressing }); {
	case len(waiting) > 0:
		why = "undecided to the end: " + lines(waiting)
	case j.s.Turns == 0:
		why = fmt.Sprintf("observers were out of reach for %s, too long for a judgement", short(j.s.Blind))
	}
	return Verdict{Health: HealthInconclusive, Why: why}
}

// stretch is how long the service has to be clean after trouble.
func (j *judgement) stretch() time.Duration {
	return min(j.l.Window, max(j.l.Window/2, 2*time.Duration(j.l.Retries)*j.l.Interval))
}

func (j *judgement) only(f func(Watched) bool) []Watched {
	return slices.DeleteFunc(slices.Clone(j.s.Watched), func(w Watched) bool { return !f(w) })
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lines names things with what was found, the first three of them.
func lines(list []Watched) string {
	var out []string
	for i, w := range list {
		if i == 3 {
			out = append(out, fmt.Sprintf("and %d more", len(list)-3))
			break
		}
		text := w.Name
		if w.Detail != "" {
			text += ": " + w.Detail
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func parts(s Summary) []Part {
	var out []Part
	for _, w := range s.Watched {
		text := w.Detail
		if text == "" {
			text = string(w.State)
		}
		if w.Bad > 0 && w.Row == 0 {
			text += fmt.Sprintf(" (unhealthy at %d of %d looks)", w.Bad, w.Looks)
		}
		out = append(out, Part{Kind: w.Kind, Name: w.Name, State: w.State, Text: text})
	}
	return out
}

// short is a duration in whole seconds: "1m30s", "10m".
func short(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
