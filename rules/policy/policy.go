// Package policy is belay.yml: its types, defaults, validation with positions,
// JSON Schema, and the import of the older upgrade-config.json.
//
// In go bytes; out come a complete Policy (defaults filled in) or errors that
// name line, column and the nearest valid key. It reads no file and no secret.
// See SPEC section 14.
package policy

import (
	"time"

	"github.com/belaybot/belay/rules/version"
)

// Policy is the whole configuration with defaults filled in.
type Policy struct {
	Services  Services
	Dispatch  Dispatch
	Scan      Scan
	Sources   map[string]string // as configured: image name → "owner/repository" on GitHub
	Charts    map[string]string // as configured: chart repository URL → "owner/repository" on GitHub
	Risk      Risk
	Steps     version.Steps
	StepsFor  map[string]version.Steps // by service
	Databases map[string]Database      // by service
	Backups   map[string]Backup        // by name
	Apply     Apply
	Verify    Verify
	Revert    Revert
	Schedule  Schedule
	Dashboard Dashboard
	Adviser   Adviser
}

// Dashboard says where the repository's upgrades are shown on GitHub.
type Dashboard struct {
	Issue bool // in one issue of the repository
}

// Services says where services are.
type Services struct {
	Roots  []string // globs of directories, "stacks/*"; empty: every root module
	Ignore []string // service names or directory globs that belay leaves alone
}

// Dispatch says which dispatches are taken.
type Dispatch struct {
	Event    string   // event_type of repository_dispatch
	Statuses []string // DIUN statuses that ask for something
	Skip     []string // globs on image names, in order, "!p" re-includes; the built-in ones first
	Limit    Limit
}

// Limit is the rate limit of upgrades started.
type Limit struct {
	Upgrades int           // of a repository
	Window   time.Duration // opens with the first upgrade
	Service  int           // of any one service; 0: no limit of its own
	Services map[string]int
}

// Of is the limit of one service, 0 for none of its own.
func (l Limit) Of(service string) int {
	if n, ok := l.Services[service]; ok {
		return n
	}
	return l.Service
}

// Scan says how often registries are asked for newer tags.
type Scan struct {
	Every time.Duration // 0: never
}

// Risk says how upgrades are judged.
type Risk struct {
	Keywords      []string
	AlwaysStep    []string // services
	Automerge     []string // risk levels merged without a person: "safe", "unknown"
	Strict        bool     // weak signals count as CAUTION
	ZeroMajor     bool     // 0.x → 0.y is a major bump
	SecurityFirst bool     // security fixes may pass the rate limit
}

// Database says how a service's data is saved before a merge.
type Database struct {
	Backup string  // name of an entry of Policy.Backups, or "" when Inline is set
	Inline *Backup // written in place
}

// BackupKind is the way a backup is taken.
type BackupKind string

// The kinds of SPEC section 10.
const (
	BackupCronJob        BackupKind = "cronjob"
	BackupVolumeSnapshot BackupKind = "volumesnapshot"
	BackupVelero         BackupKind = "velero"
	BackupJob            BackupKind = "job"
	BackupNone           BackupKind = "none"
)

// Backup is one way of taking a backup.
type Backup struct {
	Kind    BackupKind
	Target  string // "namespace/name" of the CronJob, claim or schedule; path of the manifest; the reason for none
	Timeout time.Duration
	MaxAge  time.Duration // how old a shared backup may be
	Expect  string        // regular expression that the log has to match
	Reject  string        // regular expression that the log must not match
	Restore *Restore      // how to put it back
}

// Restore puts a backup back.
type Restore struct {
	Kind   BackupKind // cronjob, job or volumesnapshot
	Target string     // as Backup.Target; of a volumesnapshot, the claim
}

// Revert says what happens when the watch fails.
type Revert struct {
	Automerge   bool
	OnMigration string // "review" or "restore"
}

// Adviser says what a language model is asked, where the operator has given belay one.
type Adviser struct {
	Enabled  bool
	Ignore   []string // service names or directory globs that it is not asked about
	Settings bool     // names of the service's settings are sent
}

// Schedule says when belay may act.
type Schedule struct {
	Timezone string
	Merge    string // "Mon-Fri 09:00-17:00"; "" is always
	Open     string
}
