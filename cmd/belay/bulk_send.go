package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
)

// bulkChunk is how many dispatches go with one request: an interruption costs
// little, and so does a request.
const bulkChunk = 50

// plannedWithin is how long is waited, without --wait, until the server has
// planned everything.
const plannedWithin = 5 * time.Minute

// send sends the dispatches and shows what came of them.
func (f *bulkFlags) send(ctx context.Context, c *cobra.Command, show *progress, work bulkWork) error {
	ids, err := f.post(ctx, show, work)
	if err != nil && (len(ids) == 0 || ctx.Err() == nil) {
		if len(ids) > 0 {
			err = fmt.Errorf("%w; %d of %d were sent: run it again to go on, nothing is done twice", err, len(ids), len(work.dispatches))
		}
		return noCancel(err)
	}
	sent := work.dispatches[:len(ids)]
	var last server.Status
	if ctx.Err() == nil {
		last, err = f.followAll(ctx, show, ids)
	}
	if ctx.Err() != nil { // interrupted: where it stands is shown all the same
		now, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		last, err = f.standing(now, ids)
	}
	if err != nil {
		return noCancel(err)
	}
	rows := outcomes(last, ids, sent)
	rows = append(rows, work.rows...)
	printRows(c.OutOrStdout(), "STATE", rows)
	fmt.Fprintln(c.OutOrStdout(), tallied(rows))
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %d of %d were sent. Run it again to go on, nothing is done twice", len(ids), len(work.dispatches))
	}
	if f.wait > 0 {
		if n := failures(last); n > 0 {
			return fmt.Errorf("%s failed", counted(n, "upgrade", "upgrades"))
		}
	}
	return nil
}

// noCancel keeps an interruption from being told as one that has written nothing.
func noCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted. Run it again to go on, nothing is done twice")
	}
	return err
}

// post sends the dispatches in parts, and returns the ids of those that are stored.
func (f *bulkFlags) post(ctx context.Context, show *progress, work bulkWork) ([]string, error) {
	defer show.clear()
	var ids []string
	for part := range slices.Chunk(work.dispatches, bulkChunk) {
		body := server.BulkRequest{Run: work.run, Limit: f.limit, Again: work.again}
		for _, d := range part {
			body.Dispatches = append(body.Dispatches, payloadOf(d))
		}
		data, err := json.Marshal(body)
		if err != nil {
			return ids, err
		}
		code, data, err := f.do(ctx, http.MethodPost, "/api/bulk", data)
		if err != nil {
			return ids, err
		}
		if code != http.StatusOK {
			return ids, refused(code, data)
		}
		var got server.BulkAnswer
		if err := json.Unmarshal(data, &got); err != nil || len(got.Dispatches) != len(part) {
			return ids, fmt.Errorf("the answer is not belay's: %d of %d: %w", len(got.Dispatches), len(part), cmp.Or(err, errors.New("it is short")))
		}
		for _, d := range got.Dispatches {
			ids = append(ids, d.ID)
		}
		show.bar("sending", len(ids), len(work.dispatches))
	}
	return ids, nil
}

// standing asks where dispatches stand.
func (f *bulkFlags) standing(ctx context.Context, ids []string) (server.Status, error) {
	var out server.Status
	for part := range slices.Chunk(ids, server.MaxBulk) {
		data, err := json.Marshal(server.StandingRequest{IDs: part})
		if err != nil {
			return out, err
		}
		code, data, err := f.do(ctx, http.MethodPost, "/api/dispatches", data)
		if err != nil {
			return out, err
		}
		if code != http.StatusOK {
			return out, refused(code, data)
		}
		var some server.Status
		if err := json.Unmarshal(data, &some); err != nil {
			return out, fmt.Errorf("the answer is not belay's: %w", err)
		}
		out.Dispatches, out.Upgrades = append(out.Dispatches, some.Dispatches...), append(out.Upgrades, some.Upgrades...)
	}
	return out, nil
}

// followAll waits until all is planned, and with --wait until all is over.
func (f *bulkFlags) followAll(ctx context.Context, show *progress, ids []string) (server.Status, error) {
	defer show.clear()
	patient, cancel := context.WithTimeout(ctx, cmp.Or(f.wait, plannedWithin))
	defer cancel()
	var last server.Status
	for {
		now, err := f.standing(ctx, ids)
		switch {
		case ctx.Err() != nil || patient.Err() != nil && len(last.Dispatches) > 0:
			return last, nil
		case err != nil && len(last.Dispatches) == 0:
			return now, err
		case err == nil: // a server that restarts is asked again
			last = now
			planned, over := progressOf(now)
			if planned < len(ids) {
				show.bar("planning", planned, len(ids))
			} else if f.wait > 0 {
				show.bar("upgrading", over, len(now.Upgrades))
			}
			if planned == len(ids) && (f.wait == 0 || over == len(now.Upgrades)) {
				return last, nil
			}
		}
		if !pause(patient) {
			return last, nil
		}
	}
}

// progressOf counts the dispatches that are planned, and the upgrades that are
// over or left to a person.
func progressOf(s server.Status) (planned, over int) {
	for _, d := range s.Dispatches {
		if d.Done {
			planned++
		}
	}
	for _, u := range s.Upgrades {
		if u.Final || u.State == string(lifecycle.Critical) {
			over++
		}
	}
	return planned, over
}

// failures counts the upgrades that did not go well.
func failures(s server.Status) (n int) {
	for _, u := range s.Upgrades {
		switch lifecycle.State(u.State) {
		case lifecycle.Reverted, lifecycle.Failed, lifecycle.Critical, lifecycle.Aborted:
			n++
		default:
		}
	}
	return n
}

// outcomes are the rows of the table at the end.
func outcomes(s server.Status, ids []string, sent []plan.Dispatch) []bulkRow {
	var out []bulkRow
	for i, id := range ids {
		d := dispatchOf(s, id)
		row := bulkRow{service: nameOf(sent[i]), to: sent[i].Tag, state: "sent", note: "not planned yet"}
		if len(d.Outcomes) == 0 {
			if d.Done {
				row.state, row.note = "filtered", "no repository uses it"
			}
			out = append(out, row)
			continue
		}
		var upgrades, reasons []bulkRow
		for _, o := range d.Outcomes {
			if o.Upgrade != "" {
				upgrades = append(upgrades, upgradeRow(upgradeOf(s, o)))
				continue
			}
			row := bulkRow{service: cmp.Or(o.Service, nameOf(sent[i])), to: sent[i].Tag, state: "filtered", note: o.Reason}
			switch store.Stuck(o.Stuck) {
			case store.Waits:
				row.state = "sent"
			case store.GivenUp:
				row.state = "not planned"
			}
			reasons = append(reasons, row)
		}
		if len(upgrades) == 0 {
			upgrades = slices.Compact(reasons)
		} else { // what could not be planned is said beside what was
			upgrades = append(upgrades, slices.DeleteFunc(reasons, func(r bulkRow) bool { return r.state == "filtered" })...)
		}
		out = append(out, upgrades...)
	}
	slices.SortStableFunc(out, func(a, b bulkRow) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return slices.Compact(out) // two images may be one upgrade
}

func upgradeRow(u server.Upgrade) bulkRow {
	r := bulkRow{service: u.Service, from: u.From, to: u.To, state: u.State, note: u.Waits}
	switch lifecycle.State(u.State) {
	case lifecycle.Queued:
		r.state = "waiting"
	case lifecycle.Open:
		r.state = "opened"
	default:
	}
	if u.Pull != 0 {
		r.note = strings.TrimSuffix(fmt.Sprintf("%s#%d: %s", u.Repository, u.Pull, u.Waits), ": ")
	}
	return r
}

// tallied counts the rows by their state.
func tallied(rows []bulkRow) string {
	count := map[string]int{}
	var order []string
	for _, r := range rows {
		state := r.state
		switch state {
		case "-":
			state = "kept back"
		case "?":
			state = "not known"
		}
		if count[state] == 0 {
			order = append(order, state)
		}
		count[state]++
	}
	slices.Sort(order)
	var parts []string
	for _, s := range order {
		parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
	}
	return strings.Join(parts, ", ")
}
