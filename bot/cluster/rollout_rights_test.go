package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/watch"
)

// as watches with exactly these rights in the stage's namespace.
func (w *stage) as(name string, rights []right) {
	w.t.Helper()
	meta := metav1.ObjectMeta{Name: name}
	_, err := w.client.CoreV1().ServiceAccounts(w.namespace).Create(w.ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	w.must(err)
	role := &rbacv1.Role{ObjectMeta: meta}
	for _, r := range rights {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{r.resource}, Verbs: []string{r.verb}})
	}
	_, err = w.client.RbacV1().Roles(w.namespace).Create(w.ctx, role, metav1.CreateOptions{})
	w.must(err)
	_, err = w.client.RbacV1().RoleBindings(w.namespace).Create(w.ctx, &rbacv1.RoleBinding{ObjectMeta: meta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: w.namespace, Name: name}}}, metav1.CreateOptions{})
	w.must(err)
	config, err := w.plane.ConfigFor(w.ctx, "system:serviceaccount:"+w.namespace+":"+name)
	w.must(err)
	w.watch(config)
}

// TestRolloutRights watches with exactly the rights of deploy/rbac.yaml, then
// without each of them in turn: what cannot be seen is blind and named, and a
// log or events that cannot be read are missing from the evidence and nothing else.
func TestRolloutRights(t *testing.T) {
	all := rights(t, "belay-watch")
	for i, missing := range append([]right{{}}, all...) {
		if missing.verb == "list" && missing.resource != "events" {
			continue // for older API servers: this one begins a watch with what there is
		}
		name := "without the right to " + missing.String()
		if missing == (right{}) {
			name = "with all of them"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newStage(t, shared(t))
			w.play("v2", kube.OOM(0, "indexing"))
			w.deployment("v2", 1, nil)
			w.as(fmt.Sprint("bot-", i), slices.DeleteFunc(slices.Clone(all), func(r right) bool { return r == missing }))
			w.until(name, func(list []watch.Sample) bool {
				s := list[0]
				switch missing.resource {
				case "":
					return s.State == watch.Fatal && strings.Contains(s.Log, "indexing") && !strings.Contains(s.Log, "not available")
				case "pods/log":
					return s.State == watch.Fatal && strings.Contains(s.Log, "log: not available")
				case "events":
					return s.State == watch.Fatal && strings.Contains(s.Log, "indexing") && strings.Contains(s.Log, "events: not available")
				}
				return s.State == watch.Blind && strings.Contains(s.Detail, "belay may not watch "+missing.resource+" in namespace "+w.namespace)
			}, func(s watch.Sample) bool { return missing.verb == "watch" && unhealthy(s) })
		})
	}
}
