package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/scan"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
)

// runName names a run by what it is to send, so that the same list is the same
// run when it is sent again.
func runName(list []plan.Dispatch) string {
	var lines []string
	for _, d := range list {
		lines = append(lines, nameOf(d)+" "+d.Tag)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return "list-" + hex.EncodeToString(sum[:6])
}

// nameOf is what a dispatch speaks of.
func nameOf(d plan.Dispatch) string {
	if d.Chart.Name != "" {
		return strings.TrimSpace("chart " + d.Chart.Name + " " + d.Chart.Repository)
	}
	return d.Image.Familiar()
}

// planAtOnce is how many dispatches are planned at the same time.
const planAtOnce = 4

// planAll says what each dispatch would lead to. One that cannot be planned is a
// row that says so.
func planAll(ctx context.Context, show *progress, list []plan.Dispatch, one func(context.Context, plan.Dispatch) ([]bulkRow, error)) ([]bulkRow, error) {
	results := make([][]bulkRow, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(planAtOnce)
	var done atomic.Int64
	for i, d := range list {
		group.Go(func() error {
			rows, err := one(ctx, d)
			if ctx.Err() != nil || program.IsUsage(err) || errors.Is(err, errUnreached) {
				return cmp.Or(ctx.Err(), err)
			}
			if err != nil {
				rows = []bulkRow{{service: nameOf(d), to: d.Tag, state: "?", note: "cannot be planned now: " + err.Error()}}
			}
			results[i] = rows
			show.bar("planning", int(done.Add(1)), len(list))
			return nil
		})
	}
	err := group.Wait()
	show.clear()
	return slices.Concat(results...), err
}

// errUnreached means that the server does not answer at all: no other dispatch
// will fare better.
var errUnreached = errors.New("the server is out of reach")

// planThere asks the server what a dispatch would lead to.
func (f *bulkFlags) planThere(ctx context.Context, d plan.Dispatch) ([]bulkRow, error) {
	code, data, err := f.do(ctx, http.MethodPost, "/api/plan", payloadOf(d))
	if err != nil {
		if program.IsUsage(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errUnreached, err)
	}
	if code != http.StatusOK {
		return nil, refused(code, data)
	}
	var list []server.Preview
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("the answer is not belay's: %w", err)
	}
	var out []bulkRow
	for _, p := range list {
		out = append(out, bulkRow{service: cmp.Or(p.Service, nameOf(d)), from: p.From, to: cmp.Or(p.To, d.Tag), state: cmp.Or(p.Risk, "-"), note: p.Reason})
	}
	return onlyUpgrades(out), nil
}

// onlyUpgrades leaves the reasons why nothing happens elsewhere out where
// something happens.
func onlyUpgrades(rows []bulkRow) []bulkRow {
	moving := slices.DeleteFunc(slices.Clone(rows), func(r bulkRow) bool { return r.state == "-" })
	if len(moving) > 0 {
		return moving
	}
	return slices.Compact(rows)
}

// payloadOf is a dispatch in the form in which it is sent.
func payloadOf(d plan.Dispatch) []byte {
	v := map[string]string{"tag": d.Tag}
	add := func(key, s string) {
		if s != "" {
			v[key] = s
		}
	}
	if d.Chart.Name != "" {
		add("chart", d.Chart.Name)
		add("chart_repository", d.Chart.Repository)
	} else {
		add("image", d.Image.Name())
	}
	add("digest", d.Digest)
	add("status", d.Status)
	add("provider", d.Provider)
	add("hub_link", d.HubLink)
	out, _ := json.Marshal(v) // strings always marshal
	return out
}

// lookUp asks the registries what is outdated in the repository.
func (f *bulkFlags) lookUp(ctx context.Context, show *progress) (bulkWork, error) {
	inv, p, err := f.scan(ctx, show)
	if err != nil {
		return bulkWork{}, err
	}
	client, err := f.client(p, show)
	if err != nil {
		return bulkWork{}, err
	}
	rows, err := scan.Look(ctx, inv.Pins, p, client, scan.Options{Progress: func(done, total int) { show.bar("asking the registries", done, total) }})
	show.clear()
	if err != nil {
		return bulkWork{}, err
	}
	out := bulkWork{run: "outdated", again: true, dispatches: scan.Dispatches(rows)}
	newest, unasked := 0, 0
	for _, r := range rows {
		row := bulkRow{service: r.Pin.Service, from: r.Pin.Version, to: "-", state: "-", note: scan.Name(r.Pin) + ": " + r.Why}
		switch {
		case r.Err != nil:
			row.to, row.state, row.note = "?", "?", scan.Name(r.Pin)+" could not be looked up: "+r.Err.Error()
			out.rows = append(out.rows, row)
		case r.To != "":
		case r.Why == "":
			newest++
		case plan.Unasked(r.Pin, p) != "":
			unasked++
		default:
			out.rows = append(out.rows, row)
		}
	}
	out.summary = fmt.Sprintf("%s: %d to move, %d at the newest tag, %d not followed (belay pins says why), %d not known",
		counted(len(rows), "pin", "pins"), len(rows)-newest-unasked-len(out.rows), newest, unasked, unknown(rows))
	if kept := len(out.rows) - unknown(rows); kept > 0 {
		out.summary += fmt.Sprintf(", %d kept back by an annotation", kept)
	}
	if n := unknown(rows); n > 0 && len(out.dispatches) == 0 && newest == 0 && len(out.rows) == n {
		way := "see whether the registries can be reached from here; the table has what each pin's answered"
		if f.offline {
			way = "drop --offline"
		}
		out.unknown = fmt.Errorf("what is outdated is not known, since no pin could be looked up (%d were tried): %s", n, way)
	}
	out.plan = planHere(inv, p, client)
	return out, nil
}

func unknown(rows []scan.Row) (n int) {
	for _, r := range rows {
		if r.Err != nil {
			n++
		}
	}
	return n
}

// planHere plans on the repository that was read.
func planHere(inv *terraform.Inventory, p policy.Policy, up planner.Upstream) func(context.Context, plan.Dispatch) ([]bulkRow, error) {
	pl := planner.Planner{Policy: p, Upstream: up}
	return func(ctx context.Context, d plan.Dispatch) ([]bulkRow, error) {
		result, err := pl.Plan(ctx, inv, d)
		result, err = result.Settle(err)
		if err != nil {
			return nil, err
		}
		var out []bulkRow
		if result.Refused != "" {
			out = append(out, bulkRow{service: nameOf(d), to: d.Tag, state: "-", note: result.Refused})
		}
		for _, s := range result.Skipped {
			out = append(out, bulkRow{service: s.Service, to: d.Tag, state: "-", note: s.Reason})
		}
		for _, u := range result.Upgrades {
			note := ""
			if len(u.Risk.Reasons) > 0 {
				note = u.Risk.Reasons[0]
			}
			out = append(out, bulkRow{service: u.Service, from: u.From, to: u.To, state: string(u.Risk.Level), note: note})
		}
		return onlyUpgrades(out), nil
	}
}

// sortRows puts what happens before what does not, each by service.
func sortRows(rows []bulkRow) {
	rank := func(r bulkRow) int { return strings.Index("-?", r.state) }
	slices.SortStableFunc(rows, func(a, b bulkRow) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.service, b.service), cmp.Compare(a.from, b.from))
	})
}
