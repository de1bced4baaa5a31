package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
)

// again is how long a command waits before it asks the server once more.
const again = 500 * time.Millisecond

// reach waits until the server answers. An address at which nothing listens yet
// is tried again; what else goes wrong is an error at once.
func (r *remote) reach(ctx context.Context) error {
	for {
		_, _, err := r.do(ctx, http.MethodGet, "/readyz", nil)
		if err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		if !pause(ctx) {
			return err
		}
	}
}

// follow waits until something came of a dispatch, and prints it: the pull
// requests that were opened, and why nothing was done elsewhere. An upgrade that
// waits for its turn is said once the time is over.
func (r *remote) follow(ctx context.Context, out io.Writer, id string) error {
	var last server.Status
	for {
		code, data, err := r.do(ctx, http.MethodGet, "/api/status?"+url.Values{"limit": {"1000"}}.Encode(), nil)
		switch {
		case ctx.Err() != nil:
			return printOutcomes(out, last, id)
		case err != nil:
			return err
		case code != http.StatusOK:
			return refused(code, data)
		}
		last = server.Status{}
		if err := json.Unmarshal(data, &last); err != nil {
			return fmt.Errorf("the answer is not belay's: %w", err)
		}
		if settled(last, id) || !pause(ctx) {
			return printOutcomes(out, last, id)
		}
	}
}

func pause(ctx context.Context) bool {
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// settled reports whether all that a dispatch led to is known: there are
// outcomes, none of which waits to be planned, and each of its upgrades has a
// pull request or is over.
func settled(s server.Status, id string) bool {
	d := dispatchOf(s, id)
	for _, o := range d.Outcomes {
		if o.Stuck == string(store.Waits) {
			return false
		}
		if u := upgradeOf(s, o); o.Upgrade != "" && u.Pull == 0 && !u.Final {
			return false
		}
	}
	return len(d.Outcomes) > 0
}

func dispatchOf(s server.Status, id string) server.Dispatch {
	for _, d := range s.Dispatches {
		if d.ID == id {
			return d
		}
	}
	return server.Dispatch{}
}

func upgradeOf(s server.Status, o server.Outcome) server.Upgrade {
	if i := slices.IndexFunc(s.Upgrades, func(u server.Upgrade) bool { return u.ID == o.Upgrade }); i >= 0 {
		return s.Upgrades[i]
	}
	return server.Upgrade{}
}

// printOutcomes says in a line each what came of a dispatch.
func printOutcomes(out io.Writer, s server.Status, id string) error {
	d := dispatchOf(s, id)
	if len(d.Outcomes) == 0 {
		return fmt.Errorf("nothing has come of it yet: belay status shows what it waits for, and what comes of it")
	}
	for _, o := range d.Outcomes {
		switch u := upgradeOf(s, o); {
		case o.Stuck != "":
			fmt.Fprintf(out, "%s%s\n", cmp.Or(waiting(o), "not planned: "), outcomeLine(o))
		case o.Upgrade == "":
			fmt.Fprintf(out, "nothing to do: %s\n", outcomeLine(o))
		case u.Pull != 0:
			fmt.Fprintf(out, "%s %s → %s: %s#%d (%s)\n", u.Service, u.From, u.To, u.Repository, u.Pull, u.Risk)
		default:
			fmt.Fprintf(out, "%s %s → %s: %s, %s\n", u.Service, u.From, u.To, u.State, u.Waits)
		}
	}
	return nil
}

// outcomeLine is an outcome without an upgrade: where, and why not.
func outcomeLine(o server.Outcome) string {
	place := o.Repository
	if o.Service != "" {
		place += " " + o.Service
	}
	if o.Path != "" {
		place += fmt.Sprintf(" (%s:%d)", o.Path, o.Line)
	}
	if place == "" {
		return o.Reason
	}
	return place + ": " + o.Reason
}
