package notes

import (
	"net/url"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// maxChangelog is how many bytes of a changelog Split reads.
const maxChangelog = 64 << 20

// Split cuts a changelog (Markdown, reStructuredText or a plain ChangeLog)
// into its releases, in the order of the file. A release is headed by a line
// that says little more than its version: "## [1.2.3] - 2024-01-02",
// "Synapse 1.157.0rc1 (2026-07-14)", "2025-08-12 version 1.0.1". Everything up
// to the next such line is its body, headings of the same level included. What
// stands under "Unreleased" belongs to none. Where a file keeps several
// projects ("ntfy server v2.8.0", "ntfy iOS app v1.3"), the tags get the
// project as prefix: "ntfy-ios-app/v1.3". See SPEC section 6.
func Split(changelog string) []Release {
	text := bound(changelog, maxChangelog)
	if isRest(text) {
		text = fromRest(text)
	}
	sections := markdownSections(text)
	if !slices.ContainsFunc(sections, func(s section) bool { return !s.heading.unreleased }) {
		sections = plainSections(text)
	}
	sections = dropNested(text, sections)
	defs := linkDefinitions(text)
	tags := tagger(sections)
	var out []Release
	for _, s := range sections {
		if s.heading.unreleased {
			continue
		}
		body := strings.TrimSpace(text[s.body:s.end])
		h := s.heading
		r := Release{Tag: tags(h), Name: h.title, Published: h.published, Prerelease: h.tag.Prerelease(), URL: s.url}
		if r.URL == "" {
			r.URL = webURL(defs.target(h.tag.Raw))
		}
		r.Body = defs.complete(body)
		out = append(out, r)
	}
	// A title over the whole file ("# NetBox v3.0") or a group ("## 2.x") has no notes of its own.
	return slices.DeleteFunc(out, func(r Release) bool {
		return r.Body == "" && slices.ContainsFunc(out, func(o Release) bool { return o.Body != "" && under(r.Tag, o.Tag) })
	})
}

// section is a release's part of a changelog.
type section struct {
	heading *releaseHeading
	level   int    // of the heading; 0 in plain text
	url     string // that the heading links to
	start   int    // byte where the heading's line begins
	body    int    // byte after the heading
	end     int    // byte where the next section begins
}

// markdownSections finds the headings of releases at the top level of a Markdown document.
func markdownSections(text string) []section {
	source := []byte(text)
	var out []section
	doc := parseBlocks(source)
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		h, ok := n.(*ast.Heading)
		if !ok || h.Lines().Len() == 0 {
			continue
		}
		first, last := h.Lines().At(0), h.Lines().At(h.Lines().Len()-1)
		raw := text[first.Start:last.Stop]
		if !strings.ContainsAny(raw, "0123456789") && !strings.ContainsAny(raw, "nNuUmMdDfFtThH") {
			continue
		}
		plain, link := inlineText(raw)
		read := readHeading(plain)
		if read == nil {
			continue
		}
		start := strings.LastIndexByte(text[:first.Start], '\n') + 1
		body := lineEnd(text, last.Start)
		if !strings.HasPrefix(strings.TrimLeft(text[start:], " "), "#") {
			body = lineEnd(text, body) // the underline of a Setext heading
		}
		out = append(out, section{heading: read, level: h.Level, url: webURL(link), start: start, body: body, end: len(text)})
		if len(out) > 1 {
			out[len(out)-2].end = start
		}
	}
	return out
}

// lineEnd is the byte after the line that holds byte i.
func lineEnd(text string, i int) int {
	if n := strings.IndexByte(text[min(i, len(text)):], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(text)
}

// dropNested joins to its release what only looks like another one: a heading
// below the release's own level that names another thing ("### Plugin 8.1"
// inside "## 2.0") or an older version. A version of the release's own line
// ("### 2.0.1" inside "## 2.0") stays.
func dropNested(text string, sections []section) []section {
	var out []section
	for _, s := range sections {
		if len(out) > 0 {
			last := &out[len(out)-1]
			own := strings.TrimSpace(text[last.body:last.end])
			if s.level > last.level && !last.heading.unreleased && own != "" && (s.heading.unreleased ||
				!under(last.heading.tag.Raw, s.heading.tag.Raw) && s.heading.project != last.heading.project ||
				!under(last.heading.tag.Raw, s.heading.tag.Raw) && s.level > last.level+1) {
				last.end = s.end
				continue
			}
			if s.level > last.level && last.heading.unreleased && s.heading.unreleased {
				last.end = s.end
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// tagger returns how a section's tag is written: as upstream did, with the
// project before it where the file keeps several projects.
func tagger(sections []section) func(*releaseHeading) string {
	count := map[string]int{}
	for _, s := range sections {
		if !s.heading.unreleased {
			count[s.heading.project]++
		}
	}
	several := 0
	for _, n := range count {
		if n >= 3 {
			several++
		}
	}
	return func(h *releaseHeading) string {
		if several < 2 || h.project == "" || count[h.project] < 3 || h.tag.Component() != "" {
			return h.tag.Raw
		}
		slug := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, h.project)
		return strings.Trim(slug, "-0123456789") + "/" + h.tag.Raw
	}
}

// webURL returns the address if it is one of the web, else "".
func webURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(s) > 2000 {
		return ""
	}
	return s
}
