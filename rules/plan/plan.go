// Package plan decides what a dispatch asks for: which pins move, which stay
// and why, grouped into one upgrade per service.
//
// In go a dispatch, the repository's pins and the policy; out comes Plan. It
// reads nothing and writes nothing; bot/planner observes and bot/report shows.
// See SPEC sections 3 to 8.
package plan

import (
	"github.com/belaybot/belay/rules/advice"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
)

// Dispatch is one message "image X has tag Y". See SPEC section 3.
type Dispatch struct {
	Image    image.Ref // the name; Tag and Digest are in the fields below
	Chart    pin.Chart // set instead of Image when a chart has a new version
	Tag      string
	Digest   string // "sha256:…" or ""
	Status   string // DIUN's: new, update, unchange, skip, error
	Provider string // DIUN's: kubernetes, docker, …
	HubLink  string // DIUN's link to the image's page
}

// Plan is what a dispatch asks for on one revision of a repository.
type Plan struct {
	Dispatch Dispatch
	Upgrades []Upgrade
	Skipped  []Skipped
}

// Upgrade is one service going from one version to another.
type Upgrade struct {
	Service            string
	Directory          string
	Also               []string // services that move along, since their version is written in the same place
	Images             []string // familiar names of the images that move, the dispatched one first
	Chart              string   // name of the chart when a chart version moves
	From, To           string   // versions as pinned: tags, or chart versions
	AppFrom            string   // when a chart moves: the image tag before and after, else ""
	AppTo              string
	Source             string // "owner/repository" of the notes, or ""
	SourceURL          string // "https://github.com/owner/repository"
	CompareURL         string // between the two versions, or ""
	Risk               risk.Assessment
	Releases           []notes.Release // between, oldest first
	NotesFrom          string          // where the notes come from: "GitHub releases", "CHANGELOG.md", "" for none
	Steps              []string        // the way, the last being To
	Ladder             *ladder.Ladder  // the whole ladder when the upgrade is a step of one, else nil
	Automerge          bool            // may be merged without a person, as far as rules go
	Blockers           []string        // why not, in words
	Backup             *Backup         // nil: no database configured
	IgnoredByTerraform bool            // lifecycle.ignore_changes: the merge changes nothing in the cluster
	Verify             Watch
	Edits              []pin.Edit
	Moves              []pin.Move // what the edits change, for the undo
	Warnings           []string
	Advice             advice.Outcome // of the adviser, where one was asked
}

// Backup is the backup before the merge, as planned.
type Backup struct {
	Kind policy.BackupKind
	Name string // "dbaas/postgresql-backup"; the reason for kind none
}

// Watch is the verification after the apply, as planned.
type Watch struct {
	Window  string   // "2m0s"
	Targets []string // "deployment linkwarden/linkwarden", "https://links.example.org"
}

// Skipped is a pin that stays, with the reason.
type Skipped struct {
	Service string
	Path    string
	Line    int
	Reason  string
}
