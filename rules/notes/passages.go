package notes

import (
	"strings"
)

// passage is one item or paragraph of the notes with the mood of its section.
type passage struct {
	text string
	mood mood
}

// passages reads notes into items and paragraphs.
func passages(body string) []passage {
	text := bound(body, maxNotes)
	text = htmlAsLines(withoutComments(text))
	lines := strings.Split(text, "\n")
	var out []passage
	current, fence, level := moodNone, "", 0
	own := -1 // indent of the item that heads the project's own affairs, -1 outside of them
	var item strings.Builder
	flush := func() {
		if s := strings.TrimSpace(item.String()); s != "" {
			out = append(out, passage{s, current})
		}
		item.Reset()
	}
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if m := fenceOf(line); m != nil {
			switch {
			case fence == "":
				fence = m[1]
			case strings.HasPrefix(m[1], fence):
				fence = ""
			}
			continue
		}
		if fence != "" {
			continue
		}
		h := headingAt(lines, i)
		if t := strings.TrimSpace(line); h.level == 0 && len(t) < 80 && strings.HasPrefix(t, "**") && (strings.HasSuffix(t, "**") || strings.HasSuffix(t, "**:") || strings.HasSuffix(t, ":**")) {
			h = headingLine{7, plainHeading(strings.Trim(t, ":")), 1}
		}
		if h.level > 0 {
			flush()
			own = -1
			next := moodOf(h.text)
			// A heading below a breaking one names a topic of it.
			if next != moodNone || current == moodNone || h.level <= level {
				current, level = next, h.level
			}
			if next == moodNone && current != moodOwn {
				out = append(out, passage{h.text, current})
			}
			i += h.lines - 1
			continue
		}
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			flush()
			continue
		case strings.HasPrefix(trimmed, "- "), strings.HasPrefix(trimmed, "* "), strings.HasPrefix(trimmed, "+ "), strings.HasPrefix(trimmed, "|"):
			flush()
			indent := len(line) - len(strings.TrimLeft(line, " \t"))
			trimmed = strings.TrimLeft(trimmed, "-*+| ")
			// "* Dependencies" with items below it heads them as a heading would.
			switch {
			case indent <= own:
				own = -1
			case own >= 0:
				continue
			}
			if len(trimmed) < 30 && ownHeading.MatchString(trimmed) && !strings.ContainsAny(trimmed, "#([`") {
				own = indent
				continue
			}
		}
		item.WriteString(trimmed + " ")
		if item.Len() > 4000 {
			flush()
		}
	}
	flush()
	return out
}

func moodOf(heading string) mood {
	s := negation.ReplaceAllString(heading, "")
	switch {
	case ownHeading.MatchString(s):
		return moodOwn
	case breakingHeading.MatchString(s):
		return moodBreaking
	case importantHeading.MatchString(s):
		return moodImportant
	case removedHeading.MatchString(s):
		return moodRemoved
	case deprecatedHeading.MatchString(s):
		return moodDeprecated
	case fixesHeading.MatchString(s):
		return moodFixes
	case internalHeading.MatchString(s):
		return moodInternal
	}
	return moodNone
}
