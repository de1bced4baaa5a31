package risk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/version"
)

// Assess decides how dangerous an upgrade is. See the table of SPEC section 7:
// a major bump, a breaking signal or risk.always_step make it CAUTION whether
// or not all notes are there; missing notes make it UNKNOWN otherwise; SAFE is
// what is left.
func Assess(in Input) Assessment {
	a := Assessment{
		Bump:      version.BumpBetween(in.From, in.To, in.ZeroMajor),
		Evidence:  sorted(in.Evidence),
		Security:  in.Security,
		Migration: in.Migration != "", MigrationText: in.Migration,
	}
	for _, e := range in.Evidence {
		if e.Migration && !a.Migration {
			a.Migration, a.MigrationText = true, e.Text
		}
	}
	var caution []string
	if a.Bump == version.BumpMajor {
		caution = append(caution, fmt.Sprintf("major bump: %s → %s", in.From, in.To))
	}
	caution = append(caution, signals(in)...)
	if in.AlwaysStep {
		caution = append(caution, "the configuration always takes this service step by step (risk.always_step)")
	}
	missing := withoutNotes(in)
	switch {
	case len(caution) > 0:
		a.Level, a.Reasons = Caution, append(caution, missing...)
	case len(missing) > 0:
		a.Level, a.Reasons = Unknown, missing
	default:
		a.Level = Safe
		a.Reasons = []string{fmt.Sprintf("%s bump; notes found for %s, no breaking signal", a.Bump, count(len(in.Releases), "release"))}
		if weak := len(in.Evidence); weak > 0 {
			a.Reasons[0] = fmt.Sprintf("%s bump; notes found for %s, only weak signals (risk.strict is off)", a.Bump, count(len(in.Releases), "release"))
		}
	}
	return a
}

// signals says which signals count.
func signals(in Input) []string {
	strong, weak, used := 0, 0, 0
	for _, e := range in.Evidence {
		if e.Strength == notes.Strong {
			strong++
		} else {
			weak++
		}
		if UsedHere(e) {
			used++
		}
	}
	var out []string
	if strong > 0 {
		out = append(out, count(strong, "breaking signal")+" in the release notes")
	}
	if weak > 0 && in.Strict {
		out = append(out, count(weak, "weak signal")+" in the release notes")
	}
	if used > 0 && len(out) > 0 {
		out[0] += fmt.Sprintf(", %d about settings used here", used)
	}
	return out
}

// withoutNotes says which versions have no notes. A release with an empty body
// has none; a release candidate need not, since the release repeats it.
func withoutNotes(in Input) []string {
	missing := slices.Clone(in.Missing)
	for _, r := range in.Releases {
		if strings.TrimSpace(r.Body) == "" && !candidate(r) && !slices.Contains(missing, r.Tag) {
			missing = append(missing, r.Tag)
		}
	}
	switch n := len(missing); {
	case len(in.Releases) == 0 && n == 0 || n > 0 && n >= len(in.Releases) && !hasNotes(in):
		return []string{fmt.Sprintf("no release notes found between %s and %s", in.From, in.To)}
	case n > 0:
		return []string{fmt.Sprintf("no release notes for %s", enumerate(missing))}
	case !covers(in):
		return []string{fmt.Sprintf("no release notes for %s itself", in.To)}
	}
	return nil
}

func candidate(r notes.Release) bool {
	t, err := version.Parse(r.Tag)
	return r.Prerelease || err == nil && t.Prerelease()
}

func hasNotes(in Input) bool {
	return slices.ContainsFunc(in.Releases, func(r notes.Release) bool { return strings.TrimSpace(r.Body) != "" })
}

// covers reports whether the target itself is among the releases: notes of
// older ones alone say nothing about it.
func covers(in Input) bool {
	return slices.ContainsFunc(in.Releases, func(r notes.Release) bool {
		t, err := version.Parse(r.Tag)
		return err == nil && version.CompareReleases(t, in.To) == 0
	})
}

// enumerate names a few and counts the rest.
func enumerate(s []string) string {
	if len(s) <= 4 {
		return strings.Join(s, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(s[:3], ", "), len(s)-3)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// UsedHere reports whether one of the evidence's identifiers stands in the service's files.
func UsedHere(e Evidence) bool {
	return slices.ContainsFunc(e.Uses, func(u Use) bool { return len(u.At) > 0 })
}

// sorted puts what is used here first, strong before weak, older versions first.
func sorted(in []Evidence) []Evidence {
	out := slices.Clone(in)
	rank := func(e Evidence) int {
		r := 0
		if !UsedHere(e) {
			r += 2
		}
		if e.Strength != notes.Strong {
			r++
		}
		return r
	}
	slices.SortStableFunc(out, func(a, b Evidence) int { return rank(a) - rank(b) })
	return out
}

// MayAutomerge reports whether the configuration lets belay merge a risk
// without a person. CAUTION it never does, whatever the list says.
func MayAutomerge(level Level, allowed []string) bool {
	return level != Caution && slices.Contains(allowed, string(level))
}
