// Package scan looks up which pins are behind what their registries have, for
// those who have no DIUN: every image repository and chart is asked once,
// however many pins there are of it.
//
// In go pins and the policy; out comes a row for each pin: the tag that it may move
// to, why it stays, or that nobody could be asked. Nothing is guessed. Which tag
// is the newest for a pin is decided by rules/plan.
package scan

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

// Registries are what is asked. *upstream.Client answers.
type Registries interface {
	Tags(ctx context.Context, ref image.Ref) ([]string, error)
	ChartVersions(ctx context.Context, chart pin.Chart) ([]upstream.ChartVersion, error)
}

// Row is what was found out about one pin.
type Row struct {
	Pin pin.Pin
	To  string // the newest tag that it may move to; "" when it stays
	Why string // why it stays, or was not asked about; "" when it is at the newest
	Err error  // who could not be asked: nothing is known of the pin
}

// Options are how a look goes. The zero value will do.
type Options struct {
	AtOnce   int                   // requests at once over all registries; 0: 32
	Progress func(done, total int) // told after each answer; may be called by several at once
}

// Look asks about the pins, and returns a row for each, in the order of services
// and places. It returns an error only when ctx ends; rows then say which were
// not asked.
func Look(ctx context.Context, pins []pin.Pin, p policy.Policy, from Registries, opts Options) ([]Row, error) {
	rows := make([]Row, len(pins))
	asks := map[string][]int{} // by what is asked: the rows that wait for it
	for i, n := range pins {
		rows[i] = Row{Pin: n, Why: plan.Unasked(n, p)}
		if rows[i].Why == "" {
			asks[subject(n)] = append(asks[subject(n)], i)
		}
	}
	var group errgroup.Group
	group.SetLimit(cmp.Or(opts.AtOnce, 32))
	var mu sync.Mutex
	done := 0
	for _, key := range order(asks) {
		group.Go(func() error {
			waiting := asks[key]
			tags, err := ask(ctx, rows[waiting[0]].Pin, from)
			for _, i := range waiting {
				if rows[i].Err = err; err == nil {
					rows[i].To, rows[i].Why = plan.Newest(rows[i].Pin, tags)
				}
			}
			if opts.Progress != nil {
				mu.Lock()
				done++
				n := done
				mu.Unlock()
				opts.Progress(n, len(asks))
			}
			return nil
		})
	}
	_ = group.Wait()
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Pin.Service, b.Pin.Service), cmp.Compare(a.Pin.Span.Path, b.Pin.Span.Path), cmp.Compare(a.Pin.Span.Line, b.Pin.Span.Line), cmp.Compare(Name(a.Pin), Name(b.Pin)))
	})
	return rows, ctx.Err()
}

// order spreads the subjects over the registries, so that a slow one does not
// take every request.
func order(asks map[string][]int) []string {
	byHost := map[string][]string{}
	var hosts []string
	keys := make([]string, 0, len(asks))
	for key := range asks {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		host, _, _ := strings.Cut(key, "/")
		if byHost[host] == nil {
			hosts = append(hosts, host)
		}
		byHost[host] = append(byHost[host], key)
	}
	out := make([]string, 0, len(keys))
	for round := 0; len(out) < len(keys); round++ {
		for _, host := range hosts {
			if list := byHost[host]; round < len(list) {
				out = append(out, list[round])
			}
		}
	}
	return out
}

// subject is what is asked about a pin: pins of one subject share the answer.
func subject(n pin.Pin) string {
	if n.Kind == pin.KindChart {
		return "chart " + strings.TrimSuffix(n.Chart.Repository, "/") + " " + n.Chart.Name
	}
	return n.Image.Name()
}

// Name is what a pin is of, for people: "acme/web", "chart authentik".
func Name(n pin.Pin) string {
	if n.Kind == pin.KindChart {
		return "chart " + n.Chart.Name
	}
	return n.Image.Familiar()
}

func ask(ctx context.Context, n pin.Pin, from Registries) ([]string, error) {
	if n.Kind == pin.KindImage {
		ref := n.Image
		ref.Tag, ref.Digest = "", ""
		return from.Tags(ctx, ref)
	}
	versions, err := from.ChartVersions(ctx, n.Chart)
	var out []string
	for _, v := range versions {
		if !v.Deprecated {
			out = append(out, v.Version)
		}
	}
	return out, err
}

// Dispatches are the dispatches that the rows ask for: one for each image or
// chart and tag, the older versions of an image first.
func Dispatches(rows []Row) []plan.Dispatch {
	var out []plan.Dispatch
	seen := map[string]bool{}
	for _, r := range rows {
		key := subject(r.Pin) + " " + r.To
		if r.To == "" || seen[key] {
			continue
		}
		seen[key] = true
		d := plan.Dispatch{Tag: r.To}
		if r.Pin.Kind == pin.KindChart {
			d.Chart = r.Pin.Chart
		} else {
			d.Image = r.Pin.Image
			d.Image.Tag, d.Image.Digest = "", ""
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b plan.Dispatch) int {
		return cmp.Or(cmp.Compare(a.Image.Name(), b.Image.Name()), cmp.Compare(a.Chart.Repository+" "+a.Chart.Name, b.Chart.Repository+" "+b.Chart.Name), older(a.Tag, b.Tag))
	})
	return out
}

func older(a, b string) int {
	x, err1 := version.Parse(a)
	y, err2 := version.Parse(b)
	if errors.Join(err1, err2) != nil {
		return cmp.Compare(a, b)
	}
	return version.CompareReleases(x, y)
}
