// Package doctor looks at everything that belay is put together from, live, and
// says of each line by line that it is right, or what to do.
//
// It changes nothing: it asks GitHub, the cluster and whatever else is
// configured as belay would, each question on its own, in parallel and with a
// time-out. No secret is in what it says. See SPEC section 15.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/bot/store"
)

// State says how one thing is.
type State string

// The states of a line.
const (
	OK    State = "ok"    // as it has to be
	Note  State = "note"  // it works; a person may want to know
	Todo  State = "todo"  // belay cannot do its work like this
	Unset State = "unset" // not configured, which may be meant
)

// Line is one thing that was looked at.
type Line struct {
	Area  string `json:"area"` // "github", "cluster", …
	State State  `json:"state"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // what a person can do about it
}

// Options are the parts to look at; what is nil or empty is not configured.
type Options struct {
	App           *github.App
	AppProblem    string // why there is no App
	AppDo         string // what to do about it; "": create one
	WebhookSecret func() string
	DiunToken     func() string

	Cluster        *cluster.Cluster
	ClusterProblem string // why there is no cluster
	Roles          []byte // deploy/rbac.yaml

	Notify        notify.Options
	NotifyProblem string
	Kuma          *probe.Kuma
	Prometheus    *probe.Prometheus
	Woodpecker    *probe.Woodpecker
	// Why what was configured could not be made, "" where it could.
	KumaProblem, PrometheusProblem, WoodpeckerProblem, AdviserProblem string
	Registries                                                        []string // addresses: "https://ghcr.io"
	HTTP                                                              *http.Client

	State        store.Options
	StateProblem string                                                // why it is not known where the state is
	Ready        func(ctx context.Context) error                       // asks the running belay; nil: do not ask
	Dispatched   func(ctx context.Context) (last time.Time, err error) // from DIUN; zero: never
	Credentials  *credentials.Registry

	Patience time.Duration // for one question; 0 is 20 seconds
	Now      func() time.Time
}

// check is one group of questions that are asked one after another.
type check struct {
	area string
	look func(ctx context.Context, say *report)
}

// report collects the lines of one check.
type report struct {
	area  string
	lines []Line
}

func (r *report) ok(format string, args ...any) { r.add(OK, fmt.Sprintf(format, args...), "") }
func (r *report) unset(text, do string)         { r.add(Unset, text, do) }
func (r *report) note(text, do string)          { r.add(Note, text, do) }
func (r *report) todo(text, do string)          { r.add(Todo, text, do) }
func (r *report) add(s State, text, do string)  { r.lines = append(r.lines, Line{r.area, s, text, do}) }

// trouble reports an error, with what to do where nothing better is known.
func (r *report) trouble(err error, do string) { r.todo(oneLine(err.Error()), do) }

// hint matches the end of an error that says itself what to do: "the token is not
// valid: set BELAY_SLACK_TOKEN to the App's bot token"; not "dial tcp: connect:
// connection refused".
var hint = regexp.MustCompile(`: ((?:set|give|correct|choose|check|invite|leave|see) .+)$`)

// advised reports an error with the way out that it names itself, or else with
// what to do.
func (r *report) advised(text, do string) {
	text = oneLine(text)
	if m := hint.FindStringSubmatchIndex(text); m != nil {
		text, do = text[:m[0]], text[m[2]:m[3]]
	}
	r.todo(text, do)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Examine looks at everything. The lines come in a fixed order, whatever was
// answered first.
func Examine(ctx context.Context, opts Options) []Line {
	if opts.Patience == 0 {
		opts.Patience = 20 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	d := &doctor{Options: opts}
	first := []check{{"github", d.github}}
	// What the repositories say decides what to ask the others.
	lines := d.all(ctx, first)
	var rest []check
	for _, name := range d.repositories() {
		rest = append(rest, check{"repository", func(ctx context.Context, say *report) { d.repository(ctx, say, name) }})
	}
	lines = append(lines, d.all(ctx, rest)...)
	return append(lines, d.all(ctx, []check{
		{"webhook", d.webhook}, {"cluster", d.cluster}, {"backup", d.backups}, {"state", d.state}, {"server", d.server}, {"diun", d.diun}, {"slack", d.slack},
		{"kuma", d.kuma}, {"prometheus", d.prometheus}, {"woodpecker", d.woodpecker}, {"registry", d.registries}, {"credentials", d.credentials},
	})...)
}

// Healthy reports whether there is nothing that has to be done.
func Healthy(lines []Line) bool {
	return !slices.ContainsFunc(lines, func(l Line) bool { return l.State == Todo })
}

// all runs checks at the same time, each with its time-out.
func (d *doctor) all(ctx context.Context, checks []check) []Line {
	reports := make([]report, len(checks))
	var group errgroup.Group
	group.SetLimit(8)
	for i, c := range checks {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, d.Patience)
			defer cancel()
			done := make(chan report, 1)
			go func() {
				r := report{area: c.area}
				c.look(ctx, &r)
				done <- r
			}()
			select {
			case reports[i] = <-done:
			case <-ctx.Done():
				// What was asked may not heed the context: it is not waited for.
				select {
				case reports[i] = <-done:
				case <-time.After(time.Second):
					reports[i] = report{area: c.area}
					reports[i].todo(fmt.Sprintf("no answer within %s", d.Patience), "see whether it can be reached from here")
				}
			}
			return nil
		})
	}
	_ = group.Wait()
	var out []Line
	for _, r := range reports {
		out = append(out, r.lines...)
	}
	return out
}
