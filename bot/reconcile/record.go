package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
	"github.com/belaybot/belay/rules/watch"
)

// Judged is what was said of an upgrade's risk when it was planned last.
type Judged struct {
	Risk      risk.Level `json:"risk,omitempty"`
	Reasons   []string   `json:"reasons,omitempty"`
	Evidence  []Quote    `json:"evidence,omitempty"`
	Security  []string   `json:"security,omitempty"`  // what it fixes: CVE and GHSA numbers
	Migration bool       `json:"migration,omitempty"` // the notes speak of a data migration
	Automerge bool       `json:"automerge,omitempty"`
	Blockers  []string   `json:"blockers,omitempty"` // why a person has to agree
	Steps     []string   `json:"steps,omitempty"`
}

// record is what the store keeps of an upgrade besides its columns. All of it
// but who said what can be made anew from the pull request.
type record struct {
	Target target  `json:"target"`          // what the upgrade goes to: where its ladder ends, of several steps
	Newer  *target `json:"newer,omitempty"` // what it is to go to next
	// Ladder is the way in several steps of which this upgrade is one; nil when
	// it goes there at once.
	Ladder  *ladder.Ladder `json:"ladder,omitempty"`
	Entered time.Time      `json:"entered"`        // when the state was entered
	Also    []string       `json:"also,omitempty"` // services that move along, since their version is written in the same place
	Waits   string         `json:"waits,omitempty"`

	// What is published.
	Branch  string            `json:"branch,omitempty"`
	Head    string            `json:"head,omitempty"` // the commit that belay pushed last
	Pushed  time.Time         `json:"pushed,omitzero"`
	Base    string            `json:"base,omitempty"`  // the default branch's commit that was looked at last
	Files   map[string]string `json:"files,omitempty"` // hashes of the edited files on Base
	Edits   string            `json:"edits,omitempty"` // hash of the edits
	Marker  string            `json:"marker,omitempty"`
	Title   string            `json:"title,omitempty"`
	Message string            `json:"message,omitempty"`
	Gone    string            `json:"gone,omitempty"`  // why there is nothing to move any more
	Moved   bool              `json:"moved,omitempty"` // the default branch moved under Edits, and they are not built again yet
	Others  others            `json:"others,omitzero"`
	Judged

	// What people said.
	Held     *said `json:"held,omitempty"`
	Approved *said `json:"approved,omitempty"`
	// Recovering is true until the comments were read once after the record was
	// rebuilt from the marker: nobody knows which head they approved.
	Recovering bool `json:"recovering,omitempty"`
	Resumed    bool `json:"resumed,omitempty"` // the record was rebuilt after the merge: Before is not known
	// Lost is until when an earlier life, whose record is lost, has heeded and
	// answered what people said of an upgrade that was over; zero for all others.
	Lost      time.Time `json:"lost,omitzero"`
	Retry     bool      `json:"retry,omitempty"`
	Redo      bool      `json:"redo,omitempty"`
	Seen      int64     `json:"seen,omitempty"` // the last comment that was read
	Answers   []answer  `json:"answers,omitempty"`
	Asked     []Asked   `json:"asked,omitempty"`      // elsewhere than in comments, and not heeded yet
	LastAsked *answer   `json:"last_asked,omitempty"` // what became of the last of these

	// What happened after.
	Ready   time.Time  `json:"ready,omitzero"` // since when only its turn and the backup keep it from being merged
	Backup  backup     `json:"backup,omitzero"`
	Merge   merge      `json:"merge,omitzero"`
	Moves   []pin.Move `json:"moves,omitempty"`    // what the edits changed, for the undo
	AppFrom string     `json:"app_from,omitempty"` // when a chart moves: the image tags
	AppTo   string     `json:"app_to,omitempty"`
	Health  string     `json:"health,omitempty"`

	Before  []string      `json:"before,omitempty"` // what was unhealthy before the merge
	Watched watch.Summary `json:"watched,omitzero"`
	Parts   []watch.Part  `json:"parts,omitempty"`  // what the watch saw last
	Traces  []Traced      `json:"traces,omitempty"` // every look of the watches, for people to see
	Gates   []string      `json:"gates,omitempty"`  // before the merge: all that are shut

	Updates []string      `json:"updates,omitempty"` // sentences about updates in place
	Failure failure       `json:"failure,omitzero"`
	Named   []string      `json:"named,omitempty"` // identifiers in the release notes
	Offer   *report.Offer `json:"offer,omitempty"` // what would mend the failure
	Undo    undo          `json:"undo,omitzero"`

	// What belay wrote on GitHub, and a hash of it.
	Comment int64           `json:"comment,omitempty"`
	Said    string          `json:"said,omitempty"`
	Checks  map[string]memo `json:"checks,omitempty"`
}

// target is a dispatch in the form in which it is stored.
type target struct {
	Image           string `json:"image,omitempty"`
	Chart           string `json:"chart,omitempty"`
	ChartRepository string `json:"chart_repository,omitempty"`
	Tag             string `json:"tag"`
	Digest          string `json:"digest,omitempty"`
	HubLink         string `json:"hub_link,omitempty"`
	Dispatch        string `json:"dispatch,omitempty"` // its id
	Run             string `json:"run,omitempty"`      // of the bulk run that it came with
}

func (t target) dispatch() (plan.Dispatch, error) {
	d := plan.Dispatch{Tag: t.Tag, Digest: t.Digest, HubLink: t.HubLink}
	if t.Chart != "" {
		d.Chart.Name, d.Chart.Repository = t.Chart, t.ChartRepository
		return d, nil
	}
	ref, err := image.Parse(t.Image)
	if err != nil {
		return d, err
	}
	d.Image = ref
	return d, nil
}

func targetOf(d plan.Dispatch, id string) target {
	t := target{Chart: d.Chart.Name, ChartRepository: d.Chart.Repository, Tag: d.Tag, Digest: d.Digest, HubLink: d.HubLink, Dispatch: id}
	if d.Chart.Name == "" {
		t.Image = d.Image.Name()
	}
	return t
}

// said is something that a person said.
type said struct {
	Login  string    `json:"login"`
	Reason string    `json:"reason,omitempty"`
	Head   string    `json:"head,omitempty"`
	At     time.Time `json:"at"`
	Before bool      `json:"before,omitempty"` // on the step before this one
}

// answer is belay's answer to a command.
type answer struct {
	Login   string `json:"login"`
	Command string `json:"command"`
	Text    string `json:"text"`
	OK      bool   `json:"ok"`
}

type backup struct {
	Key     string        `json:"key,omitempty"`
	Try     int           `json:"try,omitempty"`  // grows with every new backup of the upgrade
	Name    string        `json:"name,omitempty"` // of what was made in the cluster
	Config  policy.Backup `json:"config,omitzero"`
	Asked   time.Time     `json:"asked,omitzero"` // when belay began to want it
	Started time.Time     `json:"started,omitzero"`
	State   string        `json:"state,omitempty"`
	Detail  string        `json:"detail,omitempty"`
	Shared  bool          `json:"shared,omitempty"` // it was made for another upgrade
}

type merge struct {
	SHA      string    `json:"sha,omitempty"`
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Unbacked bool      `json:"unbacked,omitempty"` // merged by hand without the backup that is configured
}

// failure is why a merged upgrade is undone.
type failure struct {
	Why   string      `json:"why,omitempty"`
	Again string      `json:"again,omitempty"` // why what was done about it failed, too
	Cause watch.Cause `json:"cause,omitempty"`
	Log   string      `json:"log,omitempty"`  // the failing pod's last lines and events
	Last  string      `json:"last,omitempty"` // those of what was done about it
	At    time.Time   `json:"at,omitzero"`
	Blind bool        `json:"blind,omitempty"` // it is the word of a watch that did not know what was unhealthy before the merge
}

// undo is the pull request that takes an upgrade back, or mends it, and what
// people said of it.
type undo struct {
	Pull     int       `json:"pull,omitempty"`
	Fix      bool      `json:"fix,omitempty"` // it mends instead of undoing
	FixBy    *said     `json:"fix_by,omitempty"`
	Replaces int       `json:"replaces,omitempty"` // the revert's pull request that it stands in for
	Branch   string    `json:"branch,omitempty"`
	Head     string    `json:"head,omitempty"` // the commit that belay pushed last
	Pushed   time.Time `json:"pushed,omitzero"`
	Base     string    `json:"base,omitempty"` // the default branch's commit that was looked at last
	Edits    string    `json:"edits,omitempty"`
	Marker   string    `json:"marker,omitempty"`
	Title    string    `json:"title,omitempty"`
	Message  string    `json:"message,omitempty"`
	Clashes  []string  `json:"clashes,omitempty"` // places that others changed since
	Undone   bool      `json:"undone,omitempty"`  // the default branch has the old version again
	Redo     bool      `json:"redo,omitempty"`
	Merge    merge     `json:"merge,omitzero"`
	Approved *said     `json:"approved,omitempty"`

	Rollback *said   `json:"rollback,omitempty"` // somebody asked for it
	Restore  *said   `json:"restore,omitempty"`  // somebody asked for the data to be put back
	Refused  string  `json:"refused,omitempty"`  // why the data cannot be put back
	Resume   bool    `json:"resume,omitempty"`
	Data     restore `json:"data,omitzero"`

	Seen    int64  `json:"seen,omitempty"` // the last comment on it that was read
	Comment int64  `json:"comment,omitempty"`
	Said    string `json:"said,omitempty"`
}

// restore is how far the data is put back.
type restore struct {
	Key     string    `json:"key,omitempty"`
	Name    string    `json:"name,omitempty"`
	Started time.Time `json:"started,omitzero"`
	State   string    `json:"state,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Stopped bool      `json:"stopped,omitempty"` // the workload is scaled down
	Up      bool      `json:"up,omitempty"`      // and up again
}

// memo is what belay wrote into a check run.
type memo struct {
	ID   int64  `json:"id"`
	Head string `json:"head"`
	Hash string `json:"hash"`
}

// maxAnswers is how many answers the status comment shows.
const maxAnswers = 8

func (rec *record) answer(a answer) {
	rec.Answers = append(rec.Answers, a)
	if len(rec.Answers) > maxAnswers {
		rec.Answers = rec.Answers[len(rec.Answers)-maxAnswers:]
	}
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// mirrorName is the directory of a repository's mirror: "acme/home-ops" gives
// "acme+home-ops.git". GitHub's names hold neither "+" nor separators.
func mirrorName(repository string) string {
	return strings.ReplaceAll(strings.ToLower(repository), "/", "+") + ".git"
}
