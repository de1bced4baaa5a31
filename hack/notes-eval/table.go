package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/belaybot/belay/rules/notes"
)

// The markers between which -write puts the tables.
const (
	beginMarker = "<!-- notes-eval: begin; written by hack/notes-eval -write -->"
	endMarker   = "<!-- notes-eval: end -->"
)

// tables renders the results as Markdown: the sets, then the projects.
func tables(verdicts []verdict, absent []absence) string {
	dev := count(verdicts, func(v verdict) bool { return v.label.Set == setDev })
	test := count(verdicts, func(v verdict) bool { return v.label.Set == setTest })
	fresh := count(verdicts, func(v verdict) bool { return v.label.Set == setFresh })
	all := count(verdicts, func(verdict) bool { return true })

	var b strings.Builder
	b.WriteString("| | dev | test | fresh | all | aim |\n| --- | --- | --- | --- | --- | --- |\n")
	row := func(name, aim string, cell func(tally) string) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", name, cell(dev), cell(test), cell(fresh), cell(all), aim)
	}
	row("releases", "", func(t tally) string { return fmt.Sprint(t.releases) })
	row("breaking for an operator", "", func(t tally) string { return fmt.Sprint(t.breaking) })
	row("found by strong or weak signals", "95 %", func(t tally) string { return share(t.found, t.breaking) })
	row("found by strong signals alone", "85 %", func(t tally) string { return share(t.strong, t.breaking) })
	row("found by keywords", "", func(t tally) string { return share(t.keyword, t.breaking) })
	row("not breaking", "", func(t tally) string { return fmt.Sprint(t.releases - t.breaking) })
	row("false alarms, `risk.strict` on", "", func(t tally) string { return share(t.alarms, t.releases-t.breaking) })
	row("false alarms, `risk.strict` off", "half of the keywords'", func(t tally) string { return share(t.strongAlarms, t.releases-t.breaking) })
	row("false alarms of keywords", "", func(t tally) string { return share(t.keywordAlarms, t.releases-t.breaking) })
	row("with a data migration", "", func(t tally) string { return fmt.Sprint(t.migrations) })
	row("data migrations recognised", "", func(t tally) string { return share(t.migrated, t.migrations) })
	row("data migrations that are none", "", func(t tally) string { return share(t.untrue, t.releases-t.migrations) })

	b.WriteString("\n| project | releases | breaking | found | strong | keywords | false alarms, strict | false alarms, not strict | false alarms of keywords | migrations | recognised | none |\n" +
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	line := func(name string, t tally) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d |\n", name, t.releases, t.breaking, t.found, t.strong, t.keyword,
			t.alarms, t.strongAlarms, t.keywordAlarms, t.migrations, t.migrated, t.untrue)
	}
	var names []string
	for _, v := range verdicts {
		if !slices.Contains(names, v.label.Project) {
			names = append(names, v.label.Project)
		}
	}
	for _, n := range names {
		line(n, count(verdicts, func(v verdict) bool { return v.label.Project == n }))
	}
	line("**all**", all)
	if len(absent) > 0 {
		fmt.Fprintf(&b, "\nLabelled releases that were not found in the changelogs, and count nowhere: %d, %s.\n", len(absent), listed(absent))
	}
	return b.String()
}

// listed names releases by project: "web 1.0, 1.1; api 2.0".
func listed(absent []absence) string {
	var b strings.Builder
	last := ""
	for _, a := range absent {
		switch {
		case a.label.Project == last:
			b.WriteString(", ")
		case last != "":
			b.WriteString("; " + a.label.Project + " ")
		default:
			b.WriteString(a.label.Project + " ")
		}
		last = a.label.Project
		b.WriteString(a.label.Version)
	}
	return b.String()
}

// share renders "37 of 39 (95 %)". The percentage is cut, not rounded: 94.9 % is not 95 %.
func share(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d (%d %%)", n, of, 100*n/of)
}

// misses lists, for one set or all, each release on which the classifier and
// the label differ, with the line that made the difference.
func misses(verdicts []verdict, which string) string {
	var b strings.Builder
	for _, v := range verdicts {
		l := v.label
		if which != "all" && string(l.Set) != which {
			continue
		}
		head := fmt.Sprintf("%s %s (%s; %s)", l.Project, l.Version, l.Set, l.Why)
		switch {
		case l.Breaking && !v.found():
			fmt.Fprintf(&b, "missed: %s\n", head)
			if v.keyword != "" {
				fmt.Fprintf(&b, "    keyword: %s\n", cut(v.keyword))
			}
		case l.Breaking && !v.strong():
			fmt.Fprintf(&b, "weak only: %s\n", head)
			writeSignals(&b, v.signals)
		case !l.Breaking && v.found():
			fmt.Fprintf(&b, "false alarm, %s: %s\n", v.strongest(), head)
			writeSignals(&b, v.signals)
		}
		switch {
		case l.Migration && v.migration == "":
			fmt.Fprintf(&b, "migration missed: %s\n", head)
		case !l.Migration && v.migration != "":
			fmt.Fprintf(&b, "migration that is none: %s\n    %s\n", head, cut(v.migration))
		}
	}
	return b.String()
}

// writeSignals prints up to six signals, strong ones first.
func writeSignals(b *strings.Builder, signals []notes.Signal) {
	sorted := slices.Clone(signals)
	slices.SortStableFunc(sorted, func(x, y notes.Signal) int {
		return one(y.Strength == notes.Strong) - one(x.Strength == notes.Strong)
	})
	for i, s := range sorted {
		if i == 6 {
			fmt.Fprintf(b, "    and %d more\n", len(sorted)-i)
			return
		}
		fmt.Fprintf(b, "    %s, %s: %s\n", s.Strength, s.Rule, cut(s.Text))
	}
}

func cut(s string) string {
	if r := []rune(s); len(r) > 160 {
		return string(r[:159]) + "…"
	}
	return s
}

// rewrite puts text between the markers of a file and leaves the rest as it is.
func rewrite(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	out, err := splice(string(data), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(out), 0o644)
}

func splice(doc, text string) (string, error) {
	before, rest, ok := strings.Cut(doc, beginMarker)
	if !ok {
		return "", fmt.Errorf("no line %q: add it where the tables belong", beginMarker)
	}
	_, after, ok := strings.Cut(rest, endMarker)
	if !ok {
		return "", fmt.Errorf("no line %q after %q", endMarker, beginMarker)
	}
	return before + beginMarker + "\n" + strings.TrimSpace(text) + "\n" + endMarker + after, nil
}
