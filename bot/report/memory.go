package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
)

// Memory is what belay keeps in a comment of its own where it has no database:
// bytes that only belay reads, at the end of a text that people read.
type Memory []byte

// maxMemory is how much a memory may come to when it is unpacked, in bytes.
const maxMemory = 1 << 20

// memoryLine matches a memory's line; its alphabet cannot end the comment early.
var memoryLine = regexp.MustCompile(`^<!-- belay:record:v1 ([A-Za-z0-9_=-]+) -->$`)

// String is the HTML comment in which a memory stands.
func (m Memory) String() string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(m)
	if err = errors.Join(err, z.Close()); err != nil {
		panic(err) // a buffer takes everything
	}
	return "<!-- belay:record:v1 " + base64.URLEncoding.EncodeToString(b.Bytes()) + " -->"
}

// ErrNoMemory means that a text does not end with a memory that can be read.
var ErrNoMemory = errors.New("no record at the end of the comment")

// ParseMemory reads the memory at the end of a text. Only the last line counts.
func ParseMemory(text string) (Memory, error) {
	match := memoryLine.FindStringSubmatch(lastLine(text))
	if match == nil {
		return nil, ErrNoMemory
	}
	packed, err := base64.URLEncoding.DecodeString(match[1])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMemory, err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMemory, err)
	}
	data, err := io.ReadAll(io.LimitReader(z, maxMemory+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMemory, err)
	}
	if len(data) > maxMemory {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrNoMemory, maxMemory)
	}
	return data, nil
}

func lastLine(text string) string {
	text = strings.TrimRight(text, " \t\r\n")
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// WithMemory is the status comment with a memory at its end. While there is
// nothing to say that the pull request does not show, it says only why it is there.
func WithMemory(s StatusView, m Memory) string {
	text := Status(s)
	if text == "" {
		text = statusMark + "\n**" + neutral(s.Headline()) + "**\n\nThe Action keeps its record of this upgrade in this comment: leave it where it is.\n"
	}
	return text + "\n" + m.String() + "\n"
}

// Remark gives a body another marker in place of the one at its end; one without
// a marker gets it. The text is cut where both would be longer than MaxBody.
func Remark(body string, m Marker) string {
	body = strings.TrimRight(body, " \t\r\n")
	if markerLine.MatchString(lastLine(body)) {
		body = strings.TrimRight(body[:strings.LastIndexByte("\n"+body, '\n')], " \t\r\n")
	}
	marker := "\n\n" + m.String() + "\n"
	return bounded(body, MaxBody-length(marker)) + marker
}

// bounded cuts a text to a number of characters, says that it did, and ends what the
// cut left open.
func bounded(text string, budget int) string {
	if length(text) <= budget {
		return text
	}
	const said = "\n\nThis does not fit into a pull request: the rest was cut."
	budget -= length(said) + 200
	for i, r := range text {
		if budget -= max(1, utf16.RuneLen(r)); budget < 0 {
			text = text[:i]
			break
		}
	}
	if i := strings.LastIndexByte(text, '\n'); i > len(text)/2 {
		text = text[:i]
	}
	fence := ""
	for line := range strings.SplitSeq(text, "\n") {
		run := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case len(run) < 3:
		case fence == "":
			fence = run
		case len(run) >= len(fence) && strings.TrimSpace(line) == run:
			fence = ""
		}
	}
	if fence != "" {
		text += "\n" + fence
	}
	for range strings.Count(text, "<details") - strings.Count(text, "</details>") {
		text += "\n\n</details>"
	}
	return strings.TrimRight(text, " \t\r\n") + said
}

// waitingMark tells the list of what waits from all other comments.
const waitingMark = "<!-- belay:waiting:v1 -->"

// IsWaiting reports whether a comment of belay's is the list of what waits.
func IsWaiting(body string) bool { return strings.HasPrefix(body, waitingMark) }

// Waiting is the comment that lists what waits for room under the rate limit,
// with the list itself in its memory.
func Waiting(names []string, m Memory) string {
	var b strings.Builder
	b.WriteString(waitingMark + "\n")
	if len(names) == 0 {
		b.WriteString("Nothing waits here any more.\n")
	} else {
		b.WriteString("The Action keeps here what waits until more may be opened: leave it where it is.\n\n")
	}
	for _, n := range names {
		fmt.Fprintf(&b, "- %s\n", code(n))
	}
	return b.String() + "\n" + m.String() + "\n"
}
