package action_test

import (
	"io"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/action"
)

// TestTextIsNoCommand: whatever is printed, in however many parts, the runner
// sees no command in it that belay did not mean.
func TestTextIsNoCommand(t *testing.T) {
	for _, tc := range []struct {
		name            string
		parts           []string
		plain, commands string
	}{
		{"ordinary text", []string{"time=1 level=INFO msg=\"a: b::c\" #1 [x]\n"}, "time=1 level=INFO msg=\"a: b::c\" #1 [x]\n", "time=1 level=INFO msg=\"a: b::c\" #1 [x]\n"},
		{"a command of the old form in a line", []string{"why=##[add-mask]e\n"}, "why=## [add-mask]e\n", "why=## [add-mask]e\n"},
		{"one at the beginning", []string{"##[stop-commands]x"}, "## [stop-commands]x", "## [stop-commands]x"},
		{"one of many signs", []string{"####[error]x"}, "#### [error]x", "#### [error]x"},
		{"two in a line", []string{"##[##[error]x"}, "## [## [error]x", "## [## [error]x"},
		{"one in three parts", []string{"a #", "#", "[error]x"}, "a ## [error]x", "a ## [error]x"},
		{"one with a soft hyphen in it", []string{"#\u00ad#\u200d[error]x"}, "#\u00ad#\u200d [error]x", "#\u00ad#\u200d [error]x"},
		{"a heading with a link", []string{"## [1.2](x)"}, "## [1.2](x)", "## [1.2](x)"},
		{"a command at the beginning", []string{"::error::x\n"}, ": :error::x\n", "::error::x\n"},
		{"one after blanks, in two parts", []string{"a\n \t\u00a0:", ":error::x"}, "a\n \t\u00a0: :error::x", "a\n \t\u00a0::error::x"},
		{"one after a return", []string{"a\r::error::x"}, "a\r: :error::x", "a\r::error::x"},
		{"one of belay's own that holds one", []string{"::error::a ##[error]x"}, ": :error::a ## [error]x", "::error::a ## [error]x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for want, through := range map[string]func(io.Writer) io.Writer{"plain " + tc.plain: action.Plain, "commands " + tc.commands: action.Commands} {
				kind, want, _ := strings.Cut(want, " ")
				var got strings.Builder
				w := through(&got)
				for _, part := range tc.parts {
					if n, err := io.WriteString(w, part); n != len(part) || err != nil {
						t.Errorf("%s: wrote %d of %d: %v", kind, n, len(part), err)
					}
				}
				if got.String() != want {
					t.Errorf("%s: %q, want %q", kind, got.String(), want)
				}
			}
		})
	}
}

// FuzzTextIsNoCommand: no text comes through Plain in which the runner would find
// a command, and all of it comes through but for blanks.
func FuzzTextIsNoCommand(f *testing.F) {
	for _, s := range []string{"##[error]x", "a\n ::error::x", "#\u00ad#[x]", "##", "[", "\r\n::"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		cut = min(max(cut, 0), len(text))
		var got strings.Builder
		w := action.Plain(&got)
		for _, part := range []string{text[:cut], text[cut:]} {
			if _, err := io.WriteString(w, part); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(got.String(), "##[") {
			t.Errorf("%q", got.String())
		}
		for line := range strings.FieldsFuncSeq(got.String(), func(r rune) bool { return r == '\n' || r == '\r' }) {
			if strings.HasPrefix(strings.TrimSpace(line), "::") {
				t.Errorf("%q", line)
			}
		}
		if strings.ReplaceAll(got.String(), " ", "") != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%q became %q", text, got.String())
		}
	})
}
