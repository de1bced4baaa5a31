package cluster_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/watch"
)

// right is one verb on one resource.
type right struct{ group, resource, verb string }

func (r right) String() string { return strings.TrimSuffix(r.verb+" "+r.resource+"."+r.group, ".") }

// rights are those of the roles in deploy/rbac.yaml, taken apart.
func rights(t *testing.T, roles ...string) []right {
	t.Helper()
	var all []right
	for _, object := range manifests(t, filepath.FromSlash("../../deploy/rbac.yaml")) {
		if object.GetKind() != "ClusterRole" || !slices.Contains(roles, object.GetName()) {
			continue
		}
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					if r := (right{rule.APIGroups[0], resource, verb}); !slices.Contains(all, r) {
						all = append(all, r)
					}
				}
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("deploy/rbac.yaml has no roles %v", roles)
	}
	return all
}

// bot makes a service account of the namespace with these rights there and
// nowhere else, and returns its name for ConfigFor.
func (w *place) bot(name string, rights []right) string {
	w.Helper()
	meta := metav1.ObjectMeta{Name: name}
	_, err := w.admin.CoreV1().ServiceAccounts(w.namespace).Create(w.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	w.must(err)
	role := &rbacv1.Role{ObjectMeta: meta}
	for _, r := range rights {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{r.resource}, Verbs: []string{r.verb}})
	}
	_, err = w.admin.RbacV1().Roles(w.namespace).Create(w.Context(), role, metav1.CreateOptions{})
	w.must(err)
	_, err = w.admin.RbacV1().RoleBindings(w.namespace).Create(w.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: w.namespace, Name: name}},
	}, metav1.CreateOptions{})
	w.must(err)
	w.botEverywhere(name, rights)
	return "system:serviceaccount:" + w.namespace + ":" + name
}

// everywhere are the resources that are in no namespace.
var everywhere = []string{"persistentvolumes", "storageclasses"}

// botEverywhere gives it those of the rights that concern no namespace.
func (w *place) botEverywhere(name string, rights []right) {
	w.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: w.namespace + "-" + name}}
	for _, r := range rights {
		if slices.Contains(everywhere, r.resource) {
			role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{r.resource}, Verbs: []string{r.verb}})
		}
	}
	_, err := w.admin.RbacV1().ClusterRoles().Create(w.Context(), role, metav1.CreateOptions{})
	w.must(err)
	_, err = w.admin.RbacV1().ClusterRoleBindings().Create(w.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: w.namespace, Name: name}},
	}, metav1.CreateOptions{})
	w.must(err)
}

// work is one thing that belay does in a cluster. do returns "" when it has
// worked, "…" while it is under way, else what was wrong.
type work struct {
	name string
	uses []string // resources
	do   func(w *place, belay *cluster.Cluster, r cluster.BackupRequest) string
}

func outcome(got cluster.BackupResult, err error, want string) string {
	switch {
	case err != nil:
		return err.Error()
	case strings.Contains(got.Detail, want):
		return ""
	case got.State == lifecycle.Running:
		return "…"
	}
	return got.Detail
}

var everything = []work{
	{"backup from a CronJob", []string{"cronjobs", "jobs", "pods", "pods/log"}, func(w *place, belay *cluster.Cluster, r cluster.BackupRequest) string {
		r.Backup.Expect = "dump complete"
		got, err := belay.Backup(w.Context(), r)
		return outcome(got, err, "has succeeded")
	}},
	{"a Job without pods", []string{"events"}, func(w *place, belay *cluster.Cluster, r cluster.BackupRequest) string {
		r.Backup.Target = w.namespace + "/podless"
		got, err := belay.Backup(w.Context(), r)
		if strings.Contains(got.Detail, "not allowed") {
			return got.Detail
		}
		return outcome(got, err, "no PriorityClass")
	}},
	{"volume snapshot", []string{"volumesnapshots"}, func(w *place, belay *cluster.Cluster, r cluster.BackupRequest) string {
		r.Backup.Kind, r.Backup.Target = policy.BackupVolumeSnapshot, w.namespace+"/data"
		got, err := belay.Backup(w.Context(), r)
		return outcome(got, err, "is not ready yet")
	}},
	{"Velero", []string{"backups", "schedules"}, func(w *place, belay *cluster.Cluster, r cluster.BackupRequest) string {
		r.Backup.Kind, r.Backup.Target = policy.BackupVelero, w.namespace+"/nightly"
		got, err := belay.Backup(w.Context(), r)
		return outcome(got, err, "waits for Velero")
	}},
	{"restore from a CronJob", []string{"cronjobs", "jobs", "pods"}, func(w *place, belay *cluster.Cluster, r cluster.BackupRequest) string {
		got, err := belay.Restore(w.Context(), cluster.RestoreRequest{Key: r.Key + " restore", Restore: policy.Restore{Kind: policy.BackupCronJob, Target: w.namespace + "/dump"}})
		return outcome(got, err, "has succeeded")
	}},
	{"scale a Deployment down", []string{"deployments", "pods"}, scaleDown("Deployment")},
	{"scale a StatefulSet down", []string{"statefulsets", "pods"}, scaleDown("StatefulSet")},
}

func scaleDown(kind string) func(*place, *cluster.Cluster, cluster.BackupRequest) string {
	return func(w *place, belay *cluster.Cluster, _ cluster.BackupRequest) string {
		done, err := belay.Scale(w.Context(), "the same key", watch.Workload{Kind: kind, Namespace: w.namespace, Name: "web"}, true)
		switch {
		case err != nil:
			return err.Error()
		case !done:
			return "…"
		}
		return ""
	}
}

// TestRightsAreEnoughAndAllNeeded does everything with exactly the rights of
// deploy/rbac.yaml, then takes each of them away in turn and wants to be told
// which one is missing.
func TestRightsAreEnoughAndAllNeeded(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.withCRDs()
	w.schedule()
	w.cronJob(kube.Succeeds(0, "dump complete"), nil)
	w.cronJob(kube.Succeeds(0, "dump complete"), func(c *batchv1.CronJob) {
		c.Name = "podless"
		c.Spec.JobTemplate.Spec.Template.Spec.PriorityClassName = "unknown"
	})
	all := rights(t, "belay-backup", "belay-restore")
	try := func(name string, rights []right, work work, key, want string) {
		t.Helper()
		config, err := w.plane.ConfigFor(t.Context(), w.bot(name, rights))
		w.must(err)
		r := w.request(key)
		r.Ready = time.Now() // nothing that was made before serves
		var got string
		w.eventually(fmt.Sprintf("%s as %s", work.name, name), func(context.Context) (bool, error) {
			// A new life each time: rights take a moment to be known.
			got = work.do(w, w.life(config), r)
			return want == "" && got == "" || want != "" && strings.Contains(got, want), nil
		})
		t.Logf("%-45s %-30s %s", name, work.name, strings.SplitN(got, "\n", 2)[0])
	}
	for i, work := range everything {
		w.rested(work)
		try(fmt.Sprintf("all-%d", i), all, work, "all", "")
	}
	for i, missing := range all {
		if slices.Contains(volumeRights, missing) {
			continue // TestRightsToPutASnapshotBack
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(r right) bool { return r == missing })
		at := slices.IndexFunc(everything, func(work work) bool { return slices.Contains(work.uses, missing.resource) })
		if at < 0 {
			t.Errorf("nothing uses the right to %s", missing)
			continue
		}
		w.rested(everything[at])
		try(fmt.Sprintf("without-%d", i), rest, everything[at], fmt.Sprint("without ", i), "not allowed to "+missing.String())
	}
}

// rested brings what a work scales back to where it was.
func (w *place) rested(work work) {
	w.Helper()
	for resource, kind := range map[string]string{"deployments": "Deployment", "statefulsets": "StatefulSet"} {
		if !slices.Contains(work.uses, resource) {
			continue
		}
		for _, err := range []error{
			w.admin.AppsV1().Deployments(w.namespace).Delete(w.Context(), "web", metav1.DeleteOptions{}),
			w.admin.AppsV1().StatefulSets(w.namespace).Delete(w.Context(), "web", metav1.DeleteOptions{}),
		} {
			if err != nil && !apierrors.IsNotFound(err) {
				w.Fatal(err)
			}
		}
		w.podsAre(0)
		w.workload(kind, 1)
	}
}

// TestDeployAppliesToACluster is kubectl apply --dry-run=server -f deploy/rbac.yaml.
// The test of deploy/ applies the rest.
func TestDeployAppliesToACluster(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	for _, name := range []string{"belay", "dbaas"} {
		_, err := w.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		w.must(err)
	}
	paths, err := filepath.Glob(filepath.FromSlash("../../deploy/rbac.yaml"))
	w.must(err)
	if len(paths) == 0 {
		t.Fatal("deploy/ has no manifests")
	}
	for _, path := range paths {
		for _, object := range manifests(t, path) {
			if err := apply(t, w.plane, object, true); err != nil {
				t.Errorf("%s: %s %s: %v", path, object.GetKind(), object.GetName(), err)
			}
		}
	}
}
