package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/server/page"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
)

// read reads an upgrade that a viewer may see, and answers when there is none.
func (d *dashboard) read(w http.ResponseWriter, req *http.Request, v viewer) (store.Upgrade, reconcile.Shown, bool) {
	u, err := d.state.Upgrade(req.Context(), req.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) || err == nil && !v.reads(u.Repository) {
		d.missing(w, req, v)
		return u, reconcile.Shown{}, false
	}
	var s reconcile.Shown
	if err == nil {
		s, err = reconcile.Show(u)
	}
	if err != nil {
		d.fail(w, req, err)
		return u, s, false
	}
	return u, s, true
}

// readWhole reads its audit trail as well.
func (d *dashboard) readWhole(w http.ResponseWriter, req *http.Request, v viewer) (store.Upgrade, reconcile.Shown, []store.Event, bool) {
	u, s, ok := d.read(w, req, v)
	if !ok {
		return u, s, nil, false
	}
	events, err := d.state.Events(req.Context(), u.ID)
	if err != nil {
		d.fail(w, req, err)
	}
	return u, s, events, err == nil
}

// upgrade is GET /u/{id}.
func (d *dashboard) upgrade(w http.ResponseWriter, req *http.Request, v viewer) {
	u, s, events, ok := d.readWhole(w, req, v)
	if !ok {
		return
	}
	group := lifecycle.GroupOf(lifecycle.State(u.State), s.Waits)
	view := page.Upgrade{Frame: d.frame(req, v, u.Service+" "+u.From+" → "+u.To), Upgrade: u, Shown: s, Tone: page.Tone(u.State, group),
		May: v.writes(u.Repository), Head: head(u, s)}
	var err error
	if view.Ladder, err = d.ladder(req, u, s); err != nil {
		d.fail(w, req, err)
		return
	}
	if l := s.Ladder; l != nil {
		view.Stopped = l.Stopped
		for _, x := range l.Left {
			view.Left = append(view.Left, x.Version+": "+x.Why)
		}
	}
	d.follow(&view.Frame, req, u.ID, u.Updated)
	var marks []page.Mark
	for _, e := range events {
		marks = append(marks, page.Mark{What: e.What, At: e.At})
		view.Trail = append(view.Trail, trailed(e))
	}
	view.Timeline = page.Timeline(u.Created, marks, u.Final, d.now())
	for _, t := range s.Traces {
		view.Strips = append(view.Strips, page.Health(string(t.State), t.Since, t.Trace))
	}
	if view.May {
		view.Token, view.Buttons = d.sealer.token(v.session), buttons(u, s)
	}
	d.show(w, req, http.StatusOK, "upgrade", view)
}

// head is the commit that a person sees and would approve.
func head(u store.Upgrade, s reconcile.Shown) string {
	if lifecycle.State(u.State).Merged() {
		return s.UndoHead
	}
	return s.Head
}

// trailed is an entry of the trail in words.
func trailed(e store.Event) page.Event {
	out := page.Event{Event: e, Tone: "off", Says: e.What}
	if s, ok := lifecycle.Reached(e.What); ok {
		out.Tone = page.Tone(string(s), lifecycle.GroupOf(s, ""))
	}
	if e.What == "command" {
		out.Says = "/upgrade " + e.Why
		if from := e.Data["from"]; from != "" {
			out.Says += " (" + from + ")"
		}
		return out
	}
	if e.Why != "" {
		out.Says += ": " + e.Why
	}
	return out
}

// ladder is the way through the versions between, and where each step stands.
// Before its first step is drawn, the plan says what the way would be.
func (d *dashboard) ladder(req *http.Request, u store.Upgrade, s reconcile.Shown) ([]page.Rung, error) {
	rungs := s.Steps
	if s.Ladder != nil {
		rungs = s.Ladder.Rungs
	}
	steps, err := d.state.Ladder(req.Context(), u.Ladder)
	if err != nil {
		return nil, err
	}
	var out []page.Rung
	for i, version := range rungs {
		r := page.Rung{Version: version, Stands: "ahead"}
		for _, step := range steps { // the last try counts
			if step.Place == i+1 && step.ID != u.ID {
				r.ID, r.State, r.Stands = step.ID, step.State, stands(lifecycle.State(step.State))
			}
		}
		if s.Ladder != nil && s.Ladder.Place == i+1 || s.Ladder == nil && version == u.To {
			r.ID, r.State, r.Stands = "", u.State, "here"
			if lifecycle.State(u.State).Final() {
				r.Stands = stands(lifecycle.State(u.State))
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// stands is how a step of a ladder looks.
func stands(s lifecycle.State) string {
	switch s {
	case lifecycle.Verified, lifecycle.Unverified, lifecycle.Obsolete:
		return "done"
	case lifecycle.Aborted, lifecycle.Reverting, lifecycle.Restoring, lifecycle.Undoing, lifecycle.Rewatching, lifecycle.Critical, lifecycle.Reverted, lifecycle.Failed, lifecycle.NotDeployed, lifecycle.Closed:
		return "failed"
	case lifecycle.Queued, lifecycle.Open, lifecycle.BackingUp, lifecycle.Applying, lifecycle.Watching:
	}
	return "here"
}

var labels = map[command.Verb]string{command.Approve: "Approve", command.Hold: "Hold", command.Resume: "Resume", command.Retry: "Try again", command.Rollback: "Roll back",
	command.Restore: "Restore data", command.Fix: "Mend it", command.Backup: "Back up now", command.Rebase: "Build anew", command.To: "Go to another version",
	command.Ignore: "Leave out", command.Step: "Steps", command.Plan: "Plan again"}

// buttons are the commands that make sense now.
func buttons(u store.Upgrade, s reconcile.Shown) []page.Button {
	var out []page.Button
	for i, verb := range s.Offers {
		b := page.Button{Verb: verb, Label: labels[verb], Decisive: verb.Decisive(), First: i == 0 && verb != command.Hold && verb != command.Rollback}
		for _, usage := range command.Verbs() {
			if usage.Verb == verb {
				b.Does = strings.ReplaceAll(usage.Does, "`", "")
			}
		}
		switch verb {
		case command.Hold:
			b.Asks = "Why, for those who come after you"
		case command.To:
			b.Asks, b.Must = "Version", true
		case command.Step:
			b.Label, b.Does = "Next step", "go on with the next step of the ladder"
			if !u.Final {
				b.Label, b.Args, b.Decisive = "Approve all steps", "all", true
				b.Does = "agree to this step and all that follow, up to " + s.Ladder.Top() + "; the first that fails stops it"
			}
		default:
		}
		out = append(out, b)
	}
	return out
}

// maxForm is the largest form in bytes.
const maxForm = 8 << 10

// command is POST /u/{id}/command: the same as a comment on the pull request,
// and heeded by the same code.
func (d *dashboard) command(w http.ResponseWriter, req *http.Request, v viewer) {
	refuse := func(code int, title, text string) {
		d.problem(w, req, v, code, title, text, "Go back, reload the page, and try again.")
	}
	if d.opts.Auth != AuthGitHub {
		refuse(http.StatusForbidden, "This page only shows", "Nobody signs in here, so nobody can act. Comment on the pull request instead.")
		return
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxForm)
	if err := req.ParseForm(); err != nil {
		refuse(http.StatusBadRequest, "That cannot be read", "The form is too large, or broke off.")
		return
	}
	if !d.sealer.checks(v.session, req.PostForm.Get("token")) {
		refuse(http.StatusForbidden, "That form is of another session", "It was made before you signed in, or not by belay.")
		return
	}
	u, _, ok := d.read(w, req, v)
	if !ok {
		return
	}
	if !v.writes(u.Repository) {
		refuse(http.StatusForbidden, "You may look, not act", "Commands are for people with write permission in "+u.Repository+".")
		return
	}
	text, problem := said(req.PostForm)
	if problem != "" {
		refuse(http.StatusBadRequest, "That is no command", problem)
		return
	}
	err := d.opts.Life.Ask(req.Context(), u.ID, reconcile.Asked{Login: v.Login, Command: text, Head: req.PostForm.Get("head"), From: "page", At: d.now()})
	if errors.Is(err, reconcile.ErrTooMany) {
		refuse(http.StatusTooManyRequests, "That is too much at once", reconcile.ErrTooMany.Error()+".")
		return
	}
	if err != nil {
		d.fail(w, req, err)
		return
	}
	d.log.Info("asked on the page", "upgrade", u.ID, "repo", u.Repository, "who", v.Login, "command", text)
	http.Redirect(w, req, "/u/"+url.PathEscape(u.ID)+"#act", http.StatusSeeOther)
}

// said puts a form into the words of a comment. It has to be one command, and
// the one that was chosen.
func said(form url.Values) (text, problem string) {
	args := strings.Join(strings.Fields(form.Get("args")), " ")
	verb := command.Verb(form.Get("verb"))
	text = strings.TrimSpace("/upgrade " + string(verb) + " " + args)
	cmds := command.Parse(text)
	switch {
	case len(args) > 300:
		return "", "That is too long."
	case len(cmds) != 1 || cmds[0].Verb != verb || labels[verb] == "":
		return "", "There is no such command."
	case cmds[0].Problem != "":
		return "", cmds[0].Problem
	}
	return text, ""
}

// listJSON is GET /api/upgrades: what the list shows, with the same filters.
func (d *dashboard) listJSON(w http.ResponseWriter, req *http.Request, v viewer) {
	f := filterOf(req.URL.Query())
	got, err := d.find(req, v, f)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	out := struct {
		Total    int       `json:"total"`
		Page     int       `json:"page"`
		Upgrades []Upgrade `json:"upgrades"`
	}{len(got.rows), f.page, []Upgrade{}}
	from := min((f.page-1)*perPage, len(got.rows))
	for _, r := range got.rows[from:min(from+perPage, len(got.rows))] {
		out.Upgrades = append(out.Upgrades, r.api)
	}
	answer(w, http.StatusOK, out)
}

// upgradeJSON is GET /api/upgrades/{id}: what the page of an upgrade shows.
func (d *dashboard) upgradeJSON(w http.ResponseWriter, req *http.Request, v viewer) {
	u, s, events, ok := d.readWhole(w, req, v)
	if !ok {
		return
	}
	trail := []AuditLine{}
	for _, e := range events {
		trail = append(trail, auditLine(store.Record{Event: e, Repository: u.Repository, Service: u.Service, From: u.From, To: u.To}))
	}
	data, err := json.Marshal(struct {
		Upgrade Upgrade         `json:"upgrade"`
		Shown   reconcile.Shown `json:"shown"`
		Trail   []AuditLine     `json:"trail"`
	}{upgradeOf(u, s), s, trail})
	if err != nil {
		d.fail(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	send(w, req, http.StatusOK, data)
}
