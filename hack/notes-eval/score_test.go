package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/notes"
)

const changelog = `# Changelog

## [2.0.0] - 2024-03-01
### Breaking changes
- Remove ` + "`OLD_SETTING`" + `. Set ` + "`NEW_SETTING`" + ` instead.
- The database schema is migrated at start, which takes a while.

## [1.2.0] - 2024-02-01
### Added
- A page of statistics

### Removed
- *Nothing*

## [1.1.1] - 2024-01-15
### Fixed
- The page opens faster

## [1.1.0] - 2024-01-10
### Changed
- The cache is now kept in memory
`

// labels of the changelog above, in which 1.1.0 is a break that no word betrays.
func webLabels() []label {
	l := func(version string, breaking, migration bool, s set) label {
		return label{Project: "web", Version: version, Breaking: breaking, Migration: migration, Set: s, Why: "because"}
	}
	return []label{
		l("2.0.0", true, true, setDev), l("1.2.0", false, false, setDev), l("1.1.1", false, false, setTest), l("1.1.0", true, true, setTest), l("0.9", true, false, setDev),
	}
}

func webVerdicts(t *testing.T) ([]verdict, []absence) {
	t.Helper()
	return evaluate(webLabels(), []project{{Name: "web", Repository: "acme/web"}}, func(project) (string, error) { return changelog, nil })
}

func TestReleasesAreCountedAgainstTheirLabels(t *testing.T) {
	verdicts, absent := webVerdicts(t)
	want := tally{
		releases: 4, breaking: 2,
		found: 1, strong: 1, keyword: 1, // 1.1.0 is missed by both
		keywordAlarms: 1, // 1.2.0: the heading "Removed" with nothing below
		migrations:    2, migrated: 1,
	}
	if diff := cmp.Diff(want, count(verdicts, func(verdict) bool { return true }), cmp.AllowUnexported(tally{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want = tally{releases: 2, breaking: 1, migrations: 1}
	if diff := cmp.Diff(want, count(verdicts, func(v verdict) bool { return v.label.Set == setTest }), cmp.AllowUnexported(tally{})); diff != "" {
		t.Errorf("test (-want +got):\n%s", diff)
	}
	if len(absent) != 1 || absent[0].label.Version != "0.9" || absent[0].why != "the changelog has no such release" {
		t.Errorf("absent: %+v", absent)
	}
}

func TestEveryKindOfVerdictIsCountedOnce(t *testing.T) {
	weak, strong := []notes.Signal{{Strength: notes.Weak}}, []notes.Signal{{Strength: notes.Weak}, {Strength: notes.Strong}}
	breaking, calm := label{Breaking: true}, label{}
	for name, row := range map[string]struct {
		v    verdict
		want tally
	}{
		"a break found by a strong signal":         {verdict{label: breaking, signals: strong}, tally{releases: 1, breaking: 1, found: 1, strong: 1}},
		"a break found by a weak signal":           {verdict{label: breaking, signals: weak}, tally{releases: 1, breaking: 1, found: 1}},
		"a break that only the keywords find":      {verdict{label: breaking, keyword: "x"}, tally{releases: 1, breaking: 1, keyword: 1}},
		"a strong false alarm":                     {verdict{label: calm, signals: strong}, tally{releases: 1, alarms: 1, strongAlarms: 1}},
		"a weak false alarm":                       {verdict{label: calm, signals: weak}, tally{releases: 1, alarms: 1}},
		"a false alarm of the keywords":            {verdict{label: calm, keyword: "x"}, tally{releases: 1, keywordAlarms: 1}},
		"nothing to say of a release that is calm": {verdict{label: calm}, tally{releases: 1}},
		"a migration recognised":                   {verdict{label: label{Migration: true}, migration: "x"}, tally{releases: 1, migrations: 1, migrated: 1}},
		"a migration missed":                       {verdict{label: label{Migration: true}}, tally{releases: 1, migrations: 1}},
		"a migration that is none":                 {verdict{label: calm, migration: "x"}, tally{releases: 1, untrue: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := count([]verdict{row.v}, func(verdict) bool { return true })
			if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(tally{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlainKeywordsMatchAnywhereInAnyCase(t *testing.T) {
	for name, row := range map[string]struct{ body, want string }{
		"a word in a line":               {"- fine\n- The API was Renamed\n", "- The API was Renamed"},
		"an empty section":               {"### Removed\n* *Nothing*\n", "### Removed"},
		"a denial":                       {"There are no breaking changes.", "There are no breaking changes."},
		"the first line wins":            {"removed\ndeprecated", "removed"},
		"inside another word":            {"- Remove unremovedable", "- Remove unremovedable"},
		"another inflection is no match": {"- Remove support for PostgreSQL 12", ""},
		"no notes":                       {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plainKeywords(row.body); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestAReleaseIsFoundInAnySpelling(t *testing.T) {
	releases := []notes.Release{{Tag: "android/v2.0.0", Body: "app"}, {Tag: "v2.0.0", Body: "server"}, {Tag: "release-1.5", Body: "old"}, {Tag: "v2.0.0", Body: "again"}}
	for want, body := range map[string]string{"2.0.0": "server", "v2.0.0": "server", "android/v2.0.0": "app", "1.5": "old", "3.0": "", "latest": ""} {
		r, ok := find(releases, want)
		if r.Body != body || ok != (body != "") {
			t.Errorf("%s: %q, %v; want %q", want, r.Body, ok, body)
		}
	}
}

func TestWhatCannotBeJudgedIsNamed(t *testing.T) {
	labels := webLabels()[:1]
	for name, row := range map[string]struct {
		projects []project
		err      error
		want     string
	}{
		"a project without a repository": {nil, nil, "projects.csv does not list web"},
		"a changelog that is not there":  {[]project{{Name: "web"}}, errors.New("no git directory of acme/web in x"), "no git directory of acme/web in x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, absent := evaluate(labels, row.projects, func(project) (string, error) { return "", row.err })
			if len(absent) != 1 || absent[0].why != row.want {
				t.Errorf("absent: %+v", absent)
			}
		})
	}
}

func TestMissesNameTheReleaseAndTheLine(t *testing.T) {
	verdicts := []verdict{
		{label: label{"web", "3.0", true, true, setDev, "a key is gone"}, keyword: "Removed the key"},
		{label: label{"web", "2.0", true, false, setDev, "a default"}, signals: []notes.Signal{{Strength: notes.Weak, Rule: "keyword", Text: "renamed"}}},
		{label: label{"web", "1.0", false, false, setTest, "a fix"}, signals: []notes.Signal{{Strength: notes.Weak, Rule: "keyword", Text: "w"}, {Strength: notes.Strong, Rule: "marker", Text: "s"}}, migration: "tables move"},
		{label: label{"web", "0.9", false, false, setDev, "a fix"}},
	}
	const dev = `missed: web 3.0 (dev; a key is gone)
    keyword: Removed the key
migration missed: web 3.0 (dev; a key is gone)
weak only: web 2.0 (dev; a default)
    weak, keyword: renamed
`
	const test = `false alarm, strong: web 1.0 (test; a fix)
    strong, marker: s
    weak, keyword: w
migration that is none: web 1.0 (test; a fix)
    tables move
`
	for which, want := range map[string]string{"dev": dev, "test": test, "all": dev + test} {
		if diff := cmp.Diff(want, misses(verdicts, which)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", which, diff)
		}
	}
	many := verdict{label: label{Set: setDev}, signals: make([]notes.Signal, 9)}
	if got := misses([]verdict{many}, "dev"); !strings.Contains(got, "    and 3 more\n") {
		t.Errorf("nine signals give %q", got)
	}
}
