package policy

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/bmatcuk/doublestar/v4"
	"go.yaml.in/yaml/v3"

	"github.com/belaybot/belay/rules/version"
)

// maxConfig is the largest configuration in bytes that is read.
const maxConfig = 1 << 20

// PositionError is a problem of a configuration with its place.
type PositionError struct {
	File         string
	Line, Column int // from 1; 0 when the file as a whole is meant
	Text         string
}

// Error is "belay.yml:3:5: unknown key …".
func (e *PositionError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// Parse reads belay.yml. name is used in errors ("belay.yml:3:5: …"). The
// error joins a *PositionError for every problem found.
func Parse(name string, data []byte) (Policy, error) {
	p := Default()
	if len(data) > maxConfig {
		return p, &PositionError{File: name, Text: fmt.Sprintf("larger than %d bytes", maxConfig)}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return p, nil // empty, or comments only
	} else if err != nil {
		return p, syntaxError(name, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return p, &PositionError{File: name, Text: "more than one YAML document: keep one"}
	}
	r := &reader{file: name, policy: &p}
	if root := doc.Content[0]; root.Tag != "!!null" {
		r.check(root, form, "")
		if len(r.errs) == 0 {
			r.decode(root)
		}
	}
	return p, errors.Join(r.errs...)
}

// yamlLine finds the line in yaml.v3's messages: "yaml: line 3: did not find expected key".
var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func syntaxError(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &PositionError{File: name, Text: "not YAML: " + text}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Column, e.Text = 1, "not YAML: "+m[2]
	}
	if strings.Contains(text, "cannot start any token") {
		e.Text += " (indent with spaces, not tabs)"
	}
	return e
}

// reader checks a document against the form and then decodes it.
type reader struct {
	file   string
	policy *Policy
	errs   []error
	nodes  int
}

// maxNodes bounds what aliases can expand to.
const maxNodes = 50_000

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	if len(r.errs) < 50 { // nobody reads more, and a broken file makes thousands
		r.errs = append(r.errs, &PositionError{File: r.file, Line: n.Line, Column: n.Column, Text: fmt.Sprintf(format, args...)})
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	for range 10 {
		if n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return n
}

// check compares a node with what a key may hold.
func (r *reader) check(n *yaml.Node, k *key, at string) {
	n = resolve(n)
	if r.nodes++; r.nodes == maxNodes {
		r.fail(n, "more than %d values: aliases that expand too far", maxNodes)
	}
	if r.nodes >= maxNodes {
		return
	}
	if k.or != nil && (n.Kind == yaml.MappingNode) == (k.or.kind == kindObject) {
		r.check(n, k.or, at)
		return
	}
	switch k.kind {
	case kindObject, kindMap:
		r.checkMapping(n, k, at)
	case kindList:
		if n.Tag == "!!null" {
			return // as in checkMapping
		}
		if n.Kind != yaml.SequenceNode {
			r.fail(n, "%s: a list is expected, such as [%s]", at, plain(n))
			return
		}
		for i, e := range n.Content {
			r.check(e, k.elem, fmt.Sprintf("%s[%d]", at, i))
		}
	default:
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			r.fail(n, "%s: a %s is expected", at, k.kind)
			return
		}
		if text := scalar(n, k); text != "" {
			r.fail(n, "%s: %s", at, text)
		}
	}
}

func plain(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		return n.Value
	}
	return "…"
}

func (r *reader) checkMapping(n *yaml.Node, k *key, at string) {
	if n.Kind != yaml.MappingNode {
		if n.Tag == "!!null" {
			return // a key without a value is a key left at its default
		}
		r.fail(n, "%s keys are expected here", strings.TrimPrefix(at+":", ":"))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, val := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(at+"."+name.Value, ".")
		if seen[name.Value] {
			r.fail(name, "key %q stands twice", path)
			continue
		}
		seen[name.Value] = true
		if k.kind == kindMap {
			r.check(val, k.elem, path)
			continue
		}
		child := k.child(name.Value)
		if child == nil {
			r.fail(name, "unknown key %q%s", path, nearest(name.Value, k.keys))
			continue
		}
		r.check(val, child, path)
	}
	switch k {
	case backupForm:
		r.checkBackup(n, seen, at)
	case queryForm:
		r.checkQuery(n, seen, at)
	case restoreForm:
		if count(seen, restoreKinds) != 1 {
			r.fail(n, "%s: one of cronjob, volumesnapshot and job is needed", at)
		}
	}
}

func (r *reader) checkBackup(n *yaml.Node, seen map[string]bool, at string) {
	var kinds []string
	for _, kind := range backupKinds {
		if seen[string(kind)] {
			kinds = append(kinds, string(kind))
		}
	}
	switch len(kinds) {
	case 0:
		r.fail(n, "%s: one of cronjob, volumesnapshot, velero, job or none is needed", at)
	case 1:
	default:
		r.fail(n, "%s: %s exclude each other: keep one", at, strings.Join(kinds, " and "))
	}
	// A snapshot is put back where it was taken.
	if b := backup(n); b.Restore != nil && b.Restore.Kind == BackupVolumeSnapshot {
		switch {
		case b.Kind != BackupVolumeSnapshot:
			r.fail(n, "%s.restore.volumesnapshot: the backup is no volumesnapshot, so there is none to put back", at)
		case b.Restore.Target != b.Target:
			r.fail(n, "%s.restore.volumesnapshot: %q is not the claim of the backup, %q", at, b.Restore.Target, b.Target)
		}
	}
}

// restoreKinds are the ways of putting a backup back.
var restoreKinds = []BackupKind{BackupCronJob, BackupVolumeSnapshot, BackupJob}

func count(seen map[string]bool, kinds []BackupKind) int {
	n := 0
	for _, kind := range kinds {
		if seen[string(kind)] {
			n++
		}
	}
	return n
}

var backupKinds = []BackupKind{BackupCronJob, BackupVolumeSnapshot, BackupVelero, BackupJob, BackupNone}

// nearest suggests the key that was probably meant, or lists those there are.
func nearest(name string, keys []*key) string {
	best, distance := "", 3
	var all []string
	for _, k := range keys {
		all = append(all, k.name)
		if d := levenshtein.Distance(strings.ToLower(name), k.name, nil); d < distance || d == distance && best == "" && len(k.name) > 5 {
			best, distance = k.name, d
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %q?", best)
	}
	return ": there are " + strings.Join(all, ", ")
}

var (
	// repoForm matches "immich-app/immich"; not "immich" or "https://github.com/a/b".
	repoForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/[A-Za-z0-9._-]+$`)
	// objectForm matches "dbaas/postgresql-backup"; not "backup" or "a/b/c".
	objectForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$`)
)

// scalar says what is wrong with a scalar for its key, or "".
func scalar(n *yaml.Node, k *key) string {
	v := n.Value
	if len(k.enum) > 0 && !slices.Contains(k.enum, v) {
		return fmt.Sprintf("%q is none of %s", v, strings.Join(k.enum, ", "))
	}
	switch k.kind {
	case kindInt:
		if i, err := strconv.Atoi(v); err != nil || i < 1 {
			return fmt.Sprintf("%q is not a whole number above 0", v)
		}
	case kindBool:
		if v != "true" && v != "false" {
			return fmt.Sprintf("%q is neither true nor false", v)
		}
	case kindDuration:
		if _, err := parseDuration(v); err != nil {
			return fmt.Sprintf("%q is not a duration: write 30s, 15m, 6h or 2d", v)
		}
	case kindRegexp:
		if _, err := regexp.Compile(v); err != nil {
			return fmt.Sprintf("%q is not a regular expression: %v", v, err)
		}
	case kindGlob:
		if !doublestar.ValidatePattern(strings.TrimPrefix(v, "!")) || strings.TrimPrefix(v, "!") == "" {
			return fmt.Sprintf("%q is not a glob", v)
		}
	case kindZone:
		if _, err := time.LoadLocation(v); err != nil || v == "" || v == "Local" {
			return fmt.Sprintf("%q is not a time zone: write one such as Europe/Sofia", v)
		}
	case kindWindows:
		if strings.TrimSpace(v) == "" {
			return "is empty: leave the key out for always; belay freeze is for never"
		}
		if _, err := ParseWindows(v); err != nil {
			return err.Error()
		}
	case kindRepo:
		if !repoForm.MatchString(v) {
			return fmt.Sprintf("%q is not a GitHub repository: write owner/repository", v)
		}
	case kindObjName:
		if !objectForm.MatchString(v) {
			return fmt.Sprintf("%q is not an object: write namespace/name", v)
		}
	case kindString:
		if strings.TrimSpace(v) == "" {
			return "is empty"
		}
	case kindNumber, kindWorkload, kindURL, kindSlug:
		return watchScalar(v, k.kind)
	case kindObject, kindMap, kindList:
	}
	return ""
}

// parseDuration reads Go's durations and days: "15m", "6h", "2d", "1d12h". Zero
// and negative ones are none.
func parseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	var d time.Duration
	if ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", s, err)
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		rest = s
	}
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil {
			return 0, err
		}
		d += more
	}
	if d <= 0 {
		return 0, fmt.Errorf("%q: not above zero", s)
	}
	return d, nil
}

// at finds a value by its path of keys, nil when it is absent or null.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		if n = resolve(n); n.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				next = n.Content[i+1]
			}
		}
		if next == nil {
			return nil
		}
		n = next
	}
	if n = resolve(n); n.Tag == "!!null" {
		return nil
	}
	return n
}

// take sets what a value of the document overrides.
func take[T any](root *yaml.Node, into *T, read func(*yaml.Node) T, path ...string) {
	if n := at(root, path...); n != nil {
		*into = read(n)
	}
}

func str(n *yaml.Node) string { return resolve(n).Value }

func boolean(n *yaml.Node) bool { return str(n) == "true" }

func integer(n *yaml.Node) int { i, _ := strconv.Atoi(str(n)); return i }

func duration(n *yaml.Node) time.Duration { d, _ := parseDuration(str(n)); return d }

func list(n *yaml.Node) []string {
	out := []string{}
	for _, e := range resolve(n).Content {
		out = append(out, str(e))
	}
	return out
}

// entries calls f for every key of a mapping.
func entries(n *yaml.Node, f func(name string, val *yaml.Node)) {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i].Value, n.Content[i+1])
	}
}

// decode fills the policy from a document that check has passed.
func (r *reader) decode(root *yaml.Node) {
	p := r.policy
	take(root, &p.Services.Roots, list, "services", "roots")
	take(root, &p.Services.Ignore, list, "services", "ignore")
	take(root, &p.Dispatch.Event, str, "dispatch", "event")
	take(root, &p.Dispatch.Statuses, list, "dispatch", "statuses")
	if n := at(root, "dispatch", "skip"); n != nil {
		p.Dispatch.Skip = append(p.Dispatch.Skip, list(n)...)
	}
	take(root, &p.Dispatch.Limit.Upgrades, integer, "dispatch", "limit", "upgrades")
	take(root, &p.Dispatch.Limit.Window, duration, "dispatch", "limit", "window")
	take(root, &p.Dispatch.Limit.Service, integer, "dispatch", "limit", "service")
	if n := at(root, "dispatch", "limit", "services"); n != nil {
		entries(n, func(name string, val *yaml.Node) { p.Dispatch.Limit.Services[name] = integer(val) })
	}
	r.scan(at(root, "scan", "every"))
	if n := at(root, "sources"); n != nil {
		entries(n, func(name string, val *yaml.Node) { r.source(name, val) })
	}
	if n := at(root, "charts"); n != nil {
		entries(n, func(name string, val *yaml.Node) { p.Charts[name] = str(val) })
	}
	take(root, &p.Risk.Keywords, list, "risk", "keywords")
	take(root, &p.Risk.AlwaysStep, list, "risk", "always_step")
	take(root, &p.Risk.Automerge, list, "risk", "automerge")
	take(root, &p.Risk.Strict, boolean, "risk", "strict")
	take(root, &p.Risk.ZeroMajor, boolean, "risk", "zero_major")
	take(root, &p.Risk.SecurityFirst, boolean, "risk", "security_first")
	r.steps(at(root, "steps"))
	r.backups(root)
	r.watch(root)
	take(root, &p.Revert.Automerge, boolean, "revert", "automerge")
	take(root, &p.Revert.OnMigration, str, "revert", "on_migration")
	take(root, &p.Schedule.Timezone, str, "schedule", "timezone")
	take(root, &p.Schedule.Merge, str, "schedule", "merge")
	take(root, &p.Schedule.Open, str, "schedule", "open")
	take(root, &p.Dashboard.Issue, boolean, "dashboard", "issue")
	take(root, &p.Adviser.Enabled, boolean, "adviser", "enabled")
	take(root, &p.Adviser.Ignore, list, "adviser", "ignore")
	take(root, &p.Adviser.Settings, boolean, "adviser", "settings")
}

// MinScan is how often registries are asked at most: they count requests.
const MinScan = 10 * time.Minute

func (r *reader) scan(n *yaml.Node) {
	if n == nil {
		return
	}
	if r.policy.Scan.Every = duration(n); r.policy.Scan.Every < MinScan {
		r.fail(n, "scan.every: %q is too often for the registries: 10m at least", n.Value)
	}
}

func (r *reader) steps(n *yaml.Node) {
	step := func(n *yaml.Node) version.Steps { return version.Steps(str(n)) }
	if n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode {
		r.policy.Steps = step(n)
		return
	}
	take(n, &r.policy.Steps, step, "default")
	if s := at(n, "services"); s != nil {
		entries(s, func(name string, val *yaml.Node) { r.policy.StepsFor[name] = step(val) })
	}
}

func (r *reader) backups(root *yaml.Node) {
	if n := at(root, "backups"); n != nil {
		entries(n, func(name string, val *yaml.Node) { r.policy.Backups[name] = backup(val) })
	}
	n := at(root, "databases")
	if n == nil {
		return
	}
	entries(n, func(service string, val *yaml.Node) {
		way := at(val, "backup")
		switch {
		case way == nil:
			r.fail(val, "databases.%s: backup is missing: name an entry of backups, or write one here", service)
		case way.Kind == yaml.MappingNode:
			b := backup(way)
			r.policy.Databases[service] = Database{Inline: &b}
		default:
			if _, ok := r.policy.Backups[way.Value]; !ok {
				r.fail(way, "databases.%s.backup: there is no %q in backups%s", service, way.Value, names(r.policy.Backups))
			}
			r.policy.Databases[service] = Database{Backup: way.Value}
		}
	})
}

func names(m map[string]Backup) string {
	if len(m) == 0 {
		return ", which is empty"
	}
	return ": there are " + strings.Join(sorted(m), ", ")
}

func backup(n *yaml.Node) Backup {
	b := Backup{Timeout: DefaultBackupTimeout, MaxAge: DefaultBackupMaxAge}
	for _, kind := range backupKinds {
		if t := at(n, string(kind)); t != nil {
			b.Kind, b.Target = kind, t.Value
		}
	}
	take(n, &b.Timeout, duration, "timeout")
	take(n, &b.MaxAge, duration, "max_age")
	take(n, &b.Expect, str, "expect")
	take(n, &b.Reject, str, "reject")
	if restore := at(n, "restore"); restore != nil {
		for _, kind := range restoreKinds {
			if t := at(restore, string(kind)); t != nil {
				b.Restore = &Restore{Kind: kind, Target: t.Value}
			}
		}
	}
	return b
}
