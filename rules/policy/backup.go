package policy

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

func (r *reader) checkBackup(n *yaml.Node, seen map[string]bool, at string) {
	kinds := among(backupKinds, seen)
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

// among are the kinds that a mapping names.
func among(kinds []BackupKind, seen map[string]bool) []string {
	var out []string
	for _, kind := range kinds {
		if seen[string(kind)] {
			out = append(out, string(kind))
		}
	}
	return out
}

var backupKinds = []BackupKind{BackupCronJob, BackupVolumeSnapshot, BackupVelero, BackupJob, BackupNone}

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
