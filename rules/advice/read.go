package advice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/risk"
)

// MaxAnswer is the longest answer in bytes that is read: ten times what the
// answer's form can hold.
const MaxAnswer = 128 << 10

// Limits of an answer's parts; what is beyond is dropped.
const (
	maxSentences = 5
	maxFindings  = 10
	maxNames     = 10
	maxText      = 400 // characters of a sentence
	maxQuote     = 300 // characters
	minQuote     = 10  // characters: less occurs anywhere
	maxName      = 80
)

// ErrNonsense is wrapped by the error for an answer that has not the form asked for.
var ErrNonsense = errors.New("the answer has not the form that was asked for")

// answer is the form of an answer, as Schema has it.
type answer struct {
	Risk     *string   `json:"risk"`
	Summary  *[]string `json:"summary"`
	Findings *[]struct {
		Version  *string   `json:"version"`
		Quote    *string   `json:"quote"`
		Text     *string   `json:"text"`
		Settings *[]string `json:"settings"`
	} `json:"findings"`
}

// Read holds an answer against its question. An answer of another form is an
// error that wraps ErrNonsense. In one of the right form, every part stands for
// itself: a sentence or finding that names a version, a setting or a passage
// that was not in the question, that has a link, markup or a mention in it, or
// that tells people to approve, is dropped and counted.
func Read(q Question, data []byte) (Advice, error) {
	if len(data) > MaxAnswer {
		return Advice{}, fmt.Errorf("%w: it is longer than %d KB", ErrNonsense, MaxAnswer>>10)
	}
	var a answer
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return Advice{}, fmt.Errorf("%w: %w", ErrNonsense, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Advice{}, fmt.Errorf("%w: something follows it", ErrNonsense)
	}
	if a.Risk == nil || a.Summary == nil || a.Findings == nil {
		return Advice{}, fmt.Errorf("%w: risk, summary or findings is missing", ErrNonsense)
	}
	level := risk.Level(*a.Risk)
	if level != risk.Safe && level != risk.Caution {
		return Advice{}, fmt.Errorf("%w: risk is neither safe nor caution", ErrNonsense)
	}
	known := newSource(q)
	out := Advice{Level: level}
	for _, s := range *a.Summary {
		if s, ok := known.sentence(s); ok && len(out.Summary) < maxSentences && !slices.Contains(out.Summary, s) {
			out.Summary = append(out.Summary, s)
			continue
		}
		out.Dropped++
	}
	for _, f := range *a.Findings {
		if f.Version == nil || f.Quote == nil || f.Text == nil || f.Settings == nil {
			return Advice{}, fmt.Errorf("%w: a finding is not whole", ErrNonsense)
		}
		text, ok := known.sentence(*f.Text)
		quote := strings.Join(strings.Fields(readable(*f.Quote)), " ")
		if !ok || len(out.Findings) == maxFindings || !known.quotes(*f.Version, quote) {
			out.Dropped++
			continue
		}
		finding := Finding{Version: *f.Version, Quote: quote, Text: text}
		for _, name := range *f.Settings {
			if len(finding.Settings) == maxNames || !known.name(name) || slices.Contains(finding.Settings, name) {
				out.Dropped++
				continue
			}
			finding.Settings = append(finding.Settings, name)
		}
		out.Findings = append(out.Findings, finding)
	}
	return out, nil
}

// source is what an answer may speak of.
type source struct {
	releases map[string]string // plain notes by tag
	all      string            // all notes, as they are
	settings []string
	versions map[string]bool // those asked about and those the notes name, without their v
}

func newSource(q Question) source {
	s := source{releases: map[string]string{}, settings: q.Settings, versions: map[string]bool{bare(q.From): true, bare(q.To): true}}
	var all strings.Builder
	for _, r := range q.Releases {
		body := readable(r.Body)
		s.releases[r.Tag] = plain(body)
		all.WriteString(body + "\n")
		s.versions[bare(r.Tag)] = true
	}
	s.all = all.String()
	for _, v := range numbered.FindAllString(s.all, -1) {
		s.versions[bare(v)] = true
	}
	return s
}

// bare is a version as it is compared.
func bare(v string) string { return strings.TrimPrefix(strings.TrimRight(v, ".-+"), "v") }

// plain is text as it is compared: lower case, without Markdown's marks, one
// space between words.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch r {
		case '*', '_', '`', '~', '#', '>', '|', '\\':
			return -1
		}
		return unicode.ToLower(r)
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// quotes reports whether a passage stands in the notes of a release.
func (s source) quotes(version, quote string) bool {
	body, ok := s.releases[version]
	n := utf8.RuneCountInString(quote)
	p := plain(quote)
	return ok && n >= minQuote && n <= maxQuote && len(p) >= minQuote && strings.Contains(body, p)
}

// name reports whether a name of a setting is one of the service's, or stands
// in the notes as a whole word.
func (s source) name(name string) bool {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '`' || r == 0x7f || unicode.Is(unicode.Cf, r) }) {
		return false
	}
	return slices.Contains(s.settings, name) || word(s.all, name)
}

// word reports whether text holds a name that is not part of a longer one.
func word(text, name string) bool {
	if name == "" {
		return false
	}
	part := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(name):])
		if (i == 0 || !part(before)) && (i+len(name) == len(text) || !part(after)) {
			return true
		}
		from = i + len(name)
	}
}

var (
	// unwanted matches what no sentence of an adviser may hold: "https://x", "www.x", "[a](b)", "<b>", "@ana", "/upgrade
	// approve", "![x]", "javascript:", "#12", "&lt;"; not "a < b", "ana's".
	unwanted = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://|\bwww\.|\]\s*[(\[:]|!\[|<[a-z/!?]|(?:^|[^a-z0-9])@[a-z0-9]|/(?:upgrade|belay)\b|\bjavascript:|#\d|\bgh-\d|&#?[a-z0-9]+;|` + "```" + `|\[(?:skip|ci|no)[ -]|no_ci`)
	// urging matches what people are told to do that is theirs to decide: "you can merge this", "safe to merge", "approve it",
	// "no review is needed", "auto-merge"; not "merge conflicts in the notes are fixed".
	urging = regexp.MustCompile(`(?i)\b(?:approv(?:e|ed|al)|auto-?merg\w*|(?:safe|ok|okay|fine|ready|free|want|should|can|may|must|please|to|and|just) (?:to )?merge|merge (?:it|this|now|without)|(?:no|without|skip(?:ping)?|not need)(?: an?y?| the| human| manual)* review\w*)\b`)
	// named matches names in a sentence: "`max_size`", "LOG_LEVEL", "--listen-on".
	named = regexp.MustCompile("`([^`]*)`|\\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\\b|(?:^|\\s)(--[a-z][a-z0-9-]+)")
	// numbered matches versions in a sentence: "v2.10.0", "2026.2", "1.2.3-rc.1"; not "2" or "10%".
	numbered = regexp.MustCompile(`\bv?\d+(?:\.\d+)+[0-9A-Za-z.+-]*`)
)

// sentence is one sentence of the adviser's on one line, if it may be shown.
func (s source) sentence(text string) (string, bool) {
	text = strings.Join(strings.Fields(readable(text)), " ")
	if n := utf8.RuneCountInString(text); n == 0 || n > maxText || unwanted.MatchString(text) || urging.MatchString(text) {
		return "", false
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		if name := m[1] + m[2] + m[3]; !s.name(name) && !s.versions[bare(name)] {
			return "", false
		}
	}
	for _, v := range numbered.FindAllString(text, -1) {
		if !s.versions[bare(v)] {
			return "", false
		}
	}
	// What is shown is neutralised as any upstream text; what would change by it is no plain text.
	if notes.Plain(text) == "" {
		return "", false
	}
	return text, true
}
