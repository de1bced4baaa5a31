package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
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

// upgrade is GET /u/{id}.
func (d *dashboard) upgrade(w http.ResponseWriter, req *http.Request, v viewer) {
	u, s, ok := d.read(w, req, v)
	if !ok {
		return
	}
	events, err := d.state.Events(req.Context(), u.ID)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	group := lifecycle.GroupOf(lifecycle.State(u.State), s.Waits)
	view := page.Upgrade{Frame: d.frame(req, v, u.Service+" "+u.From+" → "+u.To), Upgrade: u, Shown: s, Group: group, Tone: page.Tone(u.State, group), Ladder: ladder(u, s),
		May: v.writes(u.Repository), Head: head(u, s)}
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

// ladder is the way through the versions between, and where it stands.
func ladder(u store.Upgrade, s reconcile.Shown) []page.Rung {
	var out []page.Rung
	at := slices.Index(s.Steps, u.To)
	for i, version := range s.Steps {
		stands := "ahead"
		switch {
		case i < at || i == at && lifecycle.State(u.State) == lifecycle.Verified:
			stands = "done"
		case i == at:
			stands = "here"
		}
		out = append(out, page.Rung{Version: version, Stands: stands})
	}
	return out
}

var labels = map[command.Verb]string{command.Approve: "Approve", command.Hold: "Hold", command.Resume: "Resume", command.Retry: "Try again", command.Rollback: "Roll back",
	command.Restore: "Restore data", command.Fix: "Mend it", command.Backup: "Back up now", command.Rebase: "Build anew", command.To: "Go to another version",
	command.Ignore: "Leave out", command.Step: "Steps", command.Plan: "Plan again"}

// buttons are the commands that make sense now.
func buttons(u store.Upgrade, s reconcile.Shown) []page.Button {
	offers := command.Offers(command.Situation{State: lifecycle.State(u.State), Pull: u.Pull != 0, Held: s.Held != nil, Approved: s.Approved != nil,
		Backup: s.Backup.Source != "", Restore: s.Backup.Restorable && s.Backup.State == string(lifecycle.Good), Clashes: len(s.Clashes) > 0, Fix: s.Offer != nil, Merged: s.MergeSHA != ""})
	var out []page.Button
	for i, verb := range offers {
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
	if err := d.opts.Life.Ask(req.Context(), u.ID, reconcile.Asked{Login: v.Login, Command: text, Head: req.PostForm.Get("head"), From: "page", At: d.now()}); err != nil {
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
		out.Upgrades = append(out.Upgrades, Upgrade{ID: r.ID, Repository: r.Repository, Service: r.Service, From: r.From, To: r.To, State: r.State, Final: r.final, Waits: r.Says,
			Risk: r.Risk, Pull: r.Pull, Updated: r.updated})
	}
	answer(w, http.StatusOK, out)
}

// upgradeJSON is GET /api/upgrades/{id}: what the page of an upgrade shows.
func (d *dashboard) upgradeJSON(w http.ResponseWriter, req *http.Request, v viewer) {
	u, s, ok := d.read(w, req, v)
	if !ok {
		return
	}
	events, err := d.state.Events(req.Context(), u.ID)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	u.Data = nil
	data, err := json.Marshal(struct {
		Upgrade store.Upgrade   `json:"upgrade"`
		Shown   reconcile.Shown `json:"shown"`
		Trail   []store.Event   `json:"trail"`
	}{u, s, events})
	if err != nil {
		d.fail(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	send(w, req, http.StatusOK, data)
}
