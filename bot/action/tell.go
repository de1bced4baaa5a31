package action

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/risk"
)

// Tell writes what became of a run where the runner looks for it: outputs, the
// step's summary, and annotations, on lines where something stands there.
func (r *Run) Tell(out Result, err error) {
	if err != nil {
		r.annotate("error", nil, err.Error())
	}
	for _, p := range out.Problems {
		r.annotate("error", nil, p)
	}
	for _, w := range out.Warnings {
		r.annotate("warning", nil, w)
	}
	r.outputs(out)
	r.onLines(out)
	opened := 0
	for _, u := range out.Upgrades {
		if u.Opened {
			opened++
		}
	}
	// Whoever opened something was asked who it is.
	if opened > 0 && r.opts.GitHub.KnownSlug() == workflowBot {
		r.annotate("warning", map[string]string{"title": "Your CI does not run on these pull requests"},
			"GitHub starts no workflows for what GITHUB_TOKEN opens. Give the input token an App's token (actions/create-github-app-token); see docs/action.md.")
	}
	if r.opts.Getenv("GITHUB_STEP_SUMMARY") != "" {
		r.opts.Actions.AddStepSummary(report.RunSummary(view(out, err)))
	}
}

// workflowBot is who GITHUB_TOKEN acts as.
const workflowBot = "github-actions"

// outputs are one line each: numbers, words of belay's own, JSON.
func (r *Run) outputs(out Result) {
	if r.opts.Getenv("GITHUB_OUTPUT") == "" {
		return
	}
	pulls, opened := []int{}, []int{}
	for _, u := range out.Upgrades {
		if u.Pull == 0 {
			continue
		}
		pulls = append(pulls, u.Pull)
		if u.Opened {
			opened = append(opened, u.Pull)
		}
	}
	level := risk.Level("")
	if out.Assessed != nil {
		level = out.Assessed.Level()
	}
	upgrades := out.Upgrades
	if upgrades == nil {
		upgrades = []Upgrade{}
	}
	for _, o := range []struct {
		name  string
		value any
	}{{"pull-requests", pulls}, {"opened", opened}, {"upgrades", upgrades}} {
		data, err := json.Marshal(o.value)
		if err != nil {
			panic(err) // strings and numbers always marshal
		}
		r.opts.Actions.SetOutput(o.name, string(data))
	}
	r.opts.Actions.SetOutput("risk", string(level))
	r.opts.Actions.SetOutput("unfinished", strconv.FormatBool(out.TimeUp || !out.Limited.IsZero()))
}

// onLines annotates the lines of a pull request that change a version.
func (r *Run) onLines(out Result) {
	if out.Assessed == nil {
		return
	}
	for _, line := range out.Assessed.Lines {
		where := map[string]string{"file": line.Path, "line": strconv.Itoa(line.Line)}
		for _, u := range out.Assessed.Upgrades {
			if u.Service != line.Service || u.Risk.Level == risk.Safe {
				continue
			}
			where["title"] = fmt.Sprintf("%s: %s %s to %s", strings.ToUpper(string(u.Risk.Level)), u.Service, u.From, u.To)
			r.annotate("warning", where, strings.Join(u.Risk.Reasons, "; "))
		}
	}
	for _, u := range out.Assessed.Upgrades {
		r.used(u)
	}
	for _, s := range out.Assessed.Unjudged {
		r.annotate("warning", map[string]string{"file": s.Path, "line": strconv.Itoa(s.Line), "title": "not judged: " + s.Service}, s.Reason)
	}
}

// maxUsed bounds the annotations of one upgrade: GitHub shows ten of a kind.
const maxUsed = 5

// used annotates the settings that the release notes speak of.
func (r *Run) used(u plan.Upgrade) {
	n := 0
	for _, e := range u.Risk.Evidence {
		for _, use := range e.Uses {
			for _, at := range use.At {
				if n++; n > maxUsed {
					return
				}
				r.annotate("warning", map[string]string{"file": at.Path, "line": strconv.Itoa(at.Line), "title": fmt.Sprintf("%s %s: %s", u.Service, e.Version, use.Identifier)}, e.Text)
			}
		}
	}
}

// annotate says something at a place, as an error or a warning. Whatever it holds stays one command: the
// library escapes ends of lines, and those of properties.
func (r *Run) annotate(kind string, where map[string]string, text string) {
	a := r.opts.Actions
	if where != nil {
		a = a.WithFieldsMap(where)
	}
	if kind == "error" {
		a.Errorf("%s", text)
		return
	}
	a.Warningf("%s", text)
}

// view is what the summary shows.
func view(out Result, err error) report.RunView {
	v := report.RunView{Nothing: out.Nothing, Unwritten: out.Unwritten, TimeUp: out.TimeUp}
	for _, u := range out.Upgrades {
		v.Rows = append(v.Rows, report.RunRow{Service: u.Service, From: u.From, To: u.To, State: u.State, Waits: u.Waits, Pull: u.Pull, Undo: u.Undo, URL: u.URL})
	}
	for _, o := range out.Outcomes {
		if o.Reason != "" {
			v.Notes = append(v.Notes, strings.TrimPrefix(o.Service+": "+o.Reason, ": "))
		}
	}
	v.Notes = slices.Concat(v.Notes, out.Elsewhere, out.Warnings, out.Problems)
	if err != nil {
		v.Notes = append(v.Notes, err.Error())
	}
	if out.Assessed != nil {
		v.Assessed = report.Assessment(out.Assessed.Upgrades, out.Assessed.Unjudged)
	}
	return v
}
