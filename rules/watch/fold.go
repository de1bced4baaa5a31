package watch

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Summary is what the samples of one watch come to so far. The zero value is
// the beginning. It is small, since it is stored after every look: a few
// hundred bytes for each thing watched, whatever the length of the watch.
type Summary struct {
	Watched []Watched `json:"watched,omitempty"`
	Last    time.Time `json:"last,omitzero"` // of the newest sample

	Rolling  time.Time `json:"rolling,omitzero"`  // when the roll-out of the merged version was first seen under way
	Deployed time.Time `json:"deployed,omitzero"` // since when the merged version runs, where a roll-out is observed

	// What follows counts from Deployed on, or from the beginning where no
	// roll-out is observed.
	Trouble  time.Time     `json:"trouble,omitzero"`  // the end of the last trouble: a clean stretch begins there
	Troubled time.Duration `json:"troubled,omitzero"` // how long in total something was unhealthy
	Turns    int           `json:"turns,omitzero"`    // how often trouble began

	Back       time.Time     `json:"back,omitzero"`       // when the roll-out could be seen again after it could not
	BlindSince time.Time     `json:"blindSince,omitzero"` // since when an observer has been out of reach
	Blind      time.Duration `json:"blind,omitzero"`      // how long in total one was
	Unseen     time.Duration `json:"unseen,omitzero"`     // how long in total the roll-out could not be seen
	Asleep     time.Duration `json:"asleep,omitzero"`     // how long in total nobody looked: belay itself was down

	Failed *Sample `json:"failed,omitempty"` // the first that cannot get better by waiting
}

// Watched is one thing that is looked at again and again.
type Watched struct {
	Kind    Kind      `json:"kind"`
	Name    string    `json:"name"`
	State   State     `json:"state"`
	Entered time.Time `json:"entered,omitzero"` // when State was entered
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
	Looks   int       `json:"looks,omitzero"`
	Bad     int       `json:"bad,omitzero"` // looks that found it unhealthy and count
	Row     int       `json:"row,omitzero"` // those of them that are in a row until now
	RowFrom time.Time `json:"rowFrom,omitzero"`
	Detail  string    `json:"detail,omitempty"`
	Worst   *Sample   `json:"worst,omitempty"` // the newest of its gravest
}

const (
	maxWatched = 64      // things of one service; more say nothing new
	maxDetail  = 300     // bytes of a line
	maxLog     = 4 << 10 // bytes of a log, the end of it
	// silence is how long nobody looks before it is belay that was away. Looks
	// are at most a minute apart.
	silence = 2 * time.Minute
)

// Fold adds the samples of whole looks to a summary, which is left as it was.
// Of each kind of observer that has samples, all have to be there: what a look
// no longer names is gone. A look whose samples are all Blind says nothing, not
// even that. Samples that come late or twice change nothing, but Fatal, which
// always counts.
//
// Two things keep a service from being blamed for what is not its fault. What
// HTTP, Uptime Kuma and Prometheus find counts only while the merged version
// runs and its pods are Ready: not while they are being replaced or move to
// another node, which the roll-out judges by itself, and not while the cluster
// is out of reach, since what takes the cluster away takes the service with it.
// And a look that sees nothing ends a row of failures.
func Fold(s Summary, samples []Sample) Summary {
	s.Watched = slices.Clone(s.Watched)
	all := looks(samples)
	for i, look := range all {
		s.take(look, i == len(all)-1)
	}
	return s
}

// looks divides samples into looks, in each of which a thing comes once.
func looks(samples []Sample) [][]Sample {
	samples = slices.DeleteFunc(slices.Clone(samples), func(x Sample) bool { return x.At.IsZero() })
	slices.SortStableFunc(samples, func(a, b Sample) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(rank(a.Kind), rank(b.Kind)))
	})
	var out [][]Sample
	for _, x := range samples {
		x.Detail, x.Log = head(x.Detail, maxDetail), tail(x.Log, maxLog)
		if len(out) == 0 || slices.ContainsFunc(out[len(out)-1], x.of) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], x)
	}
	return out
}

func (x Sample) of(y Sample) bool { return x.Kind == y.Kind && x.Name == y.Name }

// rank puts the roll-out first: it says whether what the others found counts.
func rank(k Kind) int {
	if k == Rollout {
		return 0
	}
	return 1
}

// take adds one look. whole says that a thing which it does not name is gone.
func (s *Summary) take(look []Sample, whole bool) {
	for i, x := range look {
		if x.State == Fatal && s.Failed == nil {
			s.Failed = &look[i]
		}
	}
	fresh := slices.DeleteFunc(slices.Clone(look), func(x Sample) bool {
		i := s.index(x)
		return i >= 0 && (x.At.Before(s.Watched[i].Last) || x.At.Equal(s.Watched[i].Last) && x.State == s.Watched[i].State)
	})
	if len(fresh) == 0 {
		return
	}
	at := fresh[len(fresh)-1].At
	s.pass(at)
	s.turn(latest(at, s.Last), func() {
		for _, x := range fresh {
			s.note(x)
		}
		if whole {
			s.miss(look, at)
		}
		// Only now is it known how the roll-out stands.
		steady := s.steady()
		for _, x := range fresh {
			if i := s.index(x); i >= 0 {
				s.Watched[i].count(x, steady)
			}
		}
	})
}

func (s *Summary) index(x Sample) int {
	return slices.IndexFunc(s.Watched, func(w Watched) bool { return w.Kind == x.Kind && w.Name == x.Name })
}

// note keeps what a sample found.
func (s *Summary) note(x Sample) {
	i := s.index(x)
	if i < 0 {
		if len(s.Watched) == maxWatched {
			return
		}
		i = len(s.Watched)
		s.Watched = append(s.Watched, Watched{Kind: x.Kind, Name: x.Name, First: x.At})
	}
	w := &s.Watched[i]
	if x.State != w.State {
		w.State, w.Entered = x.State, x.At
	}
	w.Last, w.Detail = x.At, x.Detail
	w.Looks++
}

// miss notices what a look no longer names.
func (s *Summary) miss(look []Sample, at time.Time) {
	for i := range s.Watched {
		w := &s.Watched[i]
		seen := slices.ContainsFunc(look, func(x Sample) bool { return x.Kind == w.Kind && x.State != Blind })
		named := slices.ContainsFunc(look, func(x Sample) bool { return x.Kind == w.Kind && x.Name == w.Name })
		if seen && !named && w.State != Absent && !at.Before(w.Last) {
			w.State, w.Entered, w.Row, w.RowFrom, w.Detail = Absent, at, 0, time.Time{}, "no longer there"
		}
	}
}

// count adds a sample to the row of failures or ends it.
func (w *Watched) count(x Sample, steady bool) {
	bad := x.State == Bad || x.State == Fatal
	if !bad || x.Kind != Rollout && !steady {
		w.Row, w.RowFrom = 0, time.Time{}
		return
	}
	if w.Row == 0 {
		w.RowFrom = x.At
	}
	w.Row++
	w.Bad++
	if w.Worst == nil || x.State == Fatal || w.Worst.State != Fatal {
		w.Worst = &x
	}
}

// pass accounts for the time since the sample before.
func (s *Summary) pass(at time.Time) {
	if !at.After(s.Last) {
		return
	}
	d := at.Sub(s.Last)
	switch {
	case s.Last.IsZero():
	case d > silence:
		s.Asleep += d
		for i := range s.Watched {
			s.Watched[i].Row, s.Watched[i].RowFrom = 0, time.Time{} // nobody knows what was in between
		}
	default:
		if s.any(isBlind) {
			s.Blind += d
		}
		if s.any(isUnseen) {
			s.Unseen += d
		}
		if s.unhealthy() {
			s.Troubled += d
		}
	}
	s.Last = at
}

// turn makes a change and sees to what follows from it.
func (s *Summary) turn(at time.Time, change func()) {
	steady, unhealthy, unsettled, unseen := s.steady(), s.unhealthy(), s.unsettled(), s.any(isUnseen)
	change()
	if unseen && !s.any(isUnseen) {
		s.Back = at
	}
	if steady && !s.steady() {
		for i := range s.Watched {
			if s.Watched[i].Kind != Rollout {
				s.Watched[i].Row, s.Watched[i].RowFrom = 0, time.Time{}
			}
		}
	}
	if s.Deployed.IsZero() && s.Rolling.IsZero() && s.any(func(w Watched) bool {
		return w.Kind == Rollout && (w.State == Progressing || w.State == Bad)
	}) {
		s.Rolling = at
	}
	if s.Deployed.IsZero() && s.steady() && s.any(func(w Watched) bool { return w.Kind == Rollout && w.State == Good }) {
		// The window begins. What was before it counts no more.
		s.Deployed, s.Trouble, s.Troubled, s.Turns, s.Blind, s.Unseen, s.Asleep = at, time.Time{}, 0, 0, 0, 0, 0
		for i := range s.Watched {
			if w := &s.Watched[i]; w.Kind != Rollout && w.Row > 1 {
				w.Row, w.RowFrom = 1, w.Last
			}
		}
		unhealthy, unsettled = false, false
	}
	if !unhealthy && s.unhealthy() {
		s.Turns++
	}
	if unsettled || s.unsettled() {
		s.Trouble = at
	}
	switch blind := s.any(isBlind); {
	case !blind:
		s.BlindSince = time.Time{}
	case s.BlindSince.IsZero():
		s.BlindSince = at
	}
}

func (s *Summary) any(f func(Watched) bool) bool { return slices.ContainsFunc(s.Watched, f) }

func isBlind(w Watched) bool { return w.State == Blind }

func isUnseen(w Watched) bool { return w.Kind == Rollout && w.State == Blind }

// observed reports whether something says how the roll-out stands.
func (s *Summary) observed() bool {
	return s.any(func(w Watched) bool { return w.Kind == Rollout && w.State != Absent })
}

// steady reports whether what HTTP and the others find is due to the merged
// version: it runs, and its pods are Ready.
func (s *Summary) steady() bool {
	if !s.observed() {
		return true
	}
	runs := false
	for _, w := range s.Watched {
		if w.Kind != Rollout {
			continue
		}
		switch w.State {
		case Progressing, Bad, Blind:
			return false
		case Good, Fatal:
			runs = true
		case NotDeployed, Absent:
		}
	}
	return runs
}

// unhealthy reports whether something is wrong with the merged version now,
// were it for one look.
func (s *Summary) unhealthy() bool {
	if s.Deployed.IsZero() && s.observed() {
		return false
	}
	return s.any(func(w Watched) bool { return w.Row > 0 || w.Kind == Rollout && w.State == Progressing })
}

// unsettled reports whether the service cannot be called healthy now: an
// observer is still making up its mind, too.
func (s *Summary) unsettled() bool {
	if s.Deployed.IsZero() && s.observed() {
		return false
	}
	return s.unhealthy() || s.any(func(w Watched) bool { return w.State == Progressing })
}

// head is the beginning of a text as one line, cut between characters.
func head(s string, limit int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// tail is the end of a text, cut between lines where there are any.
func tail(s string, limit int) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) <= limit {
		return s
	}
	s = s[len(s)-limit:]
	if _, rest, ok := strings.Cut(s, "\n"); ok && rest != "" {
		return rest
	}
	return strings.ToValidUTF8(s, "")
}
