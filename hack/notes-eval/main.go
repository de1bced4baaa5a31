// Command notes-eval measures the classifier of release notes on the changelogs
// of real projects, against labels that people set, beside the plain keyword
// matching that belay's predecessor did.
//
//	go run ./hack/notes-eval -dir ~/mirrors
//	go run ./hack/notes-eval -dir ~/mirrors -misses dev
//	go run ./hack/notes-eval -dir ~/mirrors -write docs/risk.md
//
// DIR holds a git directory for each project of testdata/notes/projects.csv, bare
// or not, as owner/name, owner+name, name or name.git. Changelogs are read at
// the revision of that table without a checkout. Needs no network.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("notes-eval: ")
	o := options{out: os.Stdout}
	flag.StringVar(&o.dir, "dir", "", "directory that holds the projects' git directories")
	flag.StringVar(&o.data, "data", filepath.Join("testdata", "notes"), "directory that holds labels.csv and projects.csv")
	flag.StringVar(&o.misses, "misses", "", "list what is missed and what is a false alarm in a set: dev, test, fresh or all. Who reads those of fresh and changes a rule makes it stale")
	flag.StringVar(&o.write, "write", "", "rewrite the tables between the markers of this file")
	flag.BoolVar(&o.head, "head", false, "read changelogs at HEAD instead of the revisions of projects.csv")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

// options are what a person asked for.
type options struct {
	dir, data, misses, write string
	head                     bool
	out                      io.Writer
}

func run(o options) error {
	if o.dir == "" {
		return fmt.Errorf("name the directory of the git directories with -dir")
	}
	if o.misses != "" && o.misses != "all" && !slices.Contains([]set{setDev, setTest, setFresh}, set(o.misses)) {
		return fmt.Errorf("-misses takes dev, test, fresh or all, not %q", o.misses)
	}
	labels, err := readFile(filepath.Join(o.data, "labels.csv"), readLabels)
	if err != nil {
		return err
	}
	projects, err := readFile(filepath.Join(o.data, "projects.csv"), readProjects)
	if err != nil {
		return err
	}
	if err := checkSets(labels, projects); err != nil {
		return err
	}
	verdicts, absent := evaluate(labels, projects, func(p project) (string, error) { return p.changelog(o.dir, o.head) })

	fmt.Fprint(o.out, tables(verdicts, absent))
	if o.misses != "" {
		fmt.Fprint(o.out, "\n", misses(verdicts, o.misses))
	}
	for _, a := range absent {
		fmt.Fprintf(o.out, "not found: %s %s: %s\n", a.label.Project, a.label.Version, a.why)
	}
	if len(verdicts) == 0 {
		return fmt.Errorf("no labelled release was found: is %s the right directory?", o.dir)
	}
	if o.write == "" {
		return nil
	}
	// What Split does not find is a result, and the tables say it. What was not read is none.
	if i := slices.IndexFunc(absent, func(a absence) bool { return a.unread }); i >= 0 {
		return fmt.Errorf("%s left as it is: %s", o.write, absent[i].why)
	}
	return rewrite(o.write, tables(verdicts, absent))
}
