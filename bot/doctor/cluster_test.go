package doctor_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/doctor"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/deploy"
)

// needy is a configuration that needs everything of the cluster.
const needy = `apply: { checks: [ci/apply] }
backups:
  postgresql: { cronjob: dbaas/dump, restore: { cronjob: dbaas/restore } }
  nightly:    { velero: velero/nightly }
databases:
  links: { backup: postgresql }
  notes: { backup: { volumesnapshot: notes/data, restore: { volumesnapshot: notes/data } } }
  wiki:  { backup: nightly }
  urls:  { backup: postgresql }
  feeds: { backup: { cronjob: dbaas/dump, restore: { cronjob: notes/feeds } } } # the same backup, put back otherwise
  album: { backup: { job: stacks/album/dump.yaml } }
verify: { workloads: { links: [dbaas/deployment/links] } }
`

// modest is a configuration that takes snapshots of a volume, and puts none back.
const modest = `apply: { checks: [ci/apply] }
databases: { notes: { backup: { volumesnapshot: notes/data } } }
`

// bound makes the roles of deploy/rbac.yaml and binds them as deploy/ says: for
// the whole cluster, and where the configuration has backups. leave says what not to bind.
func bound(t *testing.T, admin kubernetes.Interface, leave func(role, namespace string) bool) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"belay", "dbaas", "notes", "velero"} {
		_, err := admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		must(err)
	}
	_, err := admin.CoreV1().ServiceAccounts("belay").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "belay"}}, metav1.CreateOptions{})
	must(err)
	dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(deploy.RBAC), 4096)
	wide := map[string]bool{}
	var roles []string
	for {
		var object struct {
			rbacv1.ClusterRole
			RoleRef rbacv1.RoleRef `json:"roleRef"`
		}
		if dec.Decode(&object) != nil {
			break
		}
		switch object.Kind {
		case "ClusterRoleBinding":
			wide[object.RoleRef.Name] = true
		case "ClusterRole":
			_, err := admin.RbacV1().ClusterRoles().Create(t.Context(), &object.ClusterRole, metav1.CreateOptions{})
			must(err)
			roles = append(roles, object.Name)
		}
	}
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "belay", Name: "belay"}}
	for _, role := range roles {
		meta := metav1.ObjectMeta{Name: role}
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
		if wide[role] && !leave(role, "") {
			_, err := admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, metav1.CreateOptions{})
			must(err)
		}
		for _, namespace := range []string{"dbaas", "notes", "velero"} {
			if wide[role] || leave(role, namespace) {
				continue
			}
			_, err := admin.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, metav1.CreateOptions{})
			must(err)
		}
	}
}

// TestClusterGolden asks a real control plane for the rights that belay has
// there and the objects that belay.yml names: first with nothing, then with a
// part of it, then with everything but what the cluster does not know.
func TestClusterGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	plane := kube.ForTest(t)
	admin := kubernetes.NewForConfigOrDie(plane.Config())
	c := newClinic(t)
	c.configure(needy)
	var b bytes.Buffer
	look := func(name string, config *rest.Config) []doctor.Line {
		t.Helper()
		var err error
		c.opts.Cluster, err = cluster.New(cluster.Options{Config: config})
		c.must(err)
		lines := c.examine()
		fmt.Fprintf(&b, "## %s\n%s\n", name, said(lines, func(l doctor.Line) bool { return l.Area == "cluster" || l.Area == "backup" }))
		return lines
	}
	broken := rest.CopyConfig(plane.Config())
	broken.BearerToken = "hunter2"
	look("the credentials are not taken", broken)
	away := rest.CopyConfig(plane.Config())
	away.Host = "https://127.0.0.1:1"
	look("the cluster is out of reach", away)

	bound(t, admin, func(role, namespace string) bool { return role != "belay-watch" })
	config, err := plane.ConfigFor(t.Context(), "system:serviceaccount:belay:belay")
	c.must(err)
	look("no roles are bound for backups", config)
	c.configure(modest)
	look("nor are they, and no snapshot is put back", config)
	c.configure(needy)

	bound(t, admin, func(role, namespace string) bool { return false })
	for _, name := range []string{"dump", "restore"} {
		_, err := admin.BatchV1().CronJobs("dbaas").Create(t.Context(), &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.CronJobSpec{Schedule: "0 3 1 1 *",
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever,
				Containers: []corev1.Container{{Name: "x", Image: "example.org/x:1"}}}}}}}}, metav1.CreateOptions{})
		c.must(err)
	}
	// Rights take a moment to be known.
	for range 50 {
		var err error
		c.opts.Cluster, err = cluster.New(cluster.Options{Config: config})
		c.must(err)
		if text := said(c.examine(), func(l doctor.Line) bool { return l.Area == "cluster" || l.Area == "backup" }); !strings.Contains(text, "may not") && !strings.Contains(text, "not allowed") {
			break
		}
	}
	look("everything is bound, and the cluster knows neither snapshots nor Velero", config)
	golden(t, "cluster.golden", b.Bytes())
}
