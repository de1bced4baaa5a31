package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"

	"github.com/belaybot/belay/bot/intake"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/plan"
)

// Bulk takes many dispatches, and says what one would lead to.
// *reconcile.Reconciler is one.
type Bulk interface {
	TakeBulk(ctx context.Context, d store.Dispatch, again bool) (store.Taken, error)
	LimitRun(ctx context.Context, run string, upgrades int) error
	Preview(ctx context.Context, d plan.Dispatch) ([]reconcile.Previewed, error)
}

// The most dispatches and ids that one request may hold, and its size in bytes.
const (
	MaxBulk     = 1000
	maxBulkBody = 8 << 20
)

// BulkRequest is the body of POST /api/bulk.
type BulkRequest struct {
	Run        string            `json:"run,omitempty"`   // names the run; needed with Limit
	Limit      int               `json:"limit,omitempty"` // how many of the run's upgrades may start in a window; 0: the repository's limit counts
	Again      bool              `json:"again,omitempty"` // plan known dispatches again whose upgrades are over
	Dispatches []json.RawMessage `json:"dispatches"`      // each in any of the forms that /diun takes
}

// BulkAnswer says what became of each, in the same order.
type BulkAnswer struct {
	Dispatches []BulkTaken `json:"dispatches"`
}

// BulkTaken is one dispatch of a BulkAnswer.
type BulkTaken struct {
	ID    string `json:"id"`
	New   bool   `json:"new,omitempty"`
	Again bool   `json:"again,omitempty"` // known, and planned once more
}

// runForm matches the names of runs: "f3c2a1b09", "outdated".
var runForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// allowed answers whoever may not ask, or asks a server that cannot do it.
func (s *Server) allowed(w http.ResponseWriter, req *http.Request) bool {
	if !s.permitted(w, req) {
		return false
	}
	if s.opts.Bulk == nil {
		answer(w, http.StatusNotImplemented, refusal{Error: "bulk runs are not taken here"})
		return false
	}
	return true
}

func (s *Server) bulk(w http.ResponseWriter, req *http.Request) {
	if !s.allowed(w, req) {
		return
	}
	var body BulkRequest
	if !read(w, req, maxBulkBody, `{"run": …, "limit": …, "dispatches": […]}`, &body) {
		return
	}
	switch {
	case len(body.Dispatches) == 0 || len(body.Dispatches) > MaxBulk:
		answer(w, http.StatusBadRequest, refusal{Error: fmt.Sprintf("1 to %d are taken at once", MaxBulk), Field: "dispatches"})
		return
	case body.Limit < 0 || body.Limit > 0 && !runForm.MatchString(body.Run):
		answer(w, http.StatusBadRequest, refusal{Error: "a limit of its own is above 0, and needs the run's name: letters, digits, '.', '_' and '-', at most 64", Field: "limit"})
		return
	}
	list := make([]plan.Dispatch, len(body.Dispatches))
	for i, raw := range body.Dispatches {
		var err error
		if list[i], err = intake.Parse(raw); err != nil { // nothing is taken before all can be read
			answer(w, http.StatusBadRequest, refusal{Error: fmt.Sprintf("dispatches[%d]: %v", i, err), Field: "dispatches"})
			return
		}
	}
	out, err := s.takeBulk(req.Context(), body, list)
	if err != nil {
		s.opts.Log.Error("a bulk run could not be stored", "run", body.Run, "taken", len(out.Dispatches), "why", err)
		answer(w, http.StatusServiceUnavailable, refusal{Error: "not all could be stored; send it again: nothing is done twice"})
		return
	}
	answer(w, http.StatusOK, out)
}

func (s *Server) takeBulk(ctx context.Context, body BulkRequest, list []plan.Dispatch) (BulkAnswer, error) {
	var out BulkAnswer
	run := ""
	if body.Limit > 0 {
		if err := s.opts.Bulk.LimitRun(ctx, body.Run, body.Limit); err != nil {
			return out, err
		}
		run = body.Run
	}
	for _, d := range list {
		kept := reconcile.Stored(d, "bulk", "")
		kept.Run, kept.Received = run, s.opts.Now()
		got, err := s.opts.Bulk.TakeBulk(ctx, kept, body.Again)
		if err != nil {
			s.received("bulk", http.StatusServiceUnavailable)
			return out, err
		}
		s.received("bulk", takenCode(got.New || got.Again))
		out.Dispatches = append(out.Dispatches, BulkTaken{ID: got.ID, New: got.New, Again: got.Again})
	}
	s.opts.Log.Info("bulk", "run", body.Run, "limit", body.Limit, "dispatches", len(list))
	return out, nil
}

// StandingRequest is the body of POST /api/dispatches: which are asked about.
type StandingRequest struct {
	IDs []string `json:"ids"`
}

// standing answers with dispatches, what came of them, and the upgrades of those.
func (s *Server) standing(w http.ResponseWriter, req *http.Request) {
	if !s.allowed(w, req) {
		return
	}
	var body StandingRequest
	if !read(w, req, maxBulkBody, `{"ids": […]}`, &body) {
		return
	}
	if len(body.IDs) > MaxBulk {
		answer(w, http.StatusBadRequest, refusal{Error: fmt.Sprintf("at most %d are asked about at once", MaxBulk), Field: "ids"})
		return
	}
	out, err := s.readStanding(req.Context(), body.IDs)
	if err != nil {
		s.opts.Log.Error("dispatches", "why", err)
		answer(w, http.StatusServiceUnavailable, refusal{Error: "the state cannot be read now"})
		return
	}
	answer(w, http.StatusOK, out)
}

func (s *Server) readStanding(ctx context.Context, ids []string) (Status, error) {
	out := Status{Upgrades: []Upgrade{}, Dispatches: []Dispatch{}}
	list, err := s.opts.Store.DispatchesByID(ctx, ids)
	if err != nil {
		return out, err
	}
	seen, upgrades := map[string]bool{}, []string(nil)
	for _, d := range list {
		out.Dispatches = append(out.Dispatches, shownDispatch(d))
		for _, o := range d.Outcomes {
			if o.Upgrade != "" && !seen[o.Upgrade] {
				seen[o.Upgrade], upgrades = true, append(upgrades, o.Upgrade)
			}
		}
	}
	found, err := s.opts.Store.UpgradesByID(ctx, upgrades)
	for _, u := range found {
		out.Upgrades = append(out.Upgrades, shownUpgrade(u))
	}
	return out, err
}

// Preview is what a dispatch would lead to in one place.
type Preview struct {
	Repository string `json:"repository"`
	Service    string `json:"service,omitempty"`
	From       string `json:"from,omitempty"`
	To         string `json:"to,omitempty"`
	Risk       string `json:"risk,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

// preview answers POST /api/plan, which takes what /diun takes and changes nothing.
func (s *Server) preview(w http.ResponseWriter, req *http.Request) {
	if !s.allowed(w, req) {
		return
	}
	d, code, refused := readDispatch(req)
	if refused.Error != "" {
		answer(w, code, refused)
		return
	}
	rows, err := s.opts.Bulk.Preview(req.Context(), d)
	if err != nil {
		s.opts.Log.Warn("preview", "image", about(d), "tag", d.Tag, "why", err)
		answer(w, http.StatusServiceUnavailable, refusal{Error: "it cannot be planned now; try again"})
		return
	}
	out := []Preview{}
	for _, p := range rows {
		out = append(out, Preview(p))
	}
	answer(w, http.StatusOK, out)
}

// about is what a dispatch speaks of, for people.
func about(d plan.Dispatch) string {
	if d.Chart.Name != "" {
		return "chart " + d.Chart.Name
	}
	return d.Image.Familiar()
}
