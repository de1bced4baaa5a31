package main

import (
	"encoding/csv"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strings"
)

// set is the part of the labels that a release belongs to.
type set string

// Rules are tuned on dev, and on the misses of test whenever new projects have
// been labelled. Only fresh says how they do on notes that nobody looked at
// while writing them: whole projects, labelled when the rules were finished.
const (
	setDev   set = "dev"
	setTest  set = "test"
	setFresh set = "fresh"
)

// label is what a person who read a release's notes says of it.
type label struct {
	Project   string
	Version   string
	Breaking  bool // whoever runs the container may have to change something for the service to go on as before
	Migration bool // data or schema is migrated, at start or by hand
	Set       set
	Why       string
}

// setOf says to which set a release belongs: about three in five to dev. It
// depends on nothing but the names, so that nobody chooses.
func setOf(project, version string) set {
	h := fnv.New32a()
	_, _ = io.WriteString(h, project+"@"+version) // a hash takes everything
	if h.Sum32()%5 < 3 {
		return setDev
	}
	return setTest
}

// project says where a project keeps its changelog.
type project struct {
	Name       string
	Repository string   // owner/name
	Fresh      bool     // all its releases are in the set fresh; else they are split by their hash
	Revision   string   // the commit that the labels were read at
	Changelogs []string // paths, newest releases first
}

// readFile reads a table from a file; errors name it.
func readFile[T any](path string, read func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		return none, err
	}
	defer f.Close()
	t, err := read(f)
	if err != nil {
		return t, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// readLabels reads labels.csv. Its errors name the line and the column.
func readLabels(r io.Reader) ([]label, error) {
	var out []label
	seen := map[string]int{}
	err := readTable(r, []string{"project", "version", "breaking", "migration", "set", "why"}, func(line int, row []string) error {
		l := label{Project: row[0], Version: row[1], Set: set(row[4]), Why: row[5]}
		var err error
		if l.Breaking, err = yes("breaking", row[2]); err != nil {
			return err
		}
		if l.Migration, err = yes("migration", row[3]); err != nil {
			return err
		}
		for i, name := range []string{"project", "version", "", "", "", "why"} {
			if name != "" && strings.TrimSpace(row[i]) == "" {
				return fmt.Errorf("%s is empty", name)
			}
		}
		if want := setOf(l.Project, l.Version); l.Set != want && l.Set != setFresh {
			return fmt.Errorf("%s %s belongs to the set %s by its hash, not to %q", l.Project, l.Version, want, l.Set)
		}
		key := l.Project + " " + l.Version
		if first := seen[key]; first > 0 {
			return fmt.Errorf("%s is labelled on line %d already", key, first)
		}
		seen[key] = line
		out = append(out, l)
		return nil
	})
	return out, err
}

func yes(column, s string) (bool, error) {
	switch s {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, fmt.Errorf("%s is yes or no, not %q", column, s)
}

// readProjects reads projects.csv.
func readProjects(r io.Reader) ([]project, error) {
	var out []project
	err := readTable(r, []string{"project", "repository", "set", "revision", "changelogs"}, func(_ int, row []string) error {
		p := project{Name: row[0], Repository: row[1], Fresh: row[2] == string(setFresh), Revision: row[3], Changelogs: strings.Fields(row[4])}
		owner, name, ok := strings.Cut(p.Repository, "/")
		switch {
		case !ok || owner == "" || name == "" || strings.Contains(name, "/"):
			return fmt.Errorf("repository is owner/name, not %q", p.Repository)
		case !p.Fresh && row[2] != "split":
			return fmt.Errorf("set is split or fresh, not %q", row[2])
		case len(p.Changelogs) == 0:
			return fmt.Errorf("%s has no changelog path", p.Name)
		case slices.ContainsFunc(out, func(q project) bool { return q.Name == p.Name }):
			return fmt.Errorf("%s is listed twice", p.Name)
		}
		out = append(out, p)
		return nil
	})
	return out, err
}

// checkSets holds a project's releases to the set that projects.csv names.
func checkSets(labels []label, projects []project) error {
	for _, l := range labels {
		i := slices.IndexFunc(projects, func(p project) bool { return p.Name == l.Project })
		if i >= 0 && projects[i].Fresh != (l.Set == setFresh) {
			return fmt.Errorf("%s %s is in the set %s, and projects.csv says otherwise of its project", l.Project, l.Version, l.Set)
		}
	}
	return nil
}

// readTable reads CSV with the given columns and gives each row to take.
func readTable(r io.Reader, columns []string, take func(line int, row []string) error) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord = len(columns)
	head, err := c.Read()
	if err != nil {
		return fmt.Errorf("no heading: %w", err)
	}
	if !slices.Equal(head, columns) {
		return fmt.Errorf("the heading is %q, not %q", head, columns)
	}
	for {
		row, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := c.FieldPos(0)
		if err := take(line, row); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}
