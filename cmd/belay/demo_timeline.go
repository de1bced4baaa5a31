package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// timeline prints what happens in the demo, with the seconds since its start.
type timeline struct {
	out    io.Writer
	colour bool
	width  int
	start  time.Time
}

func newTimeline(out io.Writer) *timeline {
	return &timeline{out: out, colour: colour(out), width: min(width(out), 120), start: time.Now()}
}

// The tones of a line, as SGR parameters (ECMA-48).
const (
	plainTone = ""
	bold      = "1"
	faint     = "2"
	alarm     = "31"
	success   = "32"
	person    = "36"
)

func (t *timeline) paint(tone, s string) string {
	if !t.colour || tone == plainTone {
		return s
	}
	return "\x1b[" + tone + "m" + s + "\x1b[0m"
}

// chapter begins a part of the story.
func (t *timeline) chapter(title string) {
	fmt.Fprintf(t.out, "\n%s\n\n", t.paint(bold, "== "+title))
}

const (
	serviceColumn = 16
	indent        = 9 + serviceColumn + 1 // of what is said: behind the time and the service
)

// say prints one line of the story, wrapped.
func (t *timeline) say(tone, service, text string) {
	for i, line := range wrap(text, max(t.width-indent, 40)) {
		if i == 0 {
			at := fmt.Sprintf("%6.1f s ", time.Since(t.start).Seconds())
			fmt.Fprintf(t.out, "%s%s %s\n", t.paint(faint, at), t.paint(bold, fmt.Sprintf("%-*s", serviceColumn, service)), t.paint(tone, line))
		} else {
			fmt.Fprintf(t.out, "%s%s\n", strings.Repeat(" ", indent), t.paint(tone, line))
		}
	}
}

// more prints lines that belong to what was said, such as the end of a log.
func (t *timeline) more(text string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		fmt.Fprintf(t.out, "%s%s\n", strings.Repeat(" ", indent), t.paint(faint, "│ "+cut(strings.TrimRight(line, " \r\n"), t.width-indent-2)))
	}
}

// note prints a remark beside the story.
func (t *timeline) note(text string) {
	for _, line := range wrap(text, t.width) {
		fmt.Fprintln(t.out, t.paint(faint, line))
	}
}

// linkTarget matches the address of a Markdown link: "](https://example.org/a)".
var linkTarget = regexp.MustCompile(`\]\([^()\s]+\)`)

// quote prints the beginning of a Markdown text that belay wrote elsewhere, so
// many lines at most, and counts the rest. Addresses of links are left out.
func (t *timeline) quote(title, text string, most int) {
	fmt.Fprintf(t.out, "\n         %s\n", t.paint(bold, title))
	lines := strings.Split(strings.TrimSpace(text), "\n")
	shown := 0
	for i, line := range lines {
		wrapped := wrap(linkTarget.ReplaceAllString(line, "]"), max(t.width-11, 40))
		if shown += len(wrapped); shown > most {
			fmt.Fprintf(t.out, "         %s\n", t.paint(faint, fmt.Sprintf("└ and %d more lines", len(lines)-i)))
			break
		}
		for _, part := range wrapped {
			fmt.Fprintln(t.out, strings.TrimRight("         "+t.paint(faint, "│")+" "+part, " "))
		}
	}
	fmt.Fprintln(t.out)
}

// wrap breaks a text between words into lines of so many characters.
func wrap(text string, most int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > most {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// cut shortens a line to so many characters.
func cut(line string, most int) string {
	r := []rune(line)
	if len(r) <= most {
		return line
	}
	return string(r[:most-1]) + "…"
}
