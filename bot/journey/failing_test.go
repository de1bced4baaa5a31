package journey_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
)

// Journeys whose new version is not well.

// More memory is what the new version needs, and what it gets.
func paperless(t *testing.T, w *world) {
	w.upstream.publish("paperless-ngx/paperless-ngx", "2.17.0 2.17.1 2.18.0 2.18.4 2.19.0 2.19.6 2.20.0 2.20.14", map[string]string{
		"2.20.14": "### Security\n\n- CVE-2026-10001, CVE-2026-10002, CVE-2026-10003, CVE-2026-10004, CVE-2026-10005, CVE-2026-10006 and CVE-2026-10007 are closed",
	})
	var killed moment
	w.plane.Kubelet.Play("ghcr.io/paperless-ngx/paperless-ngx:2.20.14", func(ctx context.Context, c *kube.Container) {
		d, err := w.client.AppsV1().Deployments("paperless").Get(ctx, "paperless", metav1.GetOptions{})
		if err != nil || d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value() < 2<<30 {
			crashes(&killed, 137, "OOMKilled", "rebuilding the index")(ctx, c)
			return
		}
		kube.ReadyAfter(0, "rebuilding the index", "done")(ctx, c)
	})
	j := w.begin(t, "paperless", "revert: { automerge: false }\n", map[string]string{"stacks/paperless/main.tf": stack("",
		object{Kind: "deployment", Namespace: "paperless", Name: "paperless", Image: "ghcr.io/paperless-ngx/paperless-ngx:2.16.4", Memory: "1Gi"})})
	j.dispatch("ghcr.io/paperless-ngx/paperless-ngx", "2.20.14")
	j.reaches("paperless", lifecycle.Reverting, "approving review")
	upgrade, revert := j.pull("paperless"), j.revert("paperless")
	j.says(upgrade.Body, "CVE-2026-10001", "CVE-2026-10007")
	j.says(revert.Body, "OOMKilled", "rebuilding the index", "`/upgrade fix`", "memory = \"2Gi\"")
	j.watched("paperless", upgrade.MergeSHA)
	j.reverted("paperless", &killed)
	j.repo.Comment(revert.Number, "ana", "/upgrade fix")
	j.reaches("paperless", lifecycle.Verified, "healthy for")
	j.main("stacks/paperless/main.tf", "paperless-ngx:2.16.4", "paperless-ngx:2.20.14", "stacks/paperless/main.tf", "\"1Gi\"", "\"2Gi\"")
	if j.revert("paperless").State != "closed" {
		t.Error("the revert was not closed")
	}
	fix := j.one("paperless", "fix-")
	if touched := j.touched(fix.MergeSHA); touched != "1 1 stacks/paperless/main.tf" {
		t.Errorf("the fix changed %s", touched)
	}
	j.runs("paperless", "paperless", "ghcr.io/paperless-ngx/paperless-ngx:2.20.14")
	j.alone(3)
	j.arrives("paperless-ngx", "2.16.4", "2.20.14", "7 CVEs, OOMKilled at 1Gi, /upgrade fix to 2Gi, verified")
}

// It fails after its migrations ran, and the old version does not start on
// migrated data: image and data go back together.
func dawarich(t *testing.T, w *world) {
	w.upstream.publish("Freika/dawarich", "0.37.2 0.37.3 1.0.0 1.0.1 1.0.2 1.0.3 1.0.4 1.1.0 1.2.0 1.3.0 1.3.1 1.3.2 1.3.3 1.3.4 1.4.0 1.5.0 1.5.1 1.6.0 1.6.1", map[string]string{
		"1.0.0": "### Changed\n\n- the start command is another one: `bin/dev` is gone\n- a database migration gives every table a primary key of another kind",
	})
	var migrated atomic.Bool
	var first moment
	w.plane.Kubelet.Play("freikin/dawarich:1.6.1", func(ctx context.Context, c *kube.Container) {
		migrated.Store(true)
		crashes(&first, 127, "Error", "== 20260101 ChangePrimaryKeys: migrated", "exec: bin/dev: not found")(ctx, c)
	})
	w.plane.Kubelet.Play("freikin/dawarich:0.37.1", func(ctx context.Context, c *kube.Container) {
		if migrated.Load() {
			kube.CrashLoop(0, "UnknownPrimaryKey")(ctx, c)
			return
		}
		kube.ReadyAfter(0)(ctx, c)
	})
	j := w.begin(t, "dawarich", "databases:\n  dawarich: { backup: { cronjob: dawarich/postgis-backup, restore: { cronjob: dawarich/postgis-restore } } }\n", map[string]string{"stacks/dawarich/main.tf": stack("",
		object{Kind: "deployment", Namespace: "dawarich", Name: "dawarich", Image: "freikin/dawarich:0.37.1", Recreate: true},
		object{Kind: "deployment", Namespace: "dawarich", Name: "sidekiq", Image: "freikin/dawarich:0.37.1", Recreate: true},
		object{Kind: "stateful_set", Namespace: "dawarich", Name: "postgis", Image: "postgis/postgis:17-3.5-alpine"})})
	j.cronJob("dawarich", "postgis-backup", dumps)
	j.cronJob("dawarich", "postgis-restore", func(ctx context.Context, c *kube.Container) {
		for _, name := range []string{"dawarich", "sidekiq"} {
			if d, err := w.client.AppsV1().Deployments("dawarich").Get(ctx, name, metav1.GetOptions{}); err != nil || *d.Spec.Replicas != 0 {
				t.Errorf("%s writes while the data is put back (%v)", name, err)
			}
		}
		if s, err := w.client.AppsV1().StatefulSets("dawarich").Get(ctx, "postgis", metav1.GetOptions{}); err != nil || *s.Spec.Replicas != 1 {
			t.Errorf("the database was stopped before its data was put back (%v)", err)
		}
		migrated.Store(false)
		kube.Succeeds(0, "restored")(ctx, c)
	})
	j.dispatch("docker.io/freikin/dawarich", "1.6.1")
	j.approve("dawarich")
	j.reaches("dawarich", lifecycle.Reverting, "data may have been migrated")
	upgrade, revert := j.pull("dawarich"), j.revert("dawarich")
	line, _, _ := strings.Cut(revert.Body, "\n")
	j.says(line, "may have migrated data", "dawarich/postgis-backup-")
	j.says(revert.Body, "bin/dev: not found", "`/upgrade restore`")
	j.labelled(revert, "belay", "revert", "data migration")
	j.main("stacks/dawarich/main.tf", "dawarich:0.37.1", "dawarich:1.6.1")
	j.watched("dawarich", upgrade.MergeSHA)
	j.reverted("dawarich", &first)
	j.repo.Comment(revert.Number, "ana", "/upgrade restore")
	j.reaches("dawarich", lifecycle.Reverted, "")
	j.main()
	j.runs("dawarich", "dawarich", "freikin/dawarich:0.37.1")
	j.runs("dawarich", "sidekiq", "freikin/dawarich:0.37.1")
	j.jobs("dawarich", 2)
	j.alone(2)
	j.arrives("dawarich", "0.37.1", "1.6.1", "failed after its migrations, not reverted blindly, /upgrade restore: image and data back together")
}

// Its pods are Ready and it answers 502: the probe that a kubelet makes is not a
// visitor. Somebody changes the file meanwhile, which the revert keeps.
func gateway(t *testing.T, w *world) {
	w.upstream.publish("acme/gateway", "1.1.0", nil)
	j := w.begin(t, "gateway", "", map[string]string{"stacks/gateway/main.tf": stack(ingress("gateway", "gateway.example.com"),
		object{Kind: "deployment", Namespace: "gateway", Name: "gateway", Image: "ghcr.io/acme/gateway:1.0.0"})})
	var failed moment
	w.site.plays("gateway.example.com", func() int {
		d, err := w.client.AppsV1().Deployments("gateway").Get(context.Background(), "gateway", metav1.GetOptions{})
		if err == nil && strings.HasSuffix(d.Spec.Template.Spec.Containers[0].Image, ":1.1.0") {
			failed.now()
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	j.dispatch("ghcr.io/acme/gateway", "1.1.0")
	j.reaches("gateway", lifecycle.Watching, "")
	text, err := j.repo.File("main", "stacks/gateway/main.tf")
	must(t, err)
	_, err = j.repo.Push("ana", "main", "say whose it is", map[string]string{"stacks/gateway/main.tf": "# Ana's\n" + text})
	must(t, err)
	j.files["stacks/gateway/main.tf"] = "# Ana's\n" + j.files["stacks/gateway/main.tf"]
	j.reaches("gateway", lifecycle.Reverted, "")
	j.says(j.revert("gateway").Body, "**Undoes gateway `1.1.0`** and puts `1.0.0` back.", "https://gateway.example.com: 502 Bad Gateway, ")
	j.labelled(j.revert("gateway"), "belay", "revert")
	j.watched("gateway", j.pull("gateway").MergeSHA)
	j.reverted("gateway", &failed)
	j.main()
	j.runs("gateway", "gateway", "ghcr.io/acme/gateway:1.0.0")
	j.alone(2)
	j.arrives("gateway", "1.0.0", "1.1.0", "Ready, and 502 to visitors: reverted on today's base, 1.0.0 verified")
}

// CI waits for the roll-out by itself and gives up: the revert says why all the same.
func failedApply(t *testing.T, w *world) {
	w.upstream.publish("acme/sync", "1.0.1", nil)
	var first moment
	w.plane.Kubelet.Play("ghcr.io/acme/sync:1.0.1", crashes(&first, 1, "Error", "panic: no such table: devices"))
	j := w.begin(t, "sync", "", map[string]string{"stacks/sync/main.tf": stack("",
		object{Kind: "deployment", Namespace: "sync", Name: "sync", Image: "ghcr.io/acme/sync:1.0.0"})})
	j.ci.decide(func(n int) string { return map[bool]string{true: stuck, false: "success"}[n == 1] })
	j.dispatch("ghcr.io/acme/sync", "1.0.1")
	j.eventually("it crashes again and again", func() bool {
		pods, err := w.client.CoreV1().Pods("sync").List(j.Context(), metav1.ListOptions{})
		return err == nil && slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].State.Waiting.Reason == "CrashLoopBackOff"
		})
	})
	close(j.ci.gaveUp)
	j.reaches("sync", lifecycle.Reverted, "")
	j.says(j.revert("sync").Body, "CI could not apply it", "panic: no such table: devices")
	j.reverted("sync", &first)
	j.main()
	j.runs("sync", "sync", "ghcr.io/acme/sync:1.0.0")
	j.alone(2)
	j.arrives("sync", "1.0.0", "1.0.1", "crashed while CI waited for the roll-out: reverted with the pod's log")
}

// The old version is not well either: a person is called, and the service left alone.
func failedRevert(t *testing.T, w *world) {
	w.upstream.publish("acme/wiki", "4.0.1 4.0.2", nil)
	var spoilt atomic.Bool
	var first moment
	w.plane.Kubelet.Play("ghcr.io/acme/wiki:4.0.1", func(ctx context.Context, c *kube.Container) {
		spoilt.Store(true)
		crashes(&first, 1, "Error", "panic: index of another version")(ctx, c)
	})
	w.plane.Kubelet.Play("ghcr.io/acme/wiki:4.0.0", func(ctx context.Context, c *kube.Container) {
		if spoilt.Load() {
			kube.CrashLoop(0, "panic: the index is newer than I am")(ctx, c)
			return
		}
		kube.ReadyAfter(0)(ctx, c)
	})
	j := w.begin(t, "wiki", "", map[string]string{"stacks/wiki/main.tf": stack("",
		object{Kind: "deployment", Namespace: "wiki", Name: "wiki", Image: "ghcr.io/acme/wiki:4.0.0", Recreate: true})})
	j.dispatch("ghcr.io/acme/wiki", "4.0.1")
	critical := j.reaches("wiki", lifecycle.Critical, "the index is newer than I am")
	j.reverted("wiki", &first)
	j.says(j.revert("wiki").Body, "**Undoes wiki `4.0.1`** and puts `4.0.0` back.", "panic: index of another version")
	j.watched("wiki", j.pull("wiki").MergeSHA)
	j.main()
	j.eventually("a person is called, and sees what the old version says", func() bool {
		for _, c := range j.pull("wiki").Comments {
			if strings.Contains(c.Body, "CRITICAL") && strings.Contains(c.Body, "the index is newer than I am") {
				return true
			}
		}
		return false
	})
	j.dispatch("ghcr.io/acme/wiki", "4.0.2")
	j.reaches("wiki", lifecycle.Queued, "resume")
	j.alone(2)
	j.repo.Comment(critical.Pull, "ana", "/upgrade resume")
	j.reaches("wiki", lifecycle.Verified, "healthy for")
	j.main("stacks/wiki/main.tf", "wiki:4.0.0", "wiki:4.0.2")
	j.alone(3)
	j.arrives("wiki", "4.0.0", "4.0.1", "crashed, the revert too: CRITICAL, locked, resumed, 4.0.2 verified")
}
