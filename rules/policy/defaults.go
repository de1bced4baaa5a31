package policy

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"go.yaml.in/yaml/v3"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/version"
)

// What a backup has unless it says otherwise. See SPEC section 10.
const (
	DefaultBackupTimeout = 5 * time.Minute
	DefaultBackupMaxAge  = time.Hour
)

// builtinSkip are databases, whose upgrades are migrations of their own, and
// what the cluster itself stands on. See SPEC section 3.
var builtinSkip = []string{"*postgres*", "*mysql*", "*mariadb*", "*redis*", "*clickhouse*", "*etcd*",
	"registry.k8s.io/*", "quay.io/tigera/*", "quay.io/metallb/*", "nvcr.io/*", "reg.kyverno.io/*"}

// builtinKeywords are those of SPEC section 7.
var builtinKeywords = []string{"breaking", "migration required", "schema change", "database migration", "manual intervention",
	"action required", "removed", "deprecated", "renamed", "incompatible"}

// Default is the configuration of a repository without belay.yml.
func Default() Policy {
	return Policy{
		Dispatch: Dispatch{Event: "diun", Statuses: []string{"new", "update"}, Skip: slices.Clone(builtinSkip), Limit: Limit{Upgrades: 5, Window: 6 * time.Hour, Services: map[string]int{}}},
		Sources:  map[string]string{},
		Charts:   map[string]string{},
		Risk:     Risk{Keywords: slices.Clone(builtinKeywords), Automerge: []string{"safe"}, Strict: true, ZeroMajor: true},
		Steps:    version.StepsEvery, StepsFor: map[string]version.Steps{},
		Databases: map[string]Database{}, Backups: map[string]Backup{},
		Apply: Apply{Timeout: 15 * time.Minute},
		Verify: Verify{Safe: 2 * time.Minute, Caution: 10 * time.Minute, Unknown: 2 * time.Minute, Interval: 15 * time.Second,
			Extend: 10 * time.Minute, Rollout: 10 * time.Minute, Settle: 2 * time.Minute, Workloads: map[string][]Workload{}, HTTP: HTTP{Retries: 3, URLs: map[string][]string{}},
			Kuma: Kuma{Monitors: map[string]string{}, Beat: 150 * time.Second}, Prometheus: Prometheus{Queries: map[string][]Query{}}},
		Revert:   Revert{Automerge: true, OnMigration: "review"},
		Schedule: Schedule{Timezone: "UTC"}, Dashboard: Dashboard{Issue: true},
		Adviser: Adviser{Enabled: true, Settings: true},
	}
}

// source keeps a mapping under the image's normal name, so that every spelling finds it.
func (r *reader) source(name string, val *yaml.Node) {
	ref, err := image.Parse(name)
	if err != nil {
		r.fail(val, "sources: %v", err)
		return
	}
	r.policy.Sources[ref.Name()] = str(val)
}

// StatusTaken reports whether a dispatch with DIUN's status asks for something.
func (p Policy) StatusTaken(status string) bool { return slices.Contains(p.Dispatch.Statuses, status) }

// Ignored reports whether services.ignore names a service or its directory.
func (p Policy) Ignored(service, directory string) bool {
	return globbed(p.Services.Ignore, service, directory)
}

// Advised reports whether the adviser may be asked about a service.
func (p Policy) Advised(service, directory string) bool {
	return p.Adviser.Enabled && !globbed(p.Adviser.Ignore, service, directory)
}

// globbed reports whether one of the globs names a service or its directory.
func globbed(globs []string, service, directory string) bool {
	return slices.ContainsFunc(globs, func(pattern string) bool {
		a, _ := doublestar.Match(pattern, service)
		b, _ := doublestar.Match(strings.Trim(path.Clean(pattern), "/"), directory)
		return a || b
	})
}

// SourceOf is the repository that the configuration or the built-in table gives an image.
func (p Policy) SourceOf(ref image.Ref) (repo string, ok bool) {
	if repo, ok = p.Sources[ref.Name()]; !ok {
		repo, ok = builtinSources[ref.Name()]
	}
	return repo, ok
}

// ChartSourceOf is the repository that the configuration or the built-in table gives a chart repository.
func (p Policy) ChartSourceOf(address string) (repo string, ok bool) {
	if repo, ok = p.Charts[address]; !ok {
		repo, ok = builtinCharts[address]
	}
	return repo, ok
}

// StepsOf is how a service's CAUTION upgrades climb.
func (p Policy) StepsOf(service string) version.Steps {
	if s, ok := p.StepsFor[service]; ok {
		return s
	}
	return p.Steps
}

// BackupFor is the backup before a merge of a service. ok is false when no
// database is configured for it.
func (p Policy) BackupFor(service string) (b Backup, ok bool) {
	d, ok := p.Databases[service]
	switch {
	case !ok:
		return Backup{}, false
	case d.Inline != nil:
		return *d.Inline, true
	}
	b, ok = p.Backups[d.Backup]
	return b, ok
}

// ServiceBackup is the backup of one service.
type ServiceBackup struct {
	Service string
	Backup  Backup
}

// BackupsOf are the backups before a merge that moves some services at once: one
// for each that is different, in the order of the services, as one backup of a
// database that they share serves all of them. Kind none counts only where no
// service has another. Two services whose backup is one and whose restores differ
// have none that puts both back, and so no restore.
func (p Policy) BackupsOf(services []string) []ServiceBackup {
	var out, none []ServiceBackup
	for _, s := range services {
		b, ok := p.BackupFor(s)
		switch {
		case !ok:
			continue
		case b.Kind == BackupNone:
			none = append(none, ServiceBackup{s, b})
			continue
		}
		i := slices.IndexFunc(out, func(x ServiceBackup) bool {
			return x.Backup.Kind == b.Kind && x.Backup.Target == b.Target && x.Backup.Expect == b.Expect && x.Backup.Reject == b.Reject
		})
		if i < 0 {
			out = append(out, ServiceBackup{s, b})
			continue
		}
		have := &out[i].Backup
		have.Timeout = max(have.Timeout, b.Timeout)
		have.MaxAge = min(have.MaxAge, b.MaxAge)
		if have.Restore == nil || b.Restore == nil || *have.Restore != *b.Restore {
			have.Restore = nil
		}
	}
	if len(out) == 0 && len(none) > 0 {
		return none[:1]
	}
	return out
}

// Differ says why a merge that moves several services cannot have its backup, ""
// where it can: belay takes one before a merge.
func Differ(list []ServiceBackup) string {
	if len(list) < 2 {
		return ""
	}
	var each []string
	for _, x := range list {
		each = append(each, fmt.Sprintf("%s: %s %s", x.Service, x.Backup.Kind, x.Backup.Target))
	}
	return "this moves services with different backups (" + strings.Join(each, "; ") + "), and belay takes one before a merge: pin their versions apart, or take the backups and merge by hand"
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
