package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/rules/advice"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/risk"
)

// The printed form of a plan, as SPEC section 15 has it. It is a contract with
// scripts, so it is written apart from the types that the rules work with.
type (
	planJSON struct {
		Dispatch dispatchJSON  `json:"dispatch"`
		Refused  string        `json:"refused,omitempty"`
		Upgrades []upgradeJSON `json:"upgrades"`
		Skipped  []skippedJSON `json:"skipped"`
	}
	dispatchJSON struct {
		Image  string `json:"image,omitempty"`
		Chart  string `json:"chart,omitempty"`
		Tag    string `json:"tag"`
		Digest string `json:"digest,omitempty"`
		Status string `json:"status"`
	}
	upgradeJSON struct {
		Service   string         `json:"service"`
		Directory string         `json:"directory"`
		Also      []string       `json:"also,omitempty"`
		Images    []string       `json:"images,omitempty"`
		Chart     string         `json:"chart,omitempty"`
		From      string         `json:"from"`
		To        string         `json:"to"`
		Bump      string         `json:"bump"`
		Risk      string         `json:"risk"`
		Reasons   []string       `json:"reasons"`
		Evidence  []evidenceJSON `json:"evidence"`
		Steps     []string       `json:"steps"`
		Security  []string       `json:"security"`
		Migration bool           `json:"migration"`
		Backup    *backupJSON    `json:"backup"`
		Automerge bool           `json:"automerge"`
		Source    string         `json:"source,omitempty"`
		Edits     []pin.Edit     `json:"edits"`
		Warnings  []string       `json:"warnings"`
		Adviser   *adviserJSON   `json:"adviser,omitempty"`
	}
	adviserJSON struct {
		Model    string        `json:"model,omitempty"`
		Risk     string        `json:"risk,omitempty"`
		Summary  []string      `json:"summary"`
		Findings []findingJSON `json:"findings"`
		Dropped  int           `json:"dropped"`
		Cut      bool          `json:"cut"`
		Problem  string        `json:"problem,omitempty"`
	}
	findingJSON struct {
		Version  string   `json:"version"`
		Quote    string   `json:"quote"`
		Text     string   `json:"text"`
		Settings []string `json:"settings"`
		UsedAt   []string `json:"used_at"`
	}
	evidenceJSON struct {
		Version  string   `json:"version"`
		Text     string   `json:"text"`
		Rule     string   `json:"rule"`
		Strength string   `json:"strength"`
		URL      string   `json:"url"`
		UsedAt   []string `json:"used_at"`
	}
	backupJSON struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	}
	skippedJSON struct {
		Service string `json:"service"`
		Path    string `json:"path"`
		Line    int    `json:"line"`
		Reason  string `json:"reason"`
	}
)

func writeJSON(out io.Writer, r planner.Result) error {
	p := planJSON{
		Dispatch: dispatchJSON{Tag: r.Dispatch.Tag, Digest: r.Dispatch.Digest, Status: r.Dispatch.Status, Chart: r.Dispatch.Chart.Name},
		Refused:  r.Refused, Upgrades: []upgradeJSON{}, Skipped: []skippedJSON{},
	}
	if p.Dispatch.Status == "" {
		p.Dispatch.Status = "new"
	}
	if r.Dispatch.Chart.Name == "" {
		p.Dispatch.Image = r.Dispatch.Image.Familiar()
	}
	for _, u := range r.Upgrades {
		p.Upgrades = append(p.Upgrades, upgradeForm(u))
	}
	for _, s := range r.Skipped {
		p.Skipped = append(p.Skipped, skippedJSON(s))
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(p)
}

func upgradeForm(u plan.Upgrade) upgradeJSON {
	out := upgradeJSON{
		Service: u.Service, Directory: u.Directory, Also: u.Also, Images: u.Images, Chart: u.Chart, From: u.From, To: u.To,
		Bump: string(u.Risk.Bump), Risk: string(u.Risk.Level), Reasons: list(u.Risk.Reasons), Evidence: []evidenceJSON{},
		Steps: list(u.Steps), Security: list(u.Risk.Security), Migration: u.Risk.Migration, Automerge: u.Automerge,
		Source: u.Source, Edits: u.Edits, Warnings: list(u.Warnings),
	}
	for _, e := range u.Risk.Evidence {
		out.Evidence = append(out.Evidence, evidenceForm(e))
	}
	out.Adviser = adviserForm(u.Advice)
	if u.Backup != nil {
		out.Backup = &backupJSON{Kind: string(u.Backup.Kind), Name: u.Backup.Name}
	}
	return out
}

func evidenceForm(e risk.Evidence) evidenceJSON {
	out := evidenceJSON{Version: e.Version, Text: e.Text, Rule: e.Rule, Strength: string(e.Strength), URL: e.URL, UsedAt: []string{}}
	out.UsedAt = append(out.UsedAt, usedAt(e.Uses)...)
	return out
}

func usedAt(uses []risk.Use) []string {
	out := []string{}
	for _, use := range uses {
		for _, at := range use.At {
			out = append(out, fmt.Sprintf("%s:%d", at.Path, at.Line))
		}
	}
	return out
}

// adviserForm is nil where nobody was asked.
func adviserForm(o advice.Outcome) *adviserJSON {
	if o.Advice == nil && o.Problem == "" {
		return nil
	}
	out := &adviserJSON{Summary: []string{}, Findings: []findingJSON{}, Problem: o.Problem}
	if a := o.Advice; a != nil {
		out.Model, out.Risk, out.Summary, out.Dropped, out.Cut = a.Model, string(a.Level), list(a.Summary), a.Dropped, a.Cut
		for _, f := range a.Findings {
			out.Findings = append(out.Findings, findingJSON{Version: f.Version, Quote: f.Quote, Text: f.Text, Settings: list(f.Settings), UsedAt: usedAt(f.Uses)})
		}
	}
	return out
}

// list makes an absent list an empty one, which scripts handle without a special case.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
