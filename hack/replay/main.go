// Command replay asks whether belay would have made the edits that people made
// by hand: it walks a repository's history for commits that bump an image or a
// chart, and compares each with the edit that belay plans on the parent commit.
//
//	go run ./hack/replay -max 150 ~/src/home-ops.git ~/src/other
//
// It reads only, and needs no network. The result is a Markdown table.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
)

// outcome is how an edit by hand compares with belay's.
type outcome string

// The outcomes, in the order of the table.
const (
	identical   outcome = "identical"                // the same line comes out
	more        outcome = "identical, and more"      // the same line, and other pins of the image in the service that were left behind by hand
	notNewer    outcome = "not an upgrade"           // a downgrade, or another kind of tag: never proposed
	notFollowed outcome = "not followed"             // listed by belay with a reason
	unreached   outcome = "not a pin of Terraform's" // in a file that no Terraform refers to, or no image's version
	wrong       outcome = "wrong"                    // another line comes out, or an edit elsewhere
)

var outcomes = []outcome{identical, more, notNewer, notFollowed, unreached, wrong}

func main() {
	log.SetFlags(0)
	most := flag.Int("max", 150, "bumps that are replayed for each repository, newest first")
	verbose := flag.Bool("v", false, "print every bump that is not identical")
	config := flag.String("config", "", "belay.yml to use instead of none")
	flag.Parse()
	p := policy.Default()
	if *config != "" {
		data, err := os.ReadFile(*config)
		if err != nil {
			log.Fatal(err)
		}
		if p, err = policy.Parse(*config, data); err != nil {
			log.Fatal(err)
		}
	}
	if flag.NArg() == 0 {
		log.Fatal("replay: name at least one git directory")
	}
	table := newTable()
	for _, dir := range flag.Args() {
		if err := replay(dir, p, *most, *verbose, table); err != nil {
			log.Fatalf("replay: %s: %v", dir, err)
		}
	}
	table.write(os.Stdout)
}

// git runs a reading git command.
func git(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, errs.String())
	}
	return out, nil
}

var kinds = []string{"*.tf", "*.tofu", "*.hcl", "*.tfvars", "*.yaml", "*.yml", "*.tftpl", "*.tpl"}

func replay(dir string, p policy.Policy, most int, verbose bool, t *table) error {
	args := append([]string{"log", "--first-parent", "--no-merges", "--format=%H", "-n", "6000", "HEAD", "--"}, kinds...)
	history, err := git(dir, args...)
	if err != nil {
		return err
	}
	name := filepath.Base(dir)
	if name == "repo" {
		name = filepath.Base(filepath.Dir(dir))
	}
	n := 0
	for _, commit := range strings.Fields(string(history)) {
		diff, err := git(dir, append([]string{"show", "--format=", "-U0", "--no-renames", commit, "--"}, kinds...)...)
		if err != nil {
			return err
		}
		bumps := findBumps(string(diff))
		if len(bumps) == 0 {
			continue
		}
		if _, err := git(dir, "rev-parse", "--verify", "-q", commit+"^"); err != nil {
			continue // the first commit
		}
		tree, err := planner.Tree(dir, commit+"^")
		if err != nil {
			return err
		}
		inv, err := terraform.Scan(context.Background(), tree, terraform.Options{Roots: p.Services.Roots})
		if err != nil {
			return err
		}
		for _, b := range bumps {
			shape, got, why := judge(inv, b, bumps, p)
			t.add(name, shape, got)
			if verbose && got != identical {
				fmt.Fprintf(os.Stderr, "%s %s:%d %s: %s\n  - %s\n  + %s\n", commit[:9], b.path, b.line, got, why, b.before, b.after)
			}
		}
		if n += len(bumps); n >= most {
			break
		}
	}
	return nil
}

// judge compares one bump with what belay does on the commit before it.
func judge(inv *terraform.Inventory, b bump, all []bump, p policy.Policy) (pin.Shape, outcome, string) {
	var at *pin.Pin
	for i, n := range inv.Pins {
		if n.Span.Path == b.path && n.Span.Line == b.line && strings.Contains(n.Span.Text, b.from) {
			at = &inv.Pins[i]
			break
		}
	}
	if at == nil {
		return "", unreached, "no pin there"
	}
	if at.Reason != pin.Followed {
		return at.Shape, notFollowed, plan.NotFollowed(*at)
	}
	to := at.Prefix + strings.Replace(at.Span.Text, b.from, b.to, 1) + at.Suffix
	var targets []plan.Target
	for _, n := range inv.Pins {
		if n.Service == at.Service && n.Kind == at.Kind && n.Image.SameName(at.Image) && (n.Kind == pin.KindImage || n.Chart == at.Chart) {
			targets = append(targets, plan.Target{Pin: n, To: to, Digest: b.digest})
		}
	}
	candidates, skipped := plan.Select(targets, inv.Pins, p)
	for _, s := range skipped {
		if s.Path == b.path && s.Line == b.line {
			return at.Shape, notNewer, s.Reason
		}
	}
	if len(candidates) == 0 {
		return at.Shape, wrong, "belay plans nothing here"
	}
	splices, err := plan.Splices(candidates[0])
	if err != nil {
		return at.Shape, notFollowed, err.Error()
	}
	_, edits, err := inv.Apply(splices)
	if err != nil {
		return at.Shape, wrong, err.Error()
	}
	return at.Shape, compare(edits, b, all), fmt.Sprint(edits)
}

// compare says whether belay's lines are those written by hand.
func compare(edits []pin.Edit, b bump, all []bump) outcome {
	got, others := wrong, false
	for _, e := range edits {
		i := slices.IndexFunc(all, func(o bump) bool { return o.path == e.Path && o.line == e.Line })
		switch {
		case i < 0:
			others = true
		case all[i].after != e.After:
			return wrong
		case e.Path == b.path && e.Line == b.line:
			got = identical
		}
	}
	if got == identical && others {
		return more
	}
	return got
}

// table counts outcomes by repository and by shape.
type table struct {
	repos, shapes map[string]map[outcome]int
}

func newTable() *table {
	return &table{repos: map[string]map[outcome]int{}, shapes: map[string]map[outcome]int{}}
}

func (t *table) add(repo string, shape pin.Shape, o outcome) {
	for m, k := range map[*map[string]map[outcome]int]string{&t.repos: repo, &t.shapes: string(shape)} {
		if k == "" {
			continue
		}
		if (*m)[k] == nil {
			(*m)[k] = map[outcome]int{}
		}
		(*m)[k][o]++
	}
}

func (t *table) write(w io.Writer) {
	for _, part := range []struct {
		head string
		rows map[string]map[outcome]int
	}{{"repository", t.repos}, {"shape", t.shapes}} {
		fmt.Fprintf(w, "| %s | bumps |", part.head)
		for _, o := range outcomes {
			fmt.Fprintf(w, " %s |", o)
		}
		fmt.Fprintf(w, "\n| --- | --- |%s\n", strings.Repeat(" --- |", len(outcomes)))
		total := map[outcome]int{}
		names := make([]string, 0, len(part.rows))
		for k := range part.rows {
			names = append(names, k)
		}
		slices.Sort(names)
		for _, k := range names {
			row(w, k, part.rows[k])
			for o, n := range part.rows[k] {
				total[o] += n
			}
		}
		row(w, "**all**", total)
		fmt.Fprintln(w)
	}
}

func row(w io.Writer, name string, counts map[outcome]int) {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	fmt.Fprintf(w, "| %s | %d |", name, sum)
	for _, o := range outcomes {
		fmt.Fprintf(w, " %d |", counts[o])
	}
	fmt.Fprintln(w)
}
