package cluster_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/watch"
)

// Each row is a roll-out on the real control plane: what is there before and
// what happens, and what the looks come to.
func TestRollouts(t *testing.T) {
	second := time.Second
	for _, tc := range []struct {
		name   string
		act    func(w *stage)
		state  watch.State
		causes []watch.Cause
		detail string
		log    string
		never  func(watch.Sample) bool
	}{
		{name: "a Deployment becomes ready", state: watch.Good, detail: "2 of 2 pods are Ready", never: unhealthy, act: func(w *stage) {
			w.play("v2", kube.ReadyAfter(second/5))
			w.deployment("v1", 2, nil)
			w.move("deployments", "v2")
		}},
		{name: "Terraform ignores the image", state: watch.NotDeployed, detail: "v1, not v2", never: unhealthy, act: func(w *stage) { w.deployment("v1", 1, nil) }},
		{name: "the new version crashes", state: watch.Fatal, causes: []watch.Cause{watch.CauseCrash, watch.CauseRestarts}, detail: "container web", log: "panic: no such table", act: func(w *stage) {
			w.play("v2", kube.CrashLoop(second/5, "starting", "panic: no such table"))
			w.deployment("v1", 1, nil)
			w.move("deployments", "v2")
		}},
		{name: "the new version needs more memory", state: watch.Fatal, causes: []watch.Cause{watch.CauseOOM}, detail: "OOMKilled", log: "indexing", act: func(w *stage) {
			w.play("v2", kube.OOM(second/5, "indexing"))
			w.deployment("v2", 1, nil)
		}},
		{name: "the image does not exist", state: watch.Fatal, causes: []watch.Cause{watch.CausePull}, detail: "manifest unknown", act: func(w *stage) {
			w.play("v2", kube.PullFails())
			w.deployment("v2", 1, nil)
		}},
		{name: "restarts rise after a while", state: watch.Fatal, causes: []watch.Cause{watch.CauseRestarts, watch.CauseCrash}, detail: "container web", log: "out of handles", act: func(w *stage) {
			w.play("v2", kube.RestartsAfter(2*second, 2*second, "out of handles"))
			w.deployment("v2", 1, nil)
		}},
		{name: "it never becomes ready", state: watch.Progressing, detail: "0 of 1 pods are Ready", never: unhealthy, act: func(w *stage) {
			w.play("v2", kube.NeverReady("waiting for nothing"))
			w.deployment("v2", 1, nil)
		}},
		{name: "the progress deadline is exceeded", state: watch.Fatal, causes: []watch.Cause{watch.CauseDeadline}, detail: "progressing", log: "waiting for nothing", act: func(w *stage) {
			w.play("v2", kube.NeverReady("waiting for nothing"))
			w.deployment("v2", 1, func(s *appsv1.DeploymentSpec) { s.ProgressDeadlineSeconds = new(int32(2)) })
		}},
		{name: "it stops being ready later", state: watch.Bad, causes: []watch.Cause{watch.CauseUnhealthy}, detail: "0 of 1 pods are Ready", log: "lost the database", act: func(w *stage) {
			w.play("v2", func(ctx context.Context, c *kube.Container) {
				c.Run()
				c.Ready(true)
				if c.Pause(ctx, 3*second) {
					c.Log("lost the database")
					c.Ready(false)
				}
			})
			w.deployment("v2", 1, nil)
		}},
		{name: "the old version crashes while the new one comes", state: watch.Good, never: unhealthy, act: func(w *stage) {
			w.play("v1", kube.CrashLoop(second/5, "the old trouble"))
			w.play("v2", kube.ReadyAfter(2*second))
			w.deployment("v1", 2, nil)
			w.move("deployments", "v2")
		}},
		{name: "the pod is evicted and made again", state: watch.Good, never: unhealthy, act: func(w *stage) {
			first := make(chan struct{}, 1)
			first <- struct{}{}
			w.play("v2", func(ctx context.Context, c *kube.Container) {
				select {
				case <-first:
					kube.Evicted(second/2, "the node was low on resource: memory")(ctx, c)
				default:
					kube.ReadyAfter(second/5)(ctx, c)
				}
			})
			w.deployment("v2", 1, nil)
		}},
		{name: "a sidecar crashes", state: watch.Fatal, causes: []watch.Cause{watch.CauseCrash, watch.CauseRestarts}, detail: "container proxy", log: "bad config", act: func(w *stage) {
			w.plane.Kubelet.Play(w.image+"-proxy:1", kube.CrashLoop(second/5, "bad config"))
			w.deployment("v2", 1, func(s *appsv1.DeploymentSpec) {
				s.Template.Spec.Containers = append(s.Template.Spec.Containers, corev1.Container{Name: "proxy", Image: w.image + "-proxy:1"})
			})
		}},
		{name: "an init container fails", state: watch.Fatal, causes: []watch.Cause{watch.CauseCrash}, detail: "init container migrate", act: func(w *stage) {
			w.deployment("v2", 1, func(s *appsv1.DeploymentSpec) {
				s.Template.Spec.NodeName = elsewhere
				s.Template.Spec.InitContainers = []corev1.Container{{Name: "migrate", Image: w.image + ":v2"}}
			})
			w.failInit()
		}},
		{name: "scaled to nothing", state: watch.NotDeployed, detail: "suspended workload", never: unhealthy, act: func(w *stage) { w.deployment("v2", 0, nil) }},
		{name: "paused half way", state: watch.NotDeployed, detail: "paused", never: unhealthy, act: func(w *stage) {
			w.deployment("v1", 1, func(s *appsv1.DeploymentSpec) { s.Paused = true })
			w.move("deployments", "v2")
		}},
		{name: "a quota refuses the pods", state: watch.Bad, causes: []watch.Cause{watch.CauseUnhealthy}, detail: "quota", act: func(w *stage) {
			w.quota()
			w.deployment("v2", 1, nil)
		}},
		{name: "a StatefulSet becomes ready", state: watch.Good, detail: "2 of 2", never: unhealthy, act: func(w *stage) {
			w.play("v2", kube.ReadyAfter(second/5))
			w.statefulSet("v1", 2, nil)
			w.move("statefulsets", "v2")
		}},
		{name: "a StatefulSet crashes", state: watch.Fatal, causes: []watch.Cause{watch.CauseCrash, watch.CauseRestarts}, log: "bad page", act: func(w *stage) {
			w.play("v2", kube.CrashLoop(second/5, "bad page"))
			w.statefulSet("v1", 2, nil)
			w.move("statefulsets", "v2")
		}},
		{name: "a partition keeps the old version", state: watch.NotDeployed, detail: "partition 1: 1 of 2", never: unhealthy, act: func(w *stage) {
			w.statefulSet("v1", 2, func(s *appsv1.StatefulSetSpec) {
				s.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType, RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(1))}}
			})
			w.move("statefulsets", "v2")
		}},
		{name: "a StatefulSet's pods wait to be deleted by hand", state: watch.NotDeployed, detail: "OnDelete", never: unhealthy, act: func(w *stage) {
			w.statefulSet("v1", 1, func(s *appsv1.StatefulSetSpec) {
				s.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
			})
			w.ready("web-0")
			w.move("statefulsets", "v2")
		}},
		{name: "a DaemonSet becomes ready", state: watch.Good, detail: "1 of 1", never: unhealthy, act: func(w *stage) { w.daemonSet("v2") }},
		{name: "a DaemonSet crashes", state: watch.Fatal, causes: []watch.Cause{watch.CauseCrash, watch.CauseRestarts}, act: func(w *stage) {
			w.play("v2", kube.CrashLoop(second/5))
			w.daemonSet("v2")
		}},
		{name: "a CronJob's next Job has the new version", state: watch.Good, detail: "none has run since", never: unhealthy, act: func(w *stage) { w.cronJob("v2", false) }},
		{name: "a suspended CronJob", state: watch.NotDeployed, detail: "suspended workload", never: unhealthy, act: func(w *stage) { w.cronJob("v2", true) }},
		{name: "a CronJob's Job succeeded", state: watch.Good, detail: "succeeded", never: unhealthy, act: func(w *stage) {
			w.subject.Since = time.Now().Add(-time.Minute)
			w.play("v2", kube.Succeeds(second/5))
			w.run(w.cronJob("v2", false))
		}},
		{name: "a CronJob's Job failed", state: watch.Fatal, causes: []watch.Cause{watch.CauseCrash}, detail: "BackoffLimitExceeded", log: "no such bucket", act: func(w *stage) {
			w.subject.Since = time.Now().Add(-time.Minute)
			w.play("v2", kube.Exits(second/5, 3, "no such bucket"))
			w.run(w.cronJob("v2", false))
		}},
		{name: "a Helm release's Deployment is found by its image", state: watch.Good, never: unhealthy, act: func(w *stage) {
			w.subject.Workloads = nil
			w.deployment("v2", 1, nil)
		}},
		{name: "a pod of its own", state: watch.Good, never: unhealthy, act: func(w *stage) {
			w.subject.Workloads = nil
			_, err := w.client.CoreV1().Pods(w.namespace).Create(w.ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: w.template("v2").Spec}, metav1.CreateOptions{})
			w.must(err)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newStage(t, shared(t))
			tc.act(w)
			last := w.until(tc.name, func(list []watch.Sample) bool {
				return is(tc.state)(list) && strings.Contains(list[0].Detail, tc.detail) && strings.Contains(list[0].Log, tc.log)
			}, tc.never)
			if s := last[0]; len(tc.causes) > 0 && !slices.Contains(tc.causes, s.Cause) || len(tc.causes) == 0 && s.Cause != "" {
				t.Errorf("cause %q, want one of %q: %s", s.Cause, tc.causes, s.Detail)
			}
			if tc.state == watch.Progressing {
				return // nothing more comes
			}
			before := w.requests.all.Load() - w.requests.live.Load()
			for range 10 {
				w.rollouts.Look(w.ctx, w.subject)
			}
			if more := w.requests.all.Load() - w.requests.live.Load() - before; more > 4 {
				t.Errorf("ten more looks cost %d requests", more)
			}
		})
	}
}
