package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
)

func TestTables(t *testing.T) {
	got := tables(webVerdicts(t))
	const want = `| | dev | test | fresh | all | aim |
| --- | --- | --- | --- | --- | --- |
| releases | 2 | 2 | 0 | 4 |  |
| breaking for an operator | 1 | 1 | 0 | 2 |  |
| found by strong or weak signals | 1 of 1 (100 %) | 0 of 1 (0 %) | – | 1 of 2 (50 %) | 95 % |
| found by strong signals alone | 1 of 1 (100 %) | 0 of 1 (0 %) | – | 1 of 2 (50 %) | 85 % |
| found by keywords | 1 of 1 (100 %) | 0 of 1 (0 %) | – | 1 of 2 (50 %) |  |
| not breaking | 1 | 1 | 0 | 2 |  |
| false alarms, ` + "`risk.strict`" + ` on | 0 of 1 (0 %) | 0 of 1 (0 %) | – | 0 of 2 (0 %) |  |
| false alarms, ` + "`risk.strict`" + ` off | 0 of 1 (0 %) | 0 of 1 (0 %) | – | 0 of 2 (0 %) | half of the keywords' |
| false alarms of keywords | 1 of 1 (100 %) | 0 of 1 (0 %) | – | 1 of 2 (50 %) |  |
| with a data migration | 1 | 1 | 0 | 2 |  |
| data migrations recognised | 1 of 1 (100 %) | 0 of 1 (0 %) | – | 1 of 2 (50 %) |  |
| data migrations that are none | 0 of 1 (0 %) | 0 of 1 (0 %) | – | 0 of 2 (0 %) |  |

| project | releases | breaking | found | strong | keywords | false alarms, strict | false alarms, not strict | false alarms of keywords | migrations | recognised | none |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| web | 4 | 2 | 1 | 1 | 1 | 0 | 0 | 1 | 2 | 1 | 0 |
| **all** | 4 | 2 | 1 | 1 | 1 | 0 | 0 | 1 | 2 | 1 | 0 |

Labelled releases that were not found in the changelogs, and count nowhere: 1, web 0.9.
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAShareIsCutAndNeverRoundedUp(t *testing.T) {
	for want, got := range map[string]string{
		"18 of 19 (94 %)":    share(18, 19),
		"949 of 1000 (94 %)": share(949, 1000),
		"–":                  share(0, 0),
		"1 of 1 (100 %)":     share(1, 1),
		"999 of 1000 (99 %)": share(999, 1000),
		"0 of 1000 (0 %)":    share(0, 1000),
		"950 of 1000 (95 %)": share(950, 1000),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAbsentReleasesAreListedByProject(t *testing.T) {
	a := func(project, version string) absence {
		return absence{label: label{Project: project, Version: version}}
	}
	if got, want := listed([]absence{a("web", "1.0"), a("web", "1.1"), a("api", "2.0")}), "web 1.0, 1.1; api 2.0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSpliceChangesOnlyWhatIsBetweenTheMarkers(t *testing.T) {
	doc := "before\n" + beginMarker + "\nold\n" + endMarker + "\nafter\n"
	once, err := splice(doc, "new\n")
	if want := "before\n" + beginMarker + "\nnew\n" + endMarker + "\nafter\n"; err != nil || once != want {
		t.Errorf("got %q, %v; want %q", once, err, want)
	}
	if twice, err := splice(once, "new\n"); err != nil || twice != once {
		t.Errorf("again it gives %q, %v", twice, err)
	}
	for name, doc := range map[string]string{"no marker": "text", "the end alone": endMarker, "the begin alone": beginMarker, "the wrong way round": endMarker + beginMarker} {
		if out, err := splice(doc, "new"); err == nil {
			t.Errorf("%s gives %q and no error", name, out)
		}
	}
}

// repository makes a git repository with one commit, bare or not, and returns the commit.
func repository(t *testing.T, dir string, bare bool, files map[string]string) string {
	t.Helper()
	work := dir
	if bare {
		work = t.TempDir()
	}
	repo, err := git.PlainInit(work, false)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add(name); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := tree.Commit("notes", &git.CommitOptions{Author: &object.Signature{Name: "acme", Email: "acme@example.org", When: time.Unix(1700000000, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	if bare {
		if _, err := git.PlainClone(dir, true, &git.CloneOptions{URL: work}); err != nil {
			t.Fatal(err)
		}
	}
	return hash.String()
}

func TestChangelogsAreReadFromGitDirectoriesOfAnyLayout(t *testing.T) {
	for _, layout := range []struct {
		path string
		bare bool
	}{{"acme/web", false}, {"acme/web.git", true}, {"acme+web", true}, {"acme+web/repo", true}, {"web", false}, {"web.git", true}} {
		t.Run(layout.path, func(t *testing.T) {
			dir := t.TempDir()
			hash := repository(t, filepath.Join(dir, layout.path), layout.bare, map[string]string{"CHANGELOG.md": "one", "docs/old.md": "two"})
			p := project{"web", "acme/web", false, hash, []string{"CHANGELOG.md", "docs/old.md"}}
			got, err := p.changelog(dir, false)
			if err != nil || got != "one\n\ntwo\n\n" {
				t.Fatalf("got %q, %v", got, err)
			}
			p.Revision = strings.Repeat("1", 40)
			if _, err := p.changelog(dir, false); err == nil || !strings.Contains(err.Error(), "acme/web has no commit 111111111111: fetch it") {
				t.Errorf("an unknown commit gives %v", err)
			}
			if got, err := p.changelog(dir, true); err != nil || got != "one\n\ntwo\n\n" {
				t.Errorf("at HEAD: %q, %v", got, err)
			}
			p.Changelogs = []string{"HISTORY.md"}
			if _, err := p.changelog(dir, true); err == nil || !strings.Contains(err.Error(), "acme/web has no HISTORY.md") {
				t.Errorf("an unknown path gives %v", err)
			}
		})
	}
	if _, err := (project{Repository: "acme/web"}).changelog(t.TempDir(), false); err == nil || !strings.Contains(err.Error(), "no git directory of acme/web in") {
		t.Errorf("an empty directory gives %v", err)
	}
}

func TestRunWritesTablesOnlyWhenEveryChangelogWasRead(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	hash := repository(t, filepath.Join(dir, "acme", "web"), false, map[string]string{"CHANGELOG.md": changelog})
	doc := filepath.Join(data, "risk.md")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	row := func(version, rest string) string {
		return "web," + version + "," + rest + "," + string(setOf("web", version)) + ",because\n"
	}
	labels := "project,version,breaking,migration,set,why\n" + row("2.0.0", "yes,yes") + row("1.1.1", "no,no")
	write("labels.csv", labels)
	write("projects.csv", "project,repository,set,revision,changelogs\nweb,acme/web,split,"+hash+",CHANGELOG.md\n")
	write("risk.md", "# Risk\n"+beginMarker+"\n"+endMarker+"\n")

	var out bytes.Buffer
	if err := run(options{dir: dir, data: data, misses: "all", write: doc, out: &out}); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(doc)
	if err != nil || !strings.Contains(string(written), "| web | 2 | 1 | 1 | 1 | 1 | 0 | 0 | 0 | 1 | 1 | 0 |") {
		t.Errorf("%v, %s", err, written)
	}

	write("labels.csv", labels+row("7.7", "no,no"))
	out.Reset()
	if err := run(options{dir: dir, data: data, write: doc, out: &out}); err != nil || !strings.Contains(out.String(), "not found: web 7.7: the changelog has no such release\n") {
		t.Errorf("%v, %s", err, out.String())
	}
	if written, err = os.ReadFile(doc); err != nil || !strings.Contains(string(written), "and count nowhere: 1, web 7.7.") {
		t.Errorf("%v, %s", err, written)
	}

	write("labels.csv", labels+"api,1.0,no,no,"+string(setOf("api", "1.0"))+",because\n")
	if err := run(options{dir: dir, data: data, write: doc, out: &out}); err == nil || !strings.HasSuffix(err.Error(), "left as it is: projects.csv does not list api") {
		t.Errorf("a project without a repository gives %v", err)
	}
	if again, err := os.ReadFile(doc); err != nil || !bytes.Equal(again, written) {
		t.Errorf("the file changed: %v, %s", err, again)
	}

	for name, o := range map[string]options{
		"no directory":            {data: data},
		"an unknown set":          {dir: dir, data: data, misses: "prod"},
		"no labels":               {dir: dir, data: t.TempDir()},
		"no repository":           {dir: t.TempDir(), data: data},
		"a file without a marker": {dir: dir, data: data, write: filepath.Join(data, "projects.csv")},
	} {
		o.out = &out
		if err := run(o); err == nil {
			t.Errorf("%s gives no error", name)
		}
	}
}
