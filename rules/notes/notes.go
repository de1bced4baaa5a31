// Package notes reads release notes: it splits changelogs into releases, picks
// those between two versions, finds the lines that matter to whoever runs the
// software (breaking changes, migrations, security fixes), the identifiers they
// name, and neutralises the text before people see it.
//
// In go Markdown and reStructuredText as upstream wrote it; out come Release,
// Signal and safe Markdown. It fetches nothing and judges nothing: the risk is
// rules/risk's. Upstream text is untrusted. See SPEC sections 6, 7 and 9.
package notes

import "time"

// Release is one release of an upstream project with its notes.
type Release struct {
	Tag        string    // as upstream wrote it: "v2.10.0", "server/v1.2", "2026.2.2"
	Name       string    // the release's title; may be empty
	Body       string    // Markdown or reStructuredText, untrusted; may be empty
	URL        string    // where a person can read it; may be empty
	Published  time.Time // zero when unknown
	Prerelease bool
	Draft      bool
}

// Strength says how far a signal is to be trusted.
type Strength string

// The strengths of SPEC section 7.
const (
	Weak   Strength = "weak"
	Strong Strength = "strong"
)

// Signal is a passage of release notes that may mean work for whoever runs the software.
type Signal struct {
	Version     string // the release's tag
	Text        string // the passage, one line of plain text, at most 300 characters, neutralised
	Rule        string // which rule matched: "heading: breaking changes", "keyword: removed"
	Strength    Strength
	URL         string   // of the release
	Identifiers []string // environment variables, flags, keys, endpoints that the passage names
	Migration   bool     // it speaks of a schema or data migration
}
