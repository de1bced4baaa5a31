package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/version"
)

// verdict is what the classifier and the keywords say of a labelled release.
type verdict struct {
	label     label
	signals   []notes.Signal
	migration string // the passage that speaks of a data migration, "" for none
	keyword   string // the line that the plain keywords match, "" for none
}

func (v verdict) found() bool  { return len(v.signals) > 0 }
func (v verdict) strong() bool { return v.strongest() == notes.Strong }

// strongest is the strength of the strongest signal, "" without one.
func (v verdict) strongest() notes.Strength {
	if slices.ContainsFunc(v.signals, func(s notes.Signal) bool { return s.Strength == notes.Strong }) {
		return notes.Strong
	}
	if v.found() {
		return notes.Weak
	}
	return ""
}

// absence is a labelled release that could not be judged.
type absence struct {
	label  label
	why    string
	unread bool // its project's changelog could not be read at all
}

// evaluate judges every labelled release. read returns a project's changelog.
func evaluate(labels []label, projects []project, read func(project) (string, error)) ([]verdict, []absence) {
	var verdicts []verdict
	var absent []absence
	for _, name := range projectsOf(labels) {
		releases, err := releasesOf(name, projects, read)
		for _, l := range labels {
			if l.Project != name {
				continue
			}
			if err != nil {
				absent = append(absent, absence{l, err.Error(), true})
				continue
			}
			r, ok := find(releases, l.Version)
			if !ok {
				absent = append(absent, absence{l, "the changelog has no such release", false})
				continue
			}
			verdicts = append(verdicts, judge(l, r))
		}
	}
	return verdicts, absent
}

// projectsOf lists the projects in the order of the labels.
func projectsOf(labels []label) []string {
	var out []string
	for _, l := range labels {
		if !slices.Contains(out, l.Project) {
			out = append(out, l.Project)
		}
	}
	return out
}

func releasesOf(name string, projects []project, read func(project) (string, error)) ([]notes.Release, error) {
	i := slices.IndexFunc(projects, func(p project) bool { return p.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("projects.csv does not list %s", name)
	}
	text, err := read(projects[i])
	if err != nil {
		return nil, err
	}
	return notes.Split(text), nil
}

// find returns the release that a label speaks of: the first that is spelt so,
// else the first that is the same version in another spelling ("v1.2.0",
// "server/1.2"). Another part's release of the same number is not it.
func find(releases []notes.Release, want string) (notes.Release, bool) {
	for _, r := range releases {
		if r.Tag == want || strings.TrimPrefix(r.Tag, "v") == want {
			return r, true
		}
	}
	w, err := version.Parse(want)
	if err != nil {
		return notes.Release{}, false
	}
	for _, r := range releases {
		if t, err := version.Parse(r.Tag); err == nil && t.Key() == w.Key() {
			return r, true
		}
	}
	return notes.Release{}, false
}

func judge(l label, r notes.Release) verdict {
	v := verdict{label: l, signals: notes.Signals(r, notes.DefaultKeywords), keyword: plainKeywords(r.Body)}
	if passage, ok := notes.Migrates(r); ok {
		v.migration = passage
	}
	return v
}

// plainKeywords is what belay is compared with: the default keywords as
// substrings in any case, anywhere in the notes. It returns the line of the
// first match, "" for none.
func plainKeywords(body string) string {
	for line := range strings.Lines(body) {
		lower := strings.ToLower(line)
		if slices.ContainsFunc(notes.DefaultKeywords, func(k string) bool { return strings.Contains(lower, k) }) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// tally counts verdicts.
type tally struct {
	releases, breaking           int
	found, strong, keyword       int // breaking releases with any signal, with a strong one, with a keyword
	alarms, strongAlarms         int // releases that are not breaking with any signal, with a strong one
	keywordAlarms                int
	migrations, migrated, untrue int // labelled; of them recognised; recognised without being labelled
}

func count(verdicts []verdict, in func(verdict) bool) tally {
	var t tally
	for _, v := range verdicts {
		if !in(v) {
			continue
		}
		t.releases++
		if v.label.Breaking {
			t.breaking++
			t.found += one(v.found())
			t.strong += one(v.strong())
			t.keyword += one(v.keyword != "")
		} else {
			t.alarms += one(v.found())
			t.strongAlarms += one(v.strong())
			t.keywordAlarms += one(v.keyword != "")
		}
		if v.label.Migration {
			t.migrations++
			t.migrated += one(v.migration != "")
		} else {
			t.untrue += one(v.migration != "")
		}
	}
	return t
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
