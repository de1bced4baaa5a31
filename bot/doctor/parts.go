package doctor

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/credential"
	"github.com/belaybot/belay/rules/policy"
)

// needs are the rights that are needed in one namespace.
type needs struct {
	namespace string // "": in all of them
	role      string
	group     func(apiGroup string) bool // which of the role's rights count
}

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
			if b, ok := p.BackupFor(service); !ok || b.Restore == nil {
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
		if r.Role == n.role && n.group(r.Group) {
			wanted = append(wanted, r)
		}
	}
	where, bind := "in namespace "+n.namespace, fmt.Sprintf("bind it there: kubectl create rolebinding %s --clusterrole=%s --serviceaccount=belay:belay --namespace=%s", n.role, n.role, n.namespace)
	if n.namespace == "" {
		where, bind = "in all namespaces", "kubectl apply -f deploy/rbac.yaml"
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
	var out []needs
	all := func(string) bool { return true }
	add := func(n needs) {
		if !slices.ContainsFunc(out, func(o needs) bool { return o.namespace == n.namespace && o.role == n.role }) {
			out = append(out, n)
		}
	}
	for _, r := range rights {
		if wide[r.Role] {
			add(needs{"", r.Role, all})
		}
	}
	kinds := map[string]map[policy.BackupKind]bool{} // by namespace
	restores := map[string]bool{}
	d.each(func(_ string, b policy.Backup) {
		namespace, _, named := strings.Cut(b.Target, "/")
		if b.Kind == policy.BackupNone || b.Kind == policy.BackupJob || !named {
			return
		}
		if kinds[namespace] == nil {
			kinds[namespace] = map[policy.BackupKind]bool{}
		}
		kinds[namespace][b.Kind] = true
		if b.Restore != nil && b.Restore.Kind == policy.BackupCronJob {
			in, _, _ := strings.Cut(b.Restore.Target, "/")
			restores[in] = true
		}
	})
	for _, namespace := range sortedKeys(kinds) {
		has := kinds[namespace]
		add(needs{namespace, "belay-backup", func(group string) bool {
			switch group {
			case "snapshot.storage.k8s.io":
				return has[policy.BackupVolumeSnapshot]
			case "velero.io":
				return has[policy.BackupVelero]
			}
			return has[policy.BackupCronJob]
		}})
	}
	for _, namespace := range sortedKeys(restores) {
		if kinds[namespace] == nil {
			add(needs{namespace, "belay-backup", func(group string) bool { return group == "batch" || group == "" }})
		}
	}
	stopped, _ := d.scaled()
	for _, namespace := range sortedKeys(stopped) {
		add(needs{namespace, "belay-restore", all})
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// each calls f for every backup that a configuration uses or names, once.
func (d *doctor) each(f func(who string, b policy.Backup)) {
	seen := map[string]bool{}
	d.configured(func(name string, p policy.Policy) {
		take := func(who string, b policy.Backup) {
			if key := string(b.Kind) + " " + b.Target; !seen[key] {
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
	look := func(who string, kind policy.BackupKind, target string) {
		switch kind {
		case policy.BackupNone, policy.BackupJob:
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

func (d *doctor) state(ctx context.Context, say *report) {
	got, err := store.Inspect(ctx, d.State)
	switch {
	case err != nil:
		say.trouble(err, "see whether the database runs and can be reached, or whether the directory of --state is readable")
	case got.Absent:
		say.note(got.Name+": there is no state yet", "nothing: belay serve makes it")
	case got.Schema > got.Known:
		say.todo(fmt.Sprintf("%s was written by a newer belay (version %d; this one knows %d)", got.Name, got.Schema, got.Known), "run that version, or a newer one")
	case got.Schema < got.Known:
		say.note(fmt.Sprintf("%s is of an older belay (version %d of %d)", got.Name, got.Schema, got.Known), "nothing: belay serve brings it up to date; keep a copy")
	default:
		say.ok("%s can be read (version %d)", got.Name, got.Schema)
	}
}

func (d *doctor) server(ctx context.Context, say *report) {
	if d.Ready == nil {
		return
	}
	if err := d.Ready(ctx); err != nil {
		say.trouble(err, "start belay serve, or correct --server (BELAY_SERVER)")
		return
	}
	say.ok("belay serve is ready")
}

// quiet is how long no dispatch may come before that is worth a word.
const quiet = 7 * 24 * time.Hour

func (d *doctor) diun(ctx context.Context, say *report) {
	if d.DiunToken == nil || d.DiunToken() == "" {
		say.unset("there is no token for DIUN: /diun refuses everybody, and dispatches come by repository_dispatch only", "set BELAY_DIUN_TOKEN_FILE, and the same in DIUN's Authorization header")
		return
	}
	say.ok("there is a token for DIUN")
	if d.Dispatched == nil {
		return
	}
	last, err := d.Dispatched(ctx)
	switch age := d.Now().Sub(last); {
	case err != nil:
		say.trouble(err, "")
	case last.IsZero():
		say.note("no dispatch has come yet", "let DIUN's webhook notifier POST to https://HOST/diun (docs/diun.md), or try belay dispatch")
	case age > quiet:
		say.note(fmt.Sprintf("the last dispatch came %d days ago", int(age.Hours()/24)), "see whether DIUN runs, and what its log says of the webhook notifier")
	default:
		say.ok("the last dispatch came on %s", last.UTC().Format("2 January 15:04 MST"))
	}
}

func (d *doctor) slack(ctx context.Context, say *report) {
	switch {
	case d.NotifyProblem != "":
		say.todo(d.NotifyProblem, "")
	case d.Notify.SlackToken != nil:
		who, err := notify.Reach(ctx, d.Notify)
		if err != nil {
			say.trouble(fmt.Errorf("slack: %w", err), "")
			return
		}
		say.ok("Slack knows the bot: %s, for the channel %s", who, d.Notify.SlackChannel)
	case d.Notify.SlackWebhook != nil:
		say.ok("Slack's incoming webhook is set; the first message tries it")
	default:
		say.unset("nobody is told in Slack", "set BELAY_SLACK_TOKEN and --slack-channel, if somebody is to be")
	}
}

func (d *doctor) kuma(ctx context.Context, say *report) {
	page := ""
	monitored := false
	d.configured(func(_ string, p policy.Policy) {
		if p.Verify.Kuma.StatusPage != "" {
			page = p.Verify.Kuma.StatusPage
		}
		monitored = monitored || len(p.Verify.Kuma.Monitors) > 0
	})
	switch {
	case d.Kuma != nil:
		n, err := d.Kuma.Reach(ctx, page)
		if err != nil {
			say.trouble(err, "")
			return
		}
		say.ok("Uptime Kuma answers with %d monitors", n)
	case monitored || page != "":
		say.todo("belay.yml names monitors of Uptime Kuma, and its address is not known", "give --kuma-url")
	default:
		say.unset("Uptime Kuma is not configured", "")
	}
}

func (d *doctor) prometheus(ctx context.Context, say *report) {
	asked := false
	d.configured(func(_ string, p policy.Policy) { asked = asked || len(p.Verify.Prometheus.Queries) > 0 })
	switch {
	case d.Prometheus != nil:
		if err := d.Prometheus.Reach(ctx); err != nil {
			say.trouble(err, "")
			return
		}
		say.ok("Prometheus answers")
	case asked:
		say.todo("belay.yml has queries for Prometheus, and its address is not known", "give --prometheus-url")
	default:
		say.unset("Prometheus is not configured", "")
	}
}

func (d *doctor) woodpecker(ctx context.Context, say *report) {
	var names []string
	d.configured(func(name string, p policy.Policy) {
		if w := p.Apply.Woodpecker; w != nil {
			if w.Repository != "" {
				name = w.Repository
			}
			names = append(names, name)
		}
	})
	switch {
	case d.Woodpecker != nil:
		who, err := d.Woodpecker.Reach(ctx, names...)
		if err != nil {
			say.trouble(err, "")
			return
		}
		say.ok("%s", strings.TrimSuffix("Woodpecker takes the token of "+who+", who sees "+strings.Join(names, ", "), ", who sees "))
	case len(names) > 0:
		say.todo("belay.yml asks Woodpecker whether a merge was applied, and its address is not known", "give --woodpecker-url")
	default:
		say.unset("Woodpecker is not configured: GitHub's checks say whether a merge was applied", "")
	}
}

func (d *doctor) registries(ctx context.Context, say *report) {
	for _, address := range d.Registries {
		host := address
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			host = u.Host
		}
		if err := probe.Registry(ctx, d.HTTP, address); err != nil {
			say.todo(host+": "+oneLine(err.Error()), "let belay reach it: labels and digests of images are read there")
			continue
		}
		say.ok("the registry %s answers", host)
	}
}

func (d *doctor) credentials(ctx context.Context, say *report) {
	if d.Credentials == nil {
		return
	}
	if err := d.Credentials.Look(ctx); err != nil {
		say.trouble(err, "")
		return
	}
	fine := 0
	for _, c := range d.Credentials.List() {
		now := d.Now()
		name := "BELAY_" + strings.ToUpper(c.Name)
		if c.Name == "github_token" {
			name = "GITHUB_TOKEN"
		}
		switch c.State(now) {
		case credential.OK:
			fine++
		case credential.Refused, credential.Expired, credential.Critical:
			say.todo(name+": "+c.Line(now), "replace it")
		case credential.Warning, credential.Never, credential.Stale:
			say.note(name+": "+c.Line(now), "")
		}
	}
	if fine > 0 {
		say.ok("%d secrets are not near their end, as far as one is known", fine)
	}
}
