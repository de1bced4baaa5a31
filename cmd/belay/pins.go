package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
)

type pinsFlags struct {
	repository
	format string
}

func newPins() *cobra.Command {
	var f pinsFlags
	c := &cobra.Command{
		Use:   "pins",
		Short: "List every version pin of a repository",
		Long: `Pins lists every place that fixes the version of an image or a chart: its
service, what it pins, the version, how it is written, where, and, for those
that belay does not follow, why.`,
		Example: `  belay pins
  belay pins --repo mirror.git --rev main
  belay pins --format json | jq '.pins[] | select(.followed | not)'`,
		Args: program.NoArgs,
		RunE: f.run,
	}
	f.flags(c)
	c.Flags().StringVar(&f.format, "format", "text", "text or json")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (f *pinsFlags) run(c *cobra.Command, _ []string) error {
	if f.format != "text" && f.format != "json" {
		return program.Usage(fmt.Errorf("--format %q: choose text or json", f.format))
	}
	inv, p, err := f.scan(c.Context(), newProgress(c.ErrOrStderr()))
	if err != nil {
		return err
	}
	if f.format == "json" {
		return pinsJSON(c.OutOrStdout(), inv, p)
	}
	return pinsText(c.OutOrStdout(), inv, p)
}

// whyNot is why belay leaves a pin alone, or "".
func whyNot(n pin.Pin, p policy.Policy) string {
	if p.Ignored(n.Service, n.Directory) {
		return "service opted out (services.ignore)"
	}
	if n.Reason != pin.Followed {
		return plan.NotFollowed(n)
	}
	if n.Image.Repository != "" {
		if pattern, skip := image.Match(p.Dispatch.Skip, n.Image); skip {
			return fmt.Sprintf("skipped by %q (dispatch.skip)", pattern)
		}
	}
	return ""
}

// named is what a pin pins, for people.
func named(n pin.Pin) string {
	switch {
	case n.Kind == pin.KindChart:
		return "chart " + n.Chart.Name
	case n.Image.Repository != "":
		return n.Image.Familiar()
	case n.Chart.Name != "":
		return "chart " + n.Chart.Name + "'s image"
	}
	return "(image)"
}

func located(n pin.Pin) pin.Location {
	if n.Span.Path != "" {
		return pin.Location{Path: n.Span.Path, Line: n.Span.Line}
	}
	return n.Use
}

func pinsText(out io.Writer, inv *terraform.Inventory, p policy.Policy) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SERVICE\tPINS\tVERSION\tSHAPE\tWHERE\tNOTE")
	followed := 0
	for _, n := range inv.Pins {
		why := whyNot(n, p)
		note := why
		if why == "" {
			followed++
			if n.IgnoreChanges {
				note = "ignored by Terraform (ignore_changes): a merge changes nothing"
			}
		} else {
			note = "not followed: " + why
		}
		at := located(n)
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s:%d\t%s\n", oneLine(n.Service), oneLine(named(n)), oneLine(n.Version), n.Shape, oneLine(at.Path), at.Line, oneLine(note))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s in %s, %d followed\n", counted(len(inv.Pins), "pin", "pins"), counted(len(inv.Services), "service", "services"), followed)
	for _, problem := range inv.Problems {
		fmt.Fprintln(out, "problem: "+problemLine(problem))
	}
	for _, stray := range planner.Strays(inv, p) {
		fmt.Fprintln(out, "warning: the configuration has no effect in a place: "+stray)
	}
	return nil
}

func problemLine(p terraform.Problem) string {
	if p.At.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", p.At.Path, p.At.Line, p.Text)
	}
	return p.At.Path + ": " + p.Text
}

type pinJSON struct {
	Service            string `json:"service"`
	Directory          string `json:"directory"`
	Kind               string `json:"kind"`
	Image              string `json:"image,omitempty"`
	Chart              string `json:"chart,omitempty"`
	Repository         string `json:"repository,omitempty"`
	Version            string `json:"version"`
	Digest             string `json:"digest,omitempty"`
	Shape              string `json:"shape,omitempty"`
	Path               string `json:"path"`
	Line               int    `json:"line"`
	Address            string `json:"address,omitempty"`
	Followed           bool   `json:"followed"`
	Reason             string `json:"reason,omitempty"`
	IgnoredByTerraform bool   `json:"ignored_by_terraform,omitempty"`
}

func pinsJSON(out io.Writer, inv *terraform.Inventory, p policy.Policy) error {
	type problem struct {
		Path string `json:"path"`
		Line int    `json:"line,omitempty"`
		Text string `json:"text"`
	}
	doc := struct {
		Pins     []pinJSON `json:"pins"`
		Problems []problem `json:"problems"`
		Warnings []string  `json:"warnings"`
	}{Pins: []pinJSON{}, Problems: []problem{}, Warnings: list(planner.Strays(inv, p))}
	for _, n := range inv.Pins {
		at := located(n)
		j := pinJSON{Service: n.Service, Directory: n.Directory, Kind: string(n.Kind), Chart: n.Chart.Name, Repository: n.Chart.Repository,
			Version: n.Version, Digest: n.Image.Digest, Shape: string(n.Shape), Path: at.Path, Line: at.Line, Address: n.Address,
			Reason: whyNot(n, p), IgnoredByTerraform: n.IgnoreChanges}
		if n.Image.Repository != "" {
			j.Image = n.Image.Familiar()
		}
		j.Followed = j.Reason == ""
		doc.Pins = append(doc.Pins, j)
	}
	for _, e := range inv.Problems {
		doc.Problems = append(doc.Problems, problem{e.At.Path, e.At.Line, strings.TrimSpace(e.Text)})
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}
