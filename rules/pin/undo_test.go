package pin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
)

func TestUndo(t *testing.T) {
	at := func(name string, line int, text string) pin.Pin {
		ref, err := image.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		return pin.Pin{Kind: pin.KindImage, Image: ref, Span: pin.Span{Path: "main.tf", Line: line, Start: line * 100, End: line*100 + len(text), Text: text, Role: pin.RoleTag}}
	}
	move := pin.Move{Path: "main.tf", Line: 3, Name: "acme/web", Role: pin.RoleTag, Old: "1.0", New: "2.0"}
	second := move
	second.Line = 9
	for _, tc := range []struct {
		name   string
		pins   []pin.Pin
		moves  []pin.Move
		want   []int // lines that are spliced
		undone bool
		clash  string
	}{
		{name: "the line as it was written", pins: []pin.Pin{at("acme/web", 3, "2.0")}, moves: []pin.Move{move}, want: []int{3}},
		{name: "the line moved down", pins: []pin.Pin{at("acme/web", 8, "2.0")}, moves: []pin.Move{move}, want: []int{8}},
		{name: "another image at the same version stays", pins: []pin.Pin{at("acme/webhook", 3, "2.0"), at("acme/web", 4, "2.0")}, moves: []pin.Move{move}, want: []int{4}},
		{name: "somebody has put it back", pins: []pin.Pin{at("acme/web", 3, "1.0")}, moves: []pin.Move{move}, undone: true},
		{name: "one of two has been put back", pins: []pin.Pin{at("acme/web", 3, "1.0"), at("acme/web", 9, "2.0")}, moves: []pin.Move{move, second}, want: []int{9}},
		{name: "two places of one image", pins: []pin.Pin{at("acme/web", 3, "2.0"), at("acme/web", 9, "2.0")}, moves: []pin.Move{move, second}, want: []int{3, 9}},
		{name: "somebody went on to a newer one", pins: []pin.Pin{at("acme/web", 3, "2.1")}, moves: []pin.Move{move}, clash: `acme/web is at "2.1" now; the undo would put "1.0" back for "2.0"`},
		{name: "the service is gone", pins: []pin.Pin{at("acme/blog", 3, "2.0")}, moves: []pin.Move{move}, clash: "not pinned there any more"},
		{name: "nothing was moved, so nothing is undone", pins: []pin.Pin{at("acme/web", 3, "2.0")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			splices, undone, clashes := pin.Undo(tc.pins, tc.moves)
			var lines []int
			for _, s := range splices {
				lines = append(lines, s.Span.Line)
				if s.New != "1.0" || s.Span.Text != "2.0" {
					t.Errorf("splices %q for %q", s.New, s.Span.Text)
				}
			}
			if diff := cmp.Diff(tc.want, lines); diff != "" || undone != tc.undone {
				t.Errorf("undone %v, lines %s", undone, diff)
			}
			var said []string
			for _, c := range clashes {
				said = append(said, c.String())
			}
			if got := strings.Join(said, "\n"); !strings.Contains(got, tc.clash) || (got == "") != (tc.clash == "") {
				t.Errorf("clashes %q, want %q", got, tc.clash)
			}
		})
	}
}
