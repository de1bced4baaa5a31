package watch

import (
	"slices"
	"strings"
	"time"
)

// Trace is what every look of a watch found, for people to see. Summary decides;
// Trace only shows, and is small enough to be stored after each look: some bytes
// for each thing that was looked at. The zero value is the beginning.
type Trace struct {
	From   time.Time `json:"from,omitzero"` // of the first look
	At     []int     `json:"at,omitempty"`  // of each look: seconds after From
	Things []Traced  `json:"things,omitempty"`
}

// Traced is one thing in a Trace.
type Traced struct {
	Kind  Kind   `json:"kind"`
	Name  string `json:"name"`
	Marks string `json:"marks"`          // a letter for each look, see Mark
	Note  string `json:"note,omitempty"` // what was said of it when it was worst
}

// marks are the letters of the states, from the gravest.
const marks = "fbn?pga-"

// unmarked is the letter of a look that had nothing about a thing.
const unmarked = '-'

var markOf = map[State]byte{Fatal: 'f', Bad: 'b', NotDeployed: 'n', Blind: '?', Progressing: 'p', Good: 'g', Absent: 'a'}

// StateAt is what look i found of a thing; false when it did not look there.
func (t Traced) StateAt(i int) (State, bool) {
	if i < 0 || i >= len(t.Marks) {
		return "", false
	}
	for state, mark := range markOf {
		if mark == t.Marks[i] {
			return state, true
		}
	}
	return "", false
}

const (
	maxLooks  = 240 // of a trace: beyond, two become one
	maxTraced = 16  // things of a trace: nobody looks at more
)

// Add adds one look, which leaves t as it was. Looks within the same second are
// one. When there are too many, neighbours are joined, and the graver of them
// stays: a trace may lose when something was well, never that it was not.
func (t Trace) Add(at time.Time, look []Sample) Trace {
	if len(look) == 0 {
		return t
	}
	t.At, t.Things = slices.Clone(t.At), slices.Clone(t.Things)
	if t.From.IsZero() {
		t.From = at
	}
	second := max(int(at.Sub(t.From).Seconds()), 0)
	if n := len(t.At); n == 0 || second > t.At[n-1] {
		if n >= maxLooks {
			t.thin()
		}
		t.At = append(t.At, second)
		for i := range t.Things {
			t.Things[i].Marks += string(unmarked)
		}
	}
	for _, x := range look {
		t.mark(x)
	}
	return t
}

// mark puts a sample into the last look.
func (t *Trace) mark(x Sample) {
	mark, ok := markOf[x.State]
	if !ok {
		return
	}
	i := slices.IndexFunc(t.Things, func(o Traced) bool { return o.Kind == x.Kind && o.Name == x.Name })
	if i < 0 {
		if len(t.Things) == maxTraced {
			return
		}
		i = len(t.Things)
		t.Things = append(t.Things, Traced{Kind: x.Kind, Name: x.Name, Marks: strings.Repeat(string(unmarked), len(t.At))})
	}
	o := &t.Things[i]
	if x.State != Good && x.State != Absent && x.Detail != "" && gravest(mark, o.Marks) {
		o.Note = head(x.Detail, maxDetail)
	}
	last := len(o.Marks) - 1
	if o.Marks[last] == unmarked || strings.IndexByte(marks, mark) < strings.IndexByte(marks, o.Marks[last]) {
		o.Marks = o.Marks[:last] + string(mark)
	}
}

// gravest reports whether nothing in a row of marks is graver than one.
func gravest(mark byte, row string) bool {
	for i := range len(row) {
		if strings.IndexByte(marks, row[i]) < strings.IndexByte(marks, mark) {
			return false
		}
	}
	return true
}

// thin joins each two looks.
func (t *Trace) thin() {
	at := t.At[:0]
	for i := 0; i < len(t.At); i += 2 {
		at = append(at, t.At[i])
	}
	for i, o := range t.Things {
		row := make([]byte, 0, len(at))
		for k := 0; k < len(o.Marks); k += 2 {
			mark := o.Marks[k]
			if k+1 < len(o.Marks) && strings.IndexByte(marks, o.Marks[k+1]) < strings.IndexByte(marks, mark) {
				mark = o.Marks[k+1]
			}
			row = append(row, mark)
		}
		t.Things[i].Marks = string(row)
	}
	t.At = at
}
