package notes

import (
	"strings"
	"unicode/utf8"
)

// Limits that keep reading linear in the size of the notes. Markdown parsers
// take quadratic time on deep nesting and on long paragraphs full of openers
// ("[a](", "*a_ "); no release notes come near these.
const (
	// maxNotes is how many bytes of one release's notes are read. GitHub holds
	// release bodies to 125,000 characters.
	maxNotes = 512 << 10
	// maxBlock is the longest paragraph in bytes; a longer one is read as several.
	maxBlock = 4 << 10
	// maxDepth is how many quote and list markers may open on one line.
	maxDepth = 12
	// maxIndent is the widest indentation in columns.
	maxIndent = 40
)

// bound makes text fit for the Markdown parser: valid UTF-8 with "\n" line ends
// and no control characters, no more than limit bytes, and nested and
// continued no further than the limits above.
func bound(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
		if i := strings.LastIndexByte(s, '\n'); i > limit/2 {
			s = s[:i+1]
		}
	}
	s = clean(s)
	var b strings.Builder
	b.Grow(len(s) + len(s)/64)
	block := 0 // bytes since the last blank line
	for len(s) > 0 {
		line := s
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			line, s = s[:i], s[i+1:]
		} else {
			s = ""
		}
		line = boundPrefix(line)
		if strings.TrimSpace(line) == "" {
			block = 0
		}
		if block+len(line) > maxBlock && len(line) <= maxBlock {
			// A line that fits goes on whole: it may be a heading.
			b.WriteByte('\n')
			block = 0
		}
		for block+len(line) > maxBlock {
			n := cutAt(line, maxBlock-block)
			b.WriteString(line[:n])
			b.WriteString("\n\n")
			line, block = line[n:], 0
		}
		b.WriteString(line)
		b.WriteByte('\n')
		block += len(line) + 1
	}
	return b.String()
}

// cutAt is the last place at or before n where the line may be cut: after a
// space if there is one near, never within a character.
func cutAt(line string, n int) int {
	n = max(0, min(n, len(line)))
	if i := strings.LastIndexByte(line[:n], ' '); i > n/2 {
		return i + 1
	}
	for n > 0 && n < len(line) && !utf8.RuneStart(line[n]) {
		n--
	}
	return n
}

// boundPrefix takes from the beginning of a line what nests deeper than
// maxDepth or is indented further than maxIndent.
func boundPrefix(line string) string {
	markers, columns, end := 0, 0, 0
	over := false
prefix:
	for end < len(line) {
		switch c := line[end]; {
		case c == ' ':
			columns++
		case c == '\t':
			columns += 4
		case c == '>':
			markers++
			columns = 0
		case (c == '-' || c == '*' || c == '+') && end+1 < len(line) && (line[end+1] == ' ' || line[end+1] == '\t'):
			markers++
			columns = 0
		case c >= '0' && c <= '9':
			n := end
			for n < len(line) && n-end < 9 && line[n] >= '0' && line[n] <= '9' {
				n++
			}
			if n+1 >= len(line) || line[n] != '.' && line[n] != ')' || line[n+1] != ' ' {
				break prefix
			}
			markers++
			columns = 0
			end = n
		default:
			break prefix
		}
		if markers > maxDepth || columns > maxIndent {
			over = true
			break
		}
		end++
	}
	if !over {
		return line
	}
	rest := strings.TrimLeft(line[end:], "> \t-*+")
	return line[:end] + " " + rest
}

// clean gives valid UTF-8 with "\n" line ends, without control characters,
// characters that reorder the text (U+202A…U+202E, U+2066…U+2069, …) and
// characters that take no room (zero width, soft hyphen, tags): they can make
// people read other words than a program does.
func clean(s string) string {
	i := 0
	for i < len(s) && (s[i] >= ' ' && s[i] < 0x7f || s[i] == '\n' || s[i] == '\t') {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			b.WriteString("\uFFFD")
		case r == '\r':
			if i+1 >= len(s) || s[i+1] != '\n' {
				b.WriteByte('\n')
			}
		case r == '\u2028' || r == '\u2029' || r == '\u0085' || r == '\v' || r == '\f':
			b.WriteByte('\n')
		case r == '\n' || r == '\t' || !invisible(r):
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// invisible reports whether a character shows nothing: controls, bidirectional
// marks, zero-width characters, fillers, variation selectors for supplementary
// glyphs and the tag characters. The variation selectors U+FE0E and U+FE0F and the
// joiner of emoji go too: a warning sign stays one without them.
func invisible(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0,
		r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r >= 0x180b && r <= 0x180f,
		r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0x2800,
		r == 0x3164, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff, r == 0xffa0, r >= 0xfff0 && r <= 0xfffb,
		r >= 0x1bca0 && r <= 0x1bca3, r >= 0x1d173 && r <= 0x1d17a, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}
