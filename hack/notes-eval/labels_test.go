package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/version"
)

var data = filepath.Join("..", "..", "testdata", "notes")

func TestTheLabelsAreWellFormedAndEnough(t *testing.T) {
	labels, err := readFile(filepath.Join(data, "labels.csv"), readLabels)
	if err != nil {
		t.Fatal(err)
	}
	projects, err := readFile(filepath.Join(data, "projects.csv"), readProjects)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSets(labels, projects); err != nil {
		t.Error(err)
	}
	breaking, test, fresh := 0, 0, map[string]bool{}
	for _, l := range labels {
		breaking += one(l.Breaking)
		test += one(l.Set == setTest)
		if l.Set == setFresh {
			fresh[l.Project] = true
		}
		if _, err := version.Parse(l.Version); err != nil {
			t.Errorf("%s %s: %v", l.Project, l.Version, err)
		}
		if !slices.ContainsFunc(projects, func(p project) bool { return p.Name == l.Project }) {
			t.Errorf("%s is labelled and not in projects.csv", l.Project)
		}
		if len(strings.Fields(l.Why)) > 18 {
			t.Errorf("%s %s: the reason is to be a few words: %q", l.Project, l.Version, l.Why)
		}
	}
	for _, p := range projects {
		if !slices.ContainsFunc(labels, func(l label) bool { return l.Project == p.Name }) {
			t.Errorf("%s is in projects.csv and has no label", p.Name)
		}
		if !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(p.Revision) {
			t.Errorf("%s: %q is no commit", p.Name, p.Revision)
		}
	}
	if len(labels) < 150 || breaking < 40 || len(projects) < 12 {
		t.Errorf("%d releases, %d breaking, %d projects; want at least 150, 40 and 12", len(labels), breaking, len(projects))
	}
	if len(fresh) < 5 {
		t.Errorf("%d projects are fresh, want at least 5", len(fresh))
	}
	if share := 100 * test / len(labels); share < 25 || share > 50 {
		t.Errorf("%d %% of the releases are in test, want about 40", share)
	}
}

func TestBadLabelsAreRefusedWithTheLine(t *testing.T) {
	const head = "project,version,breaking,migration,set,why\n"
	for name, row := range map[string]struct{ csv, want string }{
		"an empty file":                       {"", "no heading: EOF"},
		"another heading":                     {"project,version,breaking,set,migration,why\n", `the heading is ["project" "version" "breaking" "set" "migration" "why"], not ["project" "version" "breaking" "migration" "set" "why"]`},
		"a word that is neither yes nor no":   {head + "web,1.0,maybe,no,dev,x\n", `line 2: breaking is yes or no, not "maybe"`},
		"no reason":                           {head + "web,1.0,no,no,dev,\n", "line 2: why is empty"},
		"no version":                          {head + "web,,no,no,dev,x\n", "line 2: version is empty"},
		"a set that was chosen":               {head + "web,1.0,no,no,dev,x\n", `line 2: web 1.0 belongs to the set test by its hash, not to "dev"`},
		"a release labelled twice":            {head + "web,1.0,no,no,test,x\nweb,1.0,yes,no,test,y\n", "line 3: web 1.0 is labelled on line 2 already"},
		"a row with a comma too many":         {head + "web,1.0,no,no,dev,x,y\n", "record on line 2: wrong number of fields"},
		"a comma inside quotes is no trouble": {head + "web,1.0,no,no,test,\"x, y\"\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readLabels(strings.NewReader(row.csv))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProjects(t *testing.T) {
	const head = "project,repository,set,revision,changelogs\n"
	got, err := readProjects(strings.NewReader(head + "web,acme/web,fresh,0123,a.md docs/b.md\n"))
	if diff := cmp.Diff([]project{{"web", "acme/web", true, "0123", []string{"a.md", "docs/b.md"}}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for row, want := range map[string]string{
		"web,web,split,0123,a.md\n":          `line 2: repository is owner/name, not "web"`,
		"web,a/b/c,split,0123,a.md\n":        `line 2: repository is owner/name, not "a/b/c"`,
		"web,acme/web,split,0123,\n":         "line 2: web has no changelog path",
		"w,a/b,split,0,a\nw,a/b,split,0,b\n": "line 3: w is listed twice",
		"web,acme/web,split,\"0,a.md\n":      "parse error on line 2",
		"web,acme/web,old,0,a.md\n":          `line 2: set is split or fresh, not "old"`,
		"web,acme/web,split,0123,a,b.md":     "record on line 2: wrong number of fields",
	} {
		if _, err := readProjects(strings.NewReader(head + row)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q gives %v, want %s", row, err, want)
		}
	}
}
