package server

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/store"
)

// Status is what `belay status` shows.
type Status struct {
	Upgrades   []Upgrade  `json:"upgrades"`
	Dispatches []Dispatch `json:"dispatches"`
	Freezes    []Freeze   `json:"freezes,omitempty"`
}

// Freeze is a repository in which nothing is opened or merged.
type Freeze struct {
	Repository string    `json:"repository"` // "" is every one
	Who        string    `json:"who"`
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at"`
}

// Upgrade is one upgrade in JSON: in Status, and at /api/upgrades.
type Upgrade struct {
	ID         string    `json:"id"`
	Repository string    `json:"repository"`
	Service    string    `json:"service"`
	From       string    `json:"from"`
	To         string    `json:"to"`
	State      string    `json:"state"`
	Final      bool      `json:"final"`
	Waits      string    `json:"waits,omitempty"`
	Failure    string    `json:"failure,omitempty"` // why it failed
	Risk       string    `json:"risk,omitempty"`
	Pull       int       `json:"pull,omitempty"`
	Undo       int       `json:"undo,omitempty"` // number of the pull request that undoes it
	Created    time.Time `json:"created"`
	Updated    time.Time `json:"updated"`
	Ladder     *Ladder   `json:"ladder,omitempty"` // of a step of several
}

// Ladder is the way of which an Upgrade is a step.
type Ladder struct {
	ID      string   `json:"id"` // of the first step's upgrade
	From    string   `json:"from"`
	Rungs   []string `json:"rungs"`             // every version on the way, the last being its end
	Place   int      `json:"place"`             // this step's, from 1
	Stopped string   `json:"stopped,omitempty"` // why no step follows by itself
}

// Dispatch is one dispatch in Status, with what came of it.
type Dispatch struct {
	ID       string    `json:"id"`
	Image    string    `json:"image"` // "chart NAME" of a chart
	Tag      string    `json:"tag"`
	Status   string    `json:"status,omitempty"`
	Source   string    `json:"source,omitempty"` // diun, repository_dispatch, bulk, scan
	Done     bool      `json:"done"`             // it has been planned, or given up; until then an outcome may say what it waits for
	Received time.Time `json:"received"`
	Outcomes []Outcome `json:"outcomes"`
}

// Outcome is what a dispatch led to in one place.
type Outcome struct {
	Repository string     `json:"repository"`
	Service    string     `json:"service,omitempty"`
	Upgrade    string     `json:"upgrade,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Path       string     `json:"path,omitempty"`
	Line       int        `json:"line,omitempty"`
	Stuck      string     `json:"stuck,omitempty"` // "waits": it could not be planned for the reason, and is tried again; "given up": it is not
	Since      *time.Time `json:"since,omitempty"` // of what waits
}

// status answers GET /api/status with the newest upgrades and dispatches. It
// asks for the same token as a dispatch.
func (s *Server) status(w http.ResponseWriter, req *http.Request) {
	if !s.permitted(w, req) {
		return
	}
	limit := 100
	if n, err := strconv.Atoi(req.URL.Query().Get("limit")); err == nil && n > 0 && n <= 1000 {
		limit = n
	}
	got, err := Read(req.Context(), s.opts.Store, limit, req.URL.Query().Get("source"))
	if err != nil {
		s.opts.Log.Error("status", "why", err)
		answer(w, http.StatusServiceUnavailable, refusal{Error: "the state cannot be read now"})
		return
	}
	answer(w, http.StatusOK, got)
}

// Read reads the newest limit upgrades and dispatches, and the older dispatches
// that wait to be planned; source leaves only the
// dispatches that came from there, "" all of them.
func Read(ctx context.Context, st *store.Store, limit int, source string) (Status, error) {
	out := Status{Upgrades: []Upgrade{}, Dispatches: []Dispatch{}}
	list, err := st.Upgrades(ctx, store.Filter{Limit: limit})
	if err != nil {
		return out, err
	}
	for _, u := range list {
		out.Upgrades = append(out.Upgrades, shownUpgrade(u))
	}
	dispatches, err := st.DispatchesFrom(ctx, source, limit)
	if err != nil {
		return out, err
	}
	// What waits to be planned is listed however many have come since.
	waits, err := st.Skipped(ctx, store.SkipFilter{All: true, Waits: true, Limit: limit})
	if err != nil {
		return out, err
	}
	var older []string
	for _, d := range waits {
		if (source == "" || d.Source == source) && !slices.ContainsFunc(dispatches, func(x store.Dispatch) bool { return x.ID == d.ID }) {
			older = append(older, d.ID)
		}
	}
	more, err := st.DispatchesByID(ctx, older)
	if err != nil {
		return out, err
	}
	for _, d := range append(dispatches, more...) {
		out.Dispatches = append(out.Dispatches, shownDispatch(d))
	}
	freezes, err := st.Freezes(ctx)
	for _, f := range freezes {
		out.Freezes = append(out.Freezes, Freeze{Repository: f.Repository, Who: f.Who, Reason: f.Reason, At: f.At})
	}
	return out, err
}

// shownUpgrade is an upgrade in JSON, wherever one is. A record that cannot be
// read shows its columns.
func shownUpgrade(u store.Upgrade) Upgrade {
	s, _ := reconcile.Show(u)
	return upgradeOf(u, s)
}

// upgradeOf is shownUpgrade where the record has been read.
func upgradeOf(u store.Upgrade, s reconcile.Shown) Upgrade {
	out := Upgrade{ID: u.ID, Repository: u.Repository, Service: u.Service, From: u.From, To: u.To, State: u.State, Final: u.Final,
		Waits: s.Waits, Failure: s.Failure, Risk: string(s.Risk), Pull: u.Pull, Undo: u.Undo, Created: u.Created, Updated: u.Updated}
	if l := s.Ladder; l != nil {
		out.Ladder = &Ladder{ID: l.ID, From: l.From, Rungs: l.Rungs, Place: l.Place, Stopped: l.Stopped}
	}
	return out
}

func shownDispatch(d store.Dispatch) Dispatch {
	out := Dispatch{ID: d.ID, Image: d.Subject(), Tag: d.Tag, Status: d.Status, Source: d.Source, Done: d.Done, Received: d.Received, Outcomes: []Outcome{}}
	for _, o := range d.Outcomes {
		shown := Outcome{Repository: o.Repository, Service: o.Service, Upgrade: o.Upgrade, Reason: o.Reason, Path: o.Path, Line: o.Line, Stuck: string(o.Stuck)}
		if o.Stuck == store.Waits {
			shown.Since = &o.At
		}
		out.Outcomes = append(out.Outcomes, shown)
	}
	return out
}
