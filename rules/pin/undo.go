package pin

import "fmt"

// Move is what one splice of an upgrade changed, in words that still mean
// something after other people changed the file.
type Move struct {
	Path string `json:"path"`
	Line int    `json:"line"`
	Name string `json:"name"` // familiar name of the image, or name of the chart
	Role Role   `json:"role"`
	Old  string `json:"old"` // the bytes before and after
	New  string `json:"new"`
}

// MovesOf describes the splices of a pin.
func MovesOf(p Pin, splices []Splice) []Move {
	var out []Move
	for _, s := range splices {
		out = append(out, Move{Path: s.Span.Path, Line: s.Span.Line, Name: p.name(), Role: s.Span.Role, Old: s.Span.Text, New: s.New})
	}
	return out
}

func (p Pin) name() string {
	if p.Kind == KindChart {
		return p.Chart.Name
	}
	return p.Image.Familiar()
}

// Clash is a move that cannot be taken back, since somebody changed the place.
type Clash struct {
	Move Move
	Now  string   // what stands there now; "" when the pin is gone
	At   Location // where that is
}

// String says both sides: what the undo wants and what is there.
func (c Clash) String() string {
	if c.Now == "" {
		return fmt.Sprintf("%s:%d: %s is not pinned there any more; the undo would put %q back for %q", c.Move.Path, c.Move.Line, c.Move.Name, c.Move.Old, c.Move.New)
	}
	return fmt.Sprintf("%s:%d: %s is at %q now; the undo would put %q back for %q", c.At.Path, c.At.Line, c.Move.Name, c.Now, c.Move.Old, c.Move.New)
}

// Undo finds, among today's pins, what takes an upgrade's moves back. Places
// that have their old value already need nothing; when all have, undone is
// true. What somebody changed to something else is a clash, and then nothing
// may be undone without a person. Lines may have moved meanwhile; the file may not.
func Undo(pins []Pin, moves []Move) (splices []Splice, undone bool, clashes []Clash) {
	taken := map[Span]bool{}
	undone = len(moves) > 0
	for _, m := range moves {
		s, state := find(pins, m, taken)
		switch state {
		case wasOld:
			taken[s.Span] = true
		case wasNew:
			taken[s.Span], undone = true, false
			splices = append(splices, s)
		case wasOther:
			undone = false
			clashes = append(clashes, Clash{Move: m, Now: s.Span.Text, At: Location{Path: s.Span.Path, Line: s.Span.Line}})
		case wasGone:
			undone = false
			clashes = append(clashes, Clash{Move: m})
		}
	}
	return splices, undone, clashes
}

type found int

const (
	wasGone found = iota
	wasOther
	wasOld
	wasNew
)

// find is the span that a move changed, as it is today. Of several pins of one
// name in a file, the one that has the move's new value counts, then its old
// one, and of equals the one nearest to the line.
func find(pins []Pin, m Move, taken map[Span]bool) (Splice, found) {
	var best Splice
	state, distance := wasGone, 0
	for _, p := range pins {
		if p.name() != m.Name || p.Span.Path != m.Path {
			continue
		}
		span := p.Span
		if m.Role == RoleDigest {
			if p.Digest == nil {
				continue
			}
			span = *p.Digest
		}
		if taken[span] {
			continue
		}
		now := wasOther
		switch span.Text {
		case m.New:
			now = wasNew
		case m.Old:
			now = wasOld
		}
		far := span.Line - m.Line
		if far < 0 {
			far = -far
		}
		if now > state || now == state && far < distance {
			best, state, distance = Splice{Span: span, New: m.Old, Shape: p.Shape}, now, far
		}
	}
	return best, state
}
