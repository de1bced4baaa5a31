package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/rules/policy"
)

// needs are the rights that are needed in one namespace.
type needs struct {
	namespace string // "": in all of them
	role      string
	counts    func(cluster.Right) bool // which of the role's rights are needed
}

// volumesRole is bound only where a volume snapshot is put back: volumes are in
// no namespace.
const volumesRole = "belay-volumes"

func (d *doctor) cluster(ctx context.Context, say *report) {
	if d.Cluster == nil {
		if d.ClusterProblem != "" {
			say.todo(d.ClusterProblem, "correct --kubeconfig, or run belay in a pod with a service account")
			return
		}
		say.unset("no cluster is configured: no backups are taken, and roll-outs are not seen", "give --kubeconfig, or run belay in the cluster")
		return
	}
	version, err := d.Cluster.Version(ctx)
	if err != nil {
		say.trouble(fmt.Errorf("the cluster does not answer: %w", err), "see whether it can be reached from here, and the credentials of --kubeconfig")
		return
	}
	say.ok("the cluster answers (%s)", version)
	rights, wide, err := cluster.Rights(d.Roles)
	if err != nil {
		say.trouble(err, "")
		return
	}
	for _, n := range d.needed(rights, wide) {
		d.rights(ctx, say, rights, n)
	}
	if _, unknown := d.scaled(); len(unknown) > 0 {
		slices.Sort(unknown)
		unknown = slices.Compact(unknown) // in several repositories
		say.note("a restore stops the workload of "+strings.Join(unknown, ", ")+"; belay.yml does not say in which namespace it runs, so the rights for that were not looked at",
			"bind belay-restore in the service's namespace, or name the workload in verify.workloads")
	}
}

// scaled are the namespaces of the workloads that a restore stops, and the
// services of which belay.yml does not name them.
func (d *doctor) scaled() (namespaces map[string]bool, unknown []string) {
	namespaces = map[string]bool{}
	d.configured(func(_ string, p policy.Policy) {
		for _, service := range sortedKeys(p.Databases) {
			b, ok := p.BackupFor(service)
			if !ok || b.Restore == nil {
				continue
			}
			if b.Restore.Kind == policy.BackupVolumeSnapshot { // who uses a claim is in its namespace
				namespace, _, _ := strings.Cut(b.Restore.Target, "/")
				namespaces[namespace] = true
				continue
			}
			for _, w := range p.Verify.Workloads[service] {
				namespaces[w.Namespace] = true
			}
			if len(p.Verify.Workloads[service]) == 0 {
				unknown = append(unknown, service)
			}
		}
	})
	return namespaces, unknown
}

// rights compares what belay may do in one namespace with what it needs there.
func (d *doctor) rights(ctx context.Context, say *report, all []cluster.Right, n needs) {
	var wanted []cluster.Right
	for _, r := range all {
		if r.Role == n.role && n.counts(r) {
			wanted = append(wanted, r)
		}
	}
	where, bind := "in namespace "+n.namespace, fmt.Sprintf("bind it there: kubectl create rolebinding %s --clusterrole=%s --serviceaccount=belay:belay --namespace=%s", n.role, n.role, n.namespace)
	if n.namespace == "" {
		where = "in all namespaces"
		if n.role == volumesRole {
			where = "for volumes (which are in no namespace)"
		}
		bind = fmt.Sprintf("bind it: kubectl create clusterrolebinding %s --clusterrole=%s --serviceaccount=belay:belay; where it is bound, the role is an older one: apply it again from deploy/rbac.yaml", n.role, n.role)
	}
	missing, err := d.Cluster.Missing(ctx, n.namespace, wanted)
	if err != nil {
		say.trouble(err, "")
		return
	}
	if len(missing) == 0 {
		say.ok("the rights of the role %s are there %s", n.role, where)
		return
	}
	var names []string
	for _, r := range missing {
		names = append(names, r.String())
	}
	say.todo(fmt.Sprintf("%s belay may not %s", where, strings.Join(names, ", ")), bind)
}

// needed says which roles are needed where, by what belay.yml names.
func (d *doctor) needed(rights []cluster.Right, wide map[string]bool) []needs {
	kinds := map[string]map[policy.BackupKind]bool{} // of backups, by namespace
	claims := map[string]bool{}                      // namespaces in which a claim is made anew
	take := func(kind policy.BackupKind, target string) {
		namespace, _, named := strings.Cut(target, "/")
		if kind == policy.BackupNone || kind == policy.BackupJob || !named {
			return
		}
		if kinds[namespace] == nil {
			kinds[namespace] = map[policy.BackupKind]bool{}
		}
		kinds[namespace][kind] = true
	}
	d.each(func(_ string, b policy.Backup) {
		take(b.Kind, b.Target)
		if b.Restore == nil {
			return
		}
		take(b.Restore.Kind, b.Restore.Target) // a restore runs as a backup does
		if namespace, _, _ := strings.Cut(b.Restore.Target, "/"); b.Restore.Kind == policy.BackupVolumeSnapshot {
			claims[namespace] = true
		}
	})
	var out []needs
	all := func(cluster.Right) bool { return true }
	for i, r := range rights {
		first := slices.IndexFunc(rights, func(o cluster.Right) bool { return o.Role == r.Role }) == i
		if first && wide[r.Role] && (r.Role != volumesRole || len(claims) > 0) {
			out = append(out, needs{"", r.Role, all})
		}
	}
	for _, namespace := range sortedKeys(kinds) {
		has := kinds[namespace]
		out = append(out, needs{namespace, "belay-backup", func(r cluster.Right) bool {
			switch r.Group {
			case "snapshot.storage.k8s.io":
				return has[policy.BackupVolumeSnapshot]
			case "velero.io":
				return has[policy.BackupVelero]
			}
			return has[policy.BackupCronJob]
		}})
	}
	stopped, _ := d.scaled()
	for _, namespace := range sortedKeys(stopped) {
		out = append(out, needs{namespace, "belay-restore", func(r cluster.Right) bool { return claims[namespace] || !ofClaims(r) }})
	}
	return out
}

// ofClaims reports whether a right of belay-restore is for claims that are made
// anew, and not for stopping workloads.
func ofClaims(r cluster.Right) bool {
	return r.Resource == "persistentvolumeclaims" || r.Resource == "volumesnapshots" || r.Resource == "statefulsets" && r.Verb == "list"
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// each calls f for every backup that a configuration uses or names, with its
// restore, once.
func (d *doctor) each(f func(who string, b policy.Backup)) {
	seen := map[string]bool{}
	d.configured(func(name string, p policy.Policy) {
		take := func(who string, b policy.Backup) {
			key := string(b.Kind) + " " + b.Target
			if b.Restore != nil {
				key += " " + string(b.Restore.Kind) + " " + b.Restore.Target
			}
			if !seen[key] {
				seen[key] = true
				f(who, b)
			}
		}
		for _, way := range sortedKeys(p.Backups) {
			take("backups."+way, p.Backups[way])
		}
		for _, service := range sortedKeys(p.Databases) {
			if b, ok := p.BackupFor(service); ok {
				take("databases."+service, b)
			}
		}
	})
}

func (d *doctor) backups(ctx context.Context, say *report) {
	if d.Cluster == nil {
		d.each(func(who string, b policy.Backup) {
			if b.Kind != policy.BackupNone {
				say.todo(who+" needs a cluster: its services are not merged", "give --kubeconfig, or run belay in the cluster")
			}
		})
		return
	}
	if _, err := d.Cluster.Version(ctx); err != nil {
		return // which was said already
	}
	seen := map[string]bool{}
	look := func(who string, kind policy.BackupKind, target string) {
		key := string(kind) + " " + target
		if seen[key] {
			return
		}
		seen[key] = true
		switch kind {
		case policy.BackupNone:
			return
		case policy.BackupJob:
			say.note(fmt.Sprintf("%s is the Job in %s: in which namespace it runs stands there and not in belay.yml, so the rights for it were not looked at", who, target),
				"bind belay-backup in that namespace")
			return
		case policy.BackupCronJob, policy.BackupVelero, policy.BackupVolumeSnapshot:
		}
		if err := d.Cluster.Exists(ctx, kind, target); err != nil {
			say.todo(who+": "+oneLine(err.Error()), "")
			return
		}
		switch kind {
		case policy.BackupVolumeSnapshot:
			say.ok("%s: the cluster knows volume snapshots (of %s)", who, target)
		default:
			say.ok("%s: %s %s is there", who, kind, target)
		}
	}
	d.each(func(who string, b policy.Backup) {
		look(who, b.Kind, b.Target)
		if b.Restore != nil {
			look(who+".restore", b.Restore.Kind, b.Restore.Target)
		}
	})
}
