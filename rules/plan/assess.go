package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/rules/advice"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
	subject "github.com/belaybot/belay/rules/watch"
)

// Facts are what has been found out about a candidate.
type Facts struct {
	Dispatch  Dispatch
	Candidate Candidate
	Policy    policy.Policy

	Source    string // "owner/repository", or ""
	SourceURL string
	NotesFrom string
	Releases  []notes.Release // between the versions, oldest first
	Missing   []string        // versions between them that have no notes
	Evidence  []risk.Evidence
	Advice    advice.Outcome // what came of asking the adviser; zero: nobody was asked
}

// Assess turns facts into an upgrade, all but its edits.
func Assess(f Facts) Upgrade {
	c, p := f.Candidate, f.Policy
	u := Upgrade{
		Service: c.Service, Directory: c.Directory, Also: c.AlsoServices,
		From: c.From.String(), To: c.To.String(),
		Source: f.Source, SourceURL: f.SourceURL, Releases: f.Releases, NotesFrom: f.NotesFrom,
		Images: images(f.Dispatch, c),
	}
	first := c.Targets[0]
	if first.Pin.Kind == pin.KindChart {
		u.Chart, u.AppTo = first.Pin.Chart.Name, first.AppTo
	}
	u.Risk, u.Advice = advice.Raised(assessment(f), f.Advice), f.Advice
	u.Steps = way(f, u.Risk.Level)
	if list := p.BackupsOf(c.services()); len(list) > 0 {
		u.Backup = &Backup{Kind: list[0].Backup.Kind, Name: list[0].Backup.Target}
	}
	u.IgnoredByTerraform = slices.ContainsFunc(c.Targets, func(t Target) bool { return t.Pin.IgnoreChanges })
	u.Verify = watch(p, u.Risk.Level, c)
	u.Warnings = warnings(f, u)
	u.Blockers = blockers(f, u)
	u.Automerge = len(u.Blockers) == 0
	return u
}

func assessment(f Facts) risk.Assessment {
	in := risk.Input{
		From: f.Candidate.From, To: f.Candidate.To, Releases: f.Releases, Missing: f.Missing, Evidence: f.Evidence,
		AlwaysStep: slices.ContainsFunc(f.Candidate.services(), func(s string) bool { return slices.Contains(f.Policy.Risk.AlwaysStep, s) }),
		Strict:     f.Policy.Risk.Strict, ZeroMajor: f.Policy.Risk.ZeroMajor,
	}
	for _, r := range f.Releases {
		for _, id := range notes.Security(r.Name + "\n" + r.Body) {
			if !slices.Contains(in.Security, id) {
				in.Security = append(in.Security, id)
			}
		}
		if passage, ok := notes.Migrates(r); ok && in.Migration == "" {
			in.Migration = passage
		}
	}
	return risk.Assess(in)
}

// images lists what moves, the dispatched image first.
func images(d Dispatch, c Candidate) []string {
	var out []string
	add := func(s string) {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if d.Chart.Name == "" {
		add(d.Image.Familiar())
	}
	for _, n := range c.Shared {
		add(n.Image.Familiar())
	}
	return out
}

// Window is how long a service is watched after an upgrade of a risk.
func Window(p policy.Policy, level risk.Level) time.Duration {
	switch level {
	case risk.Safe:
		return p.Verify.Safe
	case risk.Caution:
		return p.Verify.Caution
	case risk.Unknown:
	}
	return p.Verify.Unknown
}

// Longest is when a watch ends whatever it saw: pods may take their time, and
// the window gets longer while nobody can see.
func Longest(p policy.Policy, level risk.Level) time.Duration {
	return 2*(Window(p, level)+p.Verify.Extend+p.Verify.Rollout) + time.Hour
}

func watch(p policy.Policy, level risk.Level, c Candidate) Watch {
	w := Watch{Window: Window(p, level).String()}
	add := func(s string) {
		if !slices.Contains(w.Targets, s) {
			w.Targets = append(w.Targets, s)
		}
	}
	for _, t := range c.Targets {
		switch n := t.Pin; {
		case n.Workload != "" && n.Namespace != "":
			add(n.Namespace + "/" + n.Workload)
		case n.Workload != "":
			add(n.Workload)
		case n.Address != "":
			add(n.Address)
		}
	}
	for _, s := range c.services() {
		for _, url := range p.Verify.HTTP.URLs[s] {
			add(url)
		}
	}
	return w
}

// Sees adds what is looked at after the apply, as the repository and the
// configuration say it: a workload that is known by its name stands for those
// that only the Terraform address of a pin was known of.
func (w *Watch) Sees(subjects ...subject.Subject) {
	add := func(what string) {
		if !slices.Contains(w.Targets, what) {
			w.Targets = append(w.Targets, what)
		}
	}
	for _, s := range subjects {
		for _, x := range s.Workloads {
			if x.Namespace != "" {
				add(x.Namespace + "/" + x.Name)
			}
		}
		for _, url := range s.URLs {
			add(url)
		}
		if s.Monitor != "" {
			add("Uptime Kuma: " + s.Monitor)
		}
		for _, q := range s.Queries {
			add("Prometheus: " + q.Expr)
		}
	}
}

func warnings(f Facts, u Upgrade) []string {
	var out []string
	if u.IgnoredByTerraform {
		out = append(out, "lifecycle.ignore_changes covers the image: Terraform will not roll the new version out; belay never merges this by itself")
	}
	if also := f.Candidate.AlsoServices; len(also) > 0 {
		out = append(out, "the version is written in one place for several services; this also moves "+strings.Join(also, ", "))
	}
	for _, n := range f.Candidate.Siblings {
		out = append(out, fmt.Sprintf("%s stands at %s as well (%s:%d) and does not move: its own dispatch opens a pull request of its own",
			n.Image.Familiar(), n.Version, n.Span.Path, n.Span.Line))
	}
	if f.Advice.Advice == nil && f.Advice.Problem != "" {
		out = append(out, "the adviser said nothing, and the risk is what the rules say: "+f.Advice.Problem)
	}
	if u.Risk.Level == risk.Caution && u.Backup == nil {
		out = append(out, "no database is configured for this service: nothing is backed up before the merge")
	}
	return out
}

// blockers are the reasons why belay does not merge by itself.
func blockers(f Facts, u Upgrade) []string {
	var out []string
	if !risk.MayAutomerge(u.Risk.Level, f.Policy.Risk.Automerge) {
		out = append(out, fmt.Sprintf("its risk is %s, and without a person only %s is merged (risk.automerge)", u.Risk.Level, cmp.Or(strings.Join(f.Policy.Risk.Automerge, " or "), "nothing")))
	}
	if u.IgnoredByTerraform {
		out = append(out, "Terraform ignores changes of the image")
	}
	if why := policy.Differ(f.Policy.BackupsOf(f.Candidate.services())); why != "" {
		out = append(out, why)
	}
	return out
}

// Moves are the byte changes of a candidate as the undo needs them.
func Moves(c Candidate) ([]pin.Move, error) {
	var out []pin.Move
	seen := map[place]bool{}
	for _, t := range c.Targets {
		splices, err := t.Pin.Splices(t.To, t.Digest)
		if err != nil {
			return nil, err
		}
		for _, s := range splices {
			if at := (place{s.Span.Path, s.Span.Start, s.Span.End}); !seen[at] {
				seen[at] = true
				out = append(out, pin.MovesOf(t.Pin, []pin.Splice{s})...)
			}
		}
	}
	return out, nil
}

// Splices are the byte changes of a candidate. Targets that share a place give one.
func Splices(c Candidate) ([]pin.Splice, error) {
	var out []pin.Splice
	seen := map[place]string{}
	for _, t := range c.Targets {
		splices, err := t.Pin.Splices(t.To, t.Digest)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", t.Pin.Span.Path, t.Pin.Span.Line, err)
		}
		for _, s := range splices {
			at := place{s.Span.Path, s.Span.Start, s.Span.End}
			if before, ok := seen[at]; ok {
				if before != s.New {
					return nil, fmt.Errorf("%s:%d: asked to become both %q and %q: pin the images separately", s.Span.Path, s.Span.Line, before, s.New)
				}
				continue
			}
			seen[at] = s.New
			out = append(out, s)
		}
	}
	return out, nil
}
