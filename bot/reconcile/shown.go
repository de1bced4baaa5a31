package reconcile

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
	"github.com/belaybot/belay/rules/watch"
)

// Quote is a passage of release notes that mattered to the risk. Its text is
// upstream's: it has to be escaped wherever it is shown.
type Quote struct {
	Version string     `json:"version"`
	Text    string     `json:"text"`
	Rule    string     `json:"rule,omitempty"`
	URL     string     `json:"url,omitempty"` // of the release
	Strong  bool       `json:"strong,omitempty"`
	Uses    []risk.Use `json:"uses,omitempty"`
}

const (
	maxQuotes = 24 // of an upgrade; the pull request has all
	maxPlaces = 4  // of an identifier
)

// quotes keeps the evidence that people see first.
func quotes(all []risk.Evidence) []Quote {
	var out []Quote
	for _, e := range all[:min(len(all), maxQuotes)] {
		q := Quote{Version: e.Version, Text: e.Text, Rule: e.Rule, URL: e.URL, Strong: e.Strength == "strong"}
		for _, u := range e.Uses {
			q.Uses = append(q.Uses, risk.Use{Identifier: u.Identifier, At: append([]pin.Location(nil), u.At[:min(len(u.At), maxPlaces)]...)})
		}
		out = append(out, q)
	}
	return out
}

// Traced is every look of one watch.
type Traced struct {
	State lifecycle.State `json:"state"` // watching, or watching again
	Since time.Time       `json:"since"` // when the watch began
	Trace watch.Trace     `json:"trace"`
}

// maxTraces is how many watches of an upgrade are kept to be seen.
const maxTraces = 4

// trace notes what a look found.
func (rec *record) trace(s lifecycle.State, at time.Time, samples []watch.Sample) {
	if n := len(rec.Traces); n == 0 || rec.Traces[n-1].State != s || !rec.Traces[n-1].Since.Equal(rec.Entered) {
		rec.Traces = append(rec.Traces, Traced{State: s, Since: rec.Entered})
		if n := len(rec.Traces); n > maxTraces {
			rec.Traces = append([]Traced(nil), rec.Traces[n-maxTraces:]...)
		}
	}
	t := &rec.Traces[len(rec.Traces)-1]
	t.Trace = t.Trace.Add(at, samples)
}

// Word is what a person said, or was answered.
type Word struct {
	Login  string    `json:"login,omitempty"`
	Text   string    `json:"text,omitempty"`
	Answer string    `json:"answer,omitempty"`
	OK     bool      `json:"ok,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Shown is what of an upgrade's record people may see.
type Shown struct {
	Headline string    `json:"headline,omitempty"` // how it stands, in a sentence; commands in it stand between backticks
	Waits    string    `json:"waits,omitempty"`
	Gates    []string  `json:"gates,omitempty"` // all that are shut, Waits among them
	Entered  time.Time `json:"entered,omitzero"`

	Judged
	Images     []string       `json:"images,omitempty"`
	Chart      string         `json:"chart,omitempty"`
	Newer      string         `json:"newer,omitempty"` // the version that it goes to next
	Head       string         `json:"head,omitempty"`
	Held       *Word          `json:"held,omitempty"`
	Approved   *Word          `json:"approved,omitempty"` // of the head as it was pushed last
	Pending    []Word         `json:"pending,omitempty"`
	Answers    []Word         `json:"answers,omitempty"`
	Backup     ShownBackup    `json:"backup,omitzero"`
	MergeSHA   string         `json:"merge_sha,omitempty"`
	MergedBy   string         `json:"merged_by,omitempty"`
	MergedAt   time.Time      `json:"merged_at,omitzero"`
	Unbacked   bool           `json:"unbacked,omitempty"`
	Health     string         `json:"health,omitempty"`
	Parts      []watch.Part   `json:"parts,omitempty"`
	Traces     []Traced       `json:"traces,omitempty"`
	Updates    []string       `json:"updates,omitempty"`
	Failure    string         `json:"failure,omitempty"`
	Log        string         `json:"log,omitempty"`
	Again      string         `json:"again,omitempty"` // why what was done about the failure failed, too
	AgainLog   string         `json:"again_log,omitempty"`
	Offer      *report.Offer  `json:"offer,omitempty"`
	Fix        bool           `json:"fix,omitempty"` // the second pull request mends instead of undoing
	UndoHead   string         `json:"undo_head,omitempty"`
	Clashes    []string       `json:"clashes,omitempty"`
	Restore    string         `json:"restore,omitempty"` // how far the data is put back: "", running, good, bad
	RestoreLog string         `json:"restore_log,omitempty"`
	Gone       string         `json:"gone,omitempty"`
	Ladder     *ladder.Ladder `json:"ladder,omitempty"` // the way in several steps of which it is one; nil: none
	Offers     []command.Verb `json:"offers,omitempty"` // the commands that make sense now, what is likely wanted first
}

// ShownBackup is the backup before the merge.
type ShownBackup struct {
	Source     string    `json:"source,omitempty"` // "cronjob dbaas/postgresql-backup"; "" when none is configured
	Name       string    `json:"name,omitempty"`   // of what was made in the cluster
	State      string    `json:"state,omitempty"`  // "", running, good, bad
	Log        string    `json:"log,omitempty"`
	Started    time.Time `json:"started,omitzero"`
	Shared     bool      `json:"shared,omitempty"`
	Restorable bool      `json:"restorable,omitempty"` // a restore is configured for it
}

// Show reads what people may see of an upgrade.
func Show(u store.Upgrade) (Shown, error) {
	var rec record
	if err := json.Unmarshal(u.Data, &rec); err != nil {
		return Shown{}, fmt.Errorf("upgrade %s: its record cannot be read: %w", u.ID, err)
	}
	s := Shown{Waits: rec.Waits, Gates: rec.Gates, Entered: rec.Entered, Images: imagesOf(u.Lane), Chart: chartOf(u.Lane), Judged: rec.Judged,
		Head: rec.head(), MergeSHA: rec.Merge.SHA, MergedBy: rec.Merge.By, MergedAt: rec.Merge.At, Unbacked: rec.Merge.Unbacked, Health: rec.Health, Parts: rec.Parts,
		Traces: rec.Traces, Updates: rec.Updates, Failure: rec.Failure.Why, Log: rec.Failure.Log, Again: rec.Failure.Again, AgainLog: rec.Failure.Last, Offer: rec.Offer,
		Fix: rec.Undo.Fix, UndoHead: rec.Undo.Head, Clashes: rec.Undo.Clashes, Restore: rec.Undo.Data.State, RestoreLog: rec.Undo.Data.Detail, Gone: rec.Gone, Ladder: rec.Ladder}
	if rec.Newer != nil {
		s.Newer = rec.Newer.Tag
	}
	if h := rec.Held; h != nil {
		s.Held = &Word{Login: h.Login, Text: h.Reason, At: h.At}
	}
	if a := rec.Approved; a != nil && a.Head == rec.head() {
		s.Approved = &Word{Login: a.Login, At: a.At}
	}
	for _, a := range rec.Asked {
		s.Pending = append(s.Pending, Word{Login: a.Login, Text: a.Command, At: a.At})
	}
	for _, a := range rec.Answers {
		s.Answers = append(s.Answers, Word{Login: a.Login, Text: a.Command, Answer: a.Text, OK: a.OK})
	}
	if a := rec.LastAsked; a != nil && (len(s.Answers) == 0 || s.Answers[len(s.Answers)-1].Answer != a.Text) {
		s.Answers = append(s.Answers, Word{Login: a.Login, Text: a.Command, Answer: a.Text, OK: a.OK})
	}
	if c := rec.Backup.Config; rec.Backup.configured() {
		s.Backup = ShownBackup{Source: backupName(c), Name: rec.Backup.Name, State: rec.Backup.State, Log: rec.Backup.Detail, Started: rec.Backup.Started,
			Shared: rec.Backup.Shared, Restorable: c.Restore != nil}
	}
	j := &job{u: u, rec: rec}
	s.Headline, s.Offers = j.status().Headline(), j.offers()
	return s, nil
}

// offers are the commands that make sense now, wherever they are given.
func (j *job) offers() []command.Verb {
	rec := &j.rec
	return command.Offers(command.Situation{State: lifecycle.State(j.u.State), Pull: j.u.Pull != 0, Held: rec.Held != nil, Approved: rec.Approved != nil && rec.Approved.Head == rec.head(), Others: rec.Others.By != "",
		Backup: rec.Backup.configured(), Restore: rec.Backup.State == string(lifecycle.Good) && rec.Backup.Config.Restore != nil, Clashes: len(rec.Undo.Clashes) > 0,
		Fix: rec.Offer != nil, Merged: rec.Merge.SHA != "", Ahead: len(rec.Ladder.Ahead()) > 0 && rec.Ladder.Next == "", All: rec.Ladder != nil && rec.Ladder.All != nil})
}

// configured reports whether there is a backup before the merge.
func (b backup) configured() bool { return b.Config.Kind != "" && b.Config.Kind != policy.BackupNone }
