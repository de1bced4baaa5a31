package page

import (
	"math"
	"strings"
	"time"

	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// Segment is a state on a timeline.
type Segment struct {
	State  string
	Tone   string
	From   time.Time
	Lasted time.Duration
	Now    bool    // it goes on
	X, W   float64 // in the picture, of 1000
}

// Mark is an entry of the trail, as far as a timeline needs it.
type Mark struct {
	What string
	At   time.Time
}

// Timeline is how long an upgrade was in each state, from its trail, oldest
// first. Lengths in the picture grow with the logarithm of the time: an upgrade
// waits for days and is merged in a second, and both are to be seen.
func Timeline(created time.Time, trail []Mark, final bool, now time.Time) []Segment {
	out := []Segment{{State: string(lifecycle.Queued), From: created}}
	for _, m := range trail {
		s, ok := lifecycle.Reached(m.What)
		last := &out[len(out)-1]
		if !ok || string(s) == last.State {
			continue
		}
		last.Lasted = m.At.Sub(last.From)
		out = append(out, Segment{State: string(s), From: m.At})
	}
	last := &out[len(out)-1]
	if last.Now = !final; last.Now {
		last.Lasted = now.Sub(last.From)
	}
	total := 0.0
	for i := range out {
		out[i].Lasted = max(out[i].Lasted, 0)
		s := &out[i]
		s.Tone = Tone(s.State, lifecycle.GroupOf(lifecycle.State(s.State), ""))
		s.W = 1 + math.Log1p(s.Lasted.Seconds())
		total += s.W
	}
	x := 0.0
	for i := range out {
		s := &out[i]
		w := s.W / total * 1000
		s.X, s.W = round(x), round(max(w-4, 2))
		x += w
	}
	return out
}

func round(f float64) float64 { return math.Round(f*10) / 10 }

// Look is one look at one thing in the picture of a watch.
type Look struct {
	X, Y, W, H float64
	Tone       string
	Text       string
}

// Row is one thing in the picture of a watch.
type Row struct {
	Kind, Name string
	Note       string
	Says       string // for those who do not see the picture
	Looks      []Look
}

// Strip is the picture of a watch: a row for each thing, a bar for each look.
type Strip struct {
	State string
	Since time.Time
	Looks int
	Lasts time.Duration
	Rows  []Row
}

var looks = map[watch.State]struct {
	tone, says string
	height     float64 // of 28: what is not well stands out without its colour, too
}{
	watch.Good: {"good", "healthy", 12}, watch.Progressing: {"busy", "rolling out", 7}, watch.NotDeployed: {"ask", "not deployed", 18},
	watch.Bad: {"bad", "unhealthy", 28}, watch.Fatal: {"bad", "failed", 28}, watch.Absent: {"off", "nothing there", 3}, watch.Blind: {"wait", "out of sight", 3},
}

// stripHeight is the height of a row's picture; stripWidth is what times are laid over.
const stripHeight, stripWidth = 28.0, 1000.0

// Health draws a watch.
func Health(state string, since time.Time, t watch.Trace) Strip {
	out := Strip{State: state, Since: since, Looks: len(t.At)}
	if len(t.At) == 0 {
		return out
	}
	end := t.At[len(t.At)-1]
	out.Lasts = time.Duration(end) * time.Second
	slot := stripWidth / float64(len(t.At))
	for _, thing := range t.Things {
		row := Row{Kind: string(thing.Kind), Name: thing.Name, Note: thing.Note}
		count := map[string]int{}
		var order []string
		for i := range t.At {
			s, ok := thing.StateAt(i)
			if !ok {
				continue
			}
			l := looks[s]
			if count[l.says]++; count[l.says] == 1 {
				order = append(order, l.says)
			}
			w := min(max(slot*0.72, 1.5), 60)
			row.Looks = append(row.Looks, Look{X: round(float64(i)*slot + (slot-w)/2), Y: stripHeight - l.height, W: round(w), H: l.height, Tone: l.tone,
				Text: Lasts(time.Duration(t.At[i])*time.Second) + ": " + l.says})
		}
		var says []string
		for _, what := range order {
			says = append(says, what+" "+plural(count[what], "time", "times"))
		}
		row.Says = strings.Join(says, ", ")
		out.Rows = append(out.Rows, row)
	}
	return out
}

// Dot is the end of an upgrade in the picture of a day.
type Dot struct {
	X     float64 // in percent of the width
	Y     int     // of 56
	Tone  string
	Text  string
	Round bool // else it is a diamond: it did not go well
}

// Day draws what ended in the 24 hours before now.
func Day(ends []Ended, now time.Time) []Dot {
	var out []Dot
	taken := map[int]int{}
	for _, e := range ends {
		age := now.Sub(e.At)
		if age < 0 || age > 24*time.Hour {
			continue
		}
		x := 98.5 - age.Hours()/24*97
		at := int(x / 2) // so near that they would hide each other
		tone := Tone(e.State, lifecycle.Done)
		out = append(out, Dot{X: round(x), Y: 43 - min(taken[at], 3)*12, Tone: tone, Round: tone == "good" || tone == "off",
			Text: e.Service + ": " + e.State + ", " + Ago(e.At, now)})
		taken[at]++
	}
	return out
}

// Ended is an upgrade that is over.
type Ended struct {
	Service, State string
	At             time.Time
}
