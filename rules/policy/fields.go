package policy

import "github.com/belaybot/belay/rules/version"

// kind says what a key of belay.yml holds.
type kind string

const (
	kindObject   kind = "object" // fixed keys
	kindMap      kind = "map"    // free keys, all of one kind
	kindList     kind = "list"
	kindString   kind = "string"
	kindInt      kind = "integer"
	kindBool     kind = "boolean"
	kindDuration kind = "duration"
	kindRegexp   kind = "regular expression"
	kindGlob     kind = "glob"
	kindZone     kind = "time zone"
	kindWindows  kind = "schedule"
	kindRepo     kind = "owner/repository"
	kindObjName  kind = "namespace/name"
	kindWorkload kind = "namespace/kind/name"
	kindNumber   kind = "number"
	kindURL      kind = "URL"
	kindSlug     kind = "slug"
)

// key is one key of belay.yml. The tree of keys below is the only place where
// the configuration's form is written down: decoding, the JSON Schema, the
// reference document and the hints for misspelt keys are all made from it.
type key struct {
	name    string
	doc     string
	kind    kind
	keys    []*key   // of an object
	elem    *key     // of a map or a list
	enum    []string // allowed strings
	or      *key     // a second form
	def     string   // default, as shown to people
	example string
}

// form is belay.yml. See SPEC section 14.
var form = &key{kind: kindObject, doc: "Configuration of belay, read from .github/belay.yml on the default branch. Every key is optional.", keys: []*key{
	{name: "services", doc: "Where services are.", kind: kindObject, keys: []*key{
		{name: "roots", doc: "Directories that are one service each. Without it, every root module is a service.", kind: kindList, elem: &key{kind: kindGlob}, def: "every root module", example: `["stacks/*"]`},
		{name: "ignore", doc: "Services (by name) or directories that belay leaves alone.", kind: kindList, elem: &key{kind: kindGlob}, def: "none", example: `["legacy", "stacks/old-*"]`},
	}},
	{name: "dispatch", doc: "Which dispatches are taken.", kind: kindObject, keys: []*key{
		{name: "event", doc: "The event_type of repository_dispatch that is a dispatch.", kind: kindString, def: "diun"},
		{name: "statuses", doc: "DIUN's statuses that ask for something.", kind: kindList, elem: &key{kind: kindString, enum: []string{"new", "update", "unchange", "skip", "error"}}, def: "[new, update]"},
		{name: "skip", doc: "Globs on image names that are skipped, added to the built-in ones; \"!pattern\" takes a match back.", kind: kindList, elem: &key{kind: kindGlob}, def: "the built-in list", example: `["me/*", "!acme/mysql-ui"]`},
		{name: "limit", doc: "How many upgrades may start in a window; the rest waits.", kind: kindObject, keys: []*key{
			{name: "upgrades", doc: "Upgrades per window.", kind: kindInt, def: "5"},
			{name: "window", doc: "The window, which opens with its first upgrade.", kind: kindDuration, def: "6h"},
			{name: "service", doc: "Upgrades of any one service per window; the later steps of a ladder are not counted.", kind: kindInt, def: "no limit of its own"},
			{name: "services", doc: "The same for services by name.", kind: kindMap, elem: &key{kind: kindInt}, example: "{immich: 1}"},
		}},
	}},
	{name: "scan", doc: "Newer tags without DIUN: belay itself asks the registries.", kind: kindObject, keys: []*key{
		{name: "every", doc: "How often the registries are asked for the newest tag of every pin, 10m at least. Example: 6h.", kind: kindDuration, def: "never"},
	}},
	{name: "sources", doc: "The GitHub repository of an image, where it is not found by itself.", kind: kindMap, elem: &key{kind: kindRepo}, def: "the built-in table", example: "{ghcr.io/immich-app/immich-server: immich-app/immich}"},
	{name: "charts", doc: "The GitHub repository of a chart repository.", kind: kindMap, elem: &key{kind: kindRepo}, def: "the built-in table", example: `{"https://charts.goauthentik.io/": goauthentik/authentik}`},
	{name: "risk", doc: "How upgrades are judged.", kind: kindObject, keys: []*key{
		{name: "keywords", doc: "Words that make a line of release notes a signal, in any case and inflection. Replaces the built-in ones.", kind: kindList, elem: &key{kind: kindString}, def: "the built-in list"},
		{name: "always_step", doc: "Services that always go up step by step, with a review of each step.", kind: kindList, elem: &key{kind: kindString}, def: "none", example: "[authentik, nextcloud, immich]"},
		{name: "automerge", doc: "Risks that are merged without a person. CAUTION never is.", kind: kindList, elem: &key{kind: kindString, enum: []string{"safe", "unknown"}}, def: "[safe]"},
		{name: "strict", doc: "Weak signals count as CAUTION.", kind: kindBool, def: "true"},
		{name: "zero_major", doc: "0.x to 0.y is a major bump.", kind: kindBool, def: "true"},
		{name: "security_first", doc: "Upgrades that fix a CVE or GHSA may pass the rate limit.", kind: kindBool, def: "false"},
	}},
	{name: "steps", doc: "Which versions between are steps of a CAUTION upgrade, each with a pull request of its own: each release, the last patch of every minor, the last release of every major, or none.", kind: kindString, enum: steps, def: "every",
		or: &key{kind: kindObject, doc: "By service.", keys: []*key{
			{name: "default", doc: "For services not named.", kind: kindString, enum: steps, def: "every"},
			{name: "services", doc: "By service.", kind: kindMap, elem: &key{kind: kindString, enum: steps}},
		}}},
	{name: "databases", doc: "Services with data to save before a merge, and how.", kind: kindMap, def: "none", example: "{linkwarden: {backup: postgresql}}",
		elem: &key{kind: kindObject, keys: []*key{
			{name: "backup", doc: "The name of an entry of backups, or a backup written here.", kind: kindString, or: backupForm},
		}}},
	{name: "backups", doc: "Ways of taking a backup, by name.", kind: kindMap, def: "none", elem: backupForm, example: `{postgresql: {cronjob: dbaas/postgresql-backup, timeout: 5m}}`},
	{name: "apply", doc: "How CI brings a merge to the cluster.", kind: kindObject, keys: []*key{
		{name: "checks", doc: "Names of the check runs or commit statuses that apply. Others do not count.", kind: kindList, elem: &key{kind: kindString}, def: "none: the watch begins with the merge", example: "[ci/woodpecker/push/default]"},
		{name: "timeout", doc: "How long CI may take.", kind: kindDuration, def: "15m"},
		{name: "woodpecker", doc: "Asks Woodpecker's API in place of GitHub; {} is enough. Its address and token are given to the server, not here.", kind: kindObject, keys: []*key{
			{name: "repository", doc: "The repository's full name in Woodpecker. apply.checks then name workflows.", kind: kindRepo, def: "the same as on GitHub", example: "acme/home-ops"},
		}},
	}},
	{name: "verify", doc: "The health watch after the apply.", kind: kindObject, keys: []*key{
		{name: "safe", doc: "Window for SAFE upgrades.", kind: kindDuration, def: "2m"},
		{name: "caution", doc: "Window for CAUTION upgrades.", kind: kindDuration, def: "10m"},
		{name: "unknown", doc: "Window for UNKNOWN upgrades.", kind: kindDuration, def: "2m"},
		{name: "interval", doc: "Time between two looks, 1m at most.", kind: kindDuration, def: "15s"},
		{name: "extend", doc: "How far a window is extended at most while something that is to be looked at is out of reach, or after trouble.", kind: kindDuration, def: "10m"},
		{name: "rollout", doc: "How long pods of the new version may take to become Ready.", kind: kindDuration, def: "10m"},
		{name: "settle", doc: "How long a service may take to come up where its roll-out cannot be seen, and how long pods that were Ready may be not.", kind: kindDuration, def: "2m"},
		{name: "workloads", doc: "What runs in the cluster, by service, where it is not found by the Terraform addresses or the image.", kind: kindMap, elem: &key{kind: kindList, elem: &key{kind: kindWorkload}}, example: `{linkwarden: [links/deployment/web]}`},
		{name: "http", doc: "HTTP checks.", kind: kindObject, keys: []*key{
			{name: "retries", doc: "Failures in a row that count as one.", kind: kindInt, def: "3"},
			{name: "urls", doc: "Addresses to look at, by service.", kind: kindMap, elem: &key{kind: kindList, elem: &key{kind: kindURL}}, example: `{linkwarden: ["https://links.example.org"]}`},
		}},
		{name: "kuma", doc: "Uptime Kuma. Its address and API key are given to the server, not here.", kind: kindObject, keys: []*key{
			{name: "monitors", doc: "Names of monitors by service, where they are not the service's.", kind: kindMap, elem: &key{kind: kindString}, example: `{linkwarden: Links}`},
			{name: "status_page", doc: "Slug of a status page to read instead of the metrics: needs no API key.", kind: kindSlug, def: "the metrics", example: "home"},
			{name: "beat", doc: "How long a monitor has to stay down. More than two heartbeat intervals of the monitors.", kind: kindDuration, def: "2m30s"},
		}},
		{name: "prometheus", doc: "Prometheus. Its address is given to the server, not here.", kind: kindObject, keys: []*key{
			{name: "queries", doc: "Queries by service, each with a bound that every value has to keep: below, above or both. Ranges in them should be shorter than the window.", kind: kindMap, elem: &key{kind: kindList, elem: queryForm},
				example: `{linkwarden: [{query: 'sum(rate(http_errors{app="links"}[1m]))', below: 0.1}]}`},
		}},
	}},
	{name: "revert", doc: "What happens when the watch fails.", kind: kindObject, keys: []*key{
		{name: "automerge", doc: "Merge the revert without a person.", kind: kindBool, def: "true"},
		{name: "on_migration", doc: "When data may have been migrated: wait for a review, or restore the backup with the revert.", kind: kindString, enum: []string{"review", "restore"}, def: "review"},
	}},
	{name: "schedule", doc: "When belay may act.", kind: kindObject, keys: []*key{
		{name: "timezone", doc: "Time zone of the windows.", kind: kindZone, def: "UTC", example: "Europe/Sofia"},
		{name: "merge", doc: "Windows in which belay merges.", kind: kindWindows, def: "always", example: `"Mon-Fri 09:00-17:00"`},
		{name: "open", doc: "Windows in which belay opens pull requests.", kind: kindWindows, def: "always"},
	}},
	{name: "dashboard", doc: "Where the repository's upgrades are shown on GitHub.", kind: kindObject, keys: []*key{
		{name: "issue", doc: "Keep one issue, \"belay dashboard\", with all upgrades and boxes to act on them.", kind: kindBool, def: "true"},
	}},
	{name: "adviser", doc: "What the adviser, a language model, is asked about, where the server has a key for one. It may only raise the risk.", kind: kindObject, keys: []*key{
		{name: "enabled", doc: "Whether it is asked at all.", kind: kindBool, def: "true"},
		{name: "ignore", doc: "Services (by name) or directories that it is not asked about.", kind: kindList, elem: &key{kind: kindGlob}, def: "none", example: `["vaultwarden", "stacks/private-*"]`},
		{name: "settings", doc: "Whether the names of a service's settings are sent with the notes. Values never are.", kind: kindBool, def: "true"},
	}},
}}

var steps = []string{string(version.StepsEvery), string(version.StepsMinor), string(version.StepsMajor), string(version.StepsDirect)}

var backupForm = &key{kind: kindObject, doc: "One of cronjob, volumesnapshot, velero, job and none says how the backup is taken.", keys: []*key{
	{name: string(BackupCronJob), doc: "CronJob from which a Job is made.", kind: kindObjName, example: "dbaas/postgresql-backup"},
	{name: string(BackupVolumeSnapshot), doc: "PersistentVolumeClaim of which a snapshot is taken.", kind: kindObjName, example: "open-webui/data"},
	{name: string(BackupVelero), doc: "Velero schedule from which a Backup is made.", kind: kindObjName, example: "velero/daily"},
	{name: string(BackupJob), doc: "Path of a Job manifest in the repository.", kind: kindString, example: "backups/shlink.yaml"},
	{name: string(BackupNone), doc: "Nothing is backed up, for this reason.", kind: kindString, example: "keeps no state"},
	{name: "timeout", doc: "How long the backup may take.", kind: kindDuration, def: "5m"},
	{name: "max_age", doc: "How old a backup shared by several services may be.", kind: kindDuration, def: "1h"},
	{name: "expect", doc: "What the log has to match.", kind: kindRegexp, example: "dump complete"},
	{name: "reject", doc: "What the log must not match.", kind: kindRegexp},
	restoreForm,
}}

var restoreForm = &key{name: "restore", doc: "How the backup is put back: one of cronjob, volumesnapshot and job.", kind: kindObject, keys: []*key{
	{name: string(BackupCronJob), doc: "CronJob from which a Job is made.", kind: kindObjName, example: "dbaas/postgresql-restore"},
	{name: string(BackupVolumeSnapshot), doc: "PersistentVolumeClaim that is made anew from the snapshot; the volume it had is kept. The same as the backup's.", kind: kindObjName, example: "open-webui/data"},
	{name: string(BackupJob), doc: "Path of a Job manifest in the repository.", kind: kindString},
}}

var queryForm = &key{kind: kindObject, doc: "A query with its bound.", keys: []*key{
	{name: "query", doc: "PromQL that gives a number or an instant vector.", kind: kindString},
	{name: "below", doc: "Healthy while every value is below.", kind: kindNumber},
	{name: "above", doc: "Healthy while every value is above.", kind: kindNumber},
}}

func (k *key) child(name string) *key {
	for _, c := range k.keys {
		if c.name == name {
			return c
		}
	}
	return nil
}
