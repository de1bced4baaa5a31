package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
)

// TestCronJobEnds has rows for every way in which the Job of a CronJob ends.
func TestCronJobEnds(t *testing.T) {
	for _, test := range []struct {
		name           string
		script         kube.Script
		cron           func(*batchv1.CronJob)
		expect, reject string
		state          lifecycle.Progress
		detail         []string // parts of it
	}{
		{
			name: "one that succeeds is good and shows its last lines", script: kube.Succeeds(0, "dumping", "dump complete"),
			state: lifecycle.Good, detail: []string{"has succeeded", "\ndump complete"},
		},
		{
			name: "the expected line is there", script: kube.Succeeds(0, "dumping", "dump complete: 254 MB", "bye"), expect: "dump complete",
			state: lifecycle.Good, detail: []string{"dump complete: 254 MB"},
		},
		{
			name: "the expected line is missing", script: kube.Succeeds(0, "nothing to do"), expect: "dump complete",
			state: lifecycle.Bad, detail: []string{"does not have what a backup has to say: dump complete", "\nnothing to do"},
		},
		{
			name: "a rejected line is there", script: kube.Succeeds(0, "pg_dump: error: connection lost", "dump complete"), expect: "dump complete", reject: "(?i)error:",
			state: lifecycle.Bad, detail: []string{"what backups must not say", "connection lost"},
		},
		{
			name: "one that fails tells the code, the reason and the log", script: kube.Exits(0, 3, "pg_dump: no space left on device"),
			state: lifecycle.Bad, detail: []string{"has failed: BackoffLimitExceeded", "exited with 3", "\npg_dump: no space left on device"},
		},
		{
			name: "one killed for its memory", script: kube.OOM(0, "dumping"),
			state: lifecycle.Bad, detail: []string{"OOMKilled"},
		},
		{
			name: "one whose pod is evicted", script: kube.Evicted(0, "The node was low on resource: ephemeral-storage."),
			state: lifecycle.Bad, detail: []string{"Evicted", "low on resource: ephemeral-storage"},
		},
		{
			name: "one that exceeds its own deadline", script: kube.Hangs("dumping"), cron: func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.ActiveDeadlineSeconds = new(int64(1)) },
			state: lifecycle.Bad, detail: []string{"DeadlineExceeded"},
		},
		{
			name: "a suspended CronJob runs all the same", script: kube.Succeeds(0, "dump complete"), cron: func(c *batchv1.CronJob) { c.Spec.Suspend = new(true) },
			state: lifecycle.Good, detail: []string{"dump complete"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			w.cronJob(test.script, test.cron)
			r := w.request("acme/home-ops linkwarden v2.14.0")
			r.Backup.Expect, r.Backup.Reject = test.expect, test.reject
			got := w.ended(r)
			if got.State != test.state || got.Shared || !strings.HasPrefix(got.Name, w.namespace+"/dump-") || got.Started.Before(r.Ready) {
				t.Errorf("got %+v, want %s", got, test.state)
			}
			for _, part := range test.detail {
				if !strings.Contains(got.Detail, part) {
					t.Errorf("%q is not in the detail:\n%s", part, got.Detail)
				}
			}
			again, err := w.life(w.plane.Config()).Backup(t.Context(), r)
			if err != nil || again.State != got.State || again.Name != got.Name || len(w.jobs()) != 1 {
				t.Errorf("a later life finds %+v, %v among %d Jobs, want the same as before", again, err, len(w.jobs()))
			}
		})
	}
}

func TestCronJobMakesTheJobThatKubectlMakes(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.cronJob(kube.Hangs(), func(c *batchv1.CronJob) {
		c.Spec.JobTemplate.Spec.TTLSecondsAfterFinished = new(int32)
		c.Spec.Suspend = new(true)
	})
	got, err := w.belay.Backup(t.Context(), w.request("a key"))
	w.must(err)
	if got.State != lifecycle.Running || !strings.Contains(got.Detail, "the CronJob is suspended") {
		t.Errorf("got %+v", got)
	}
	cron, err := w.admin.BatchV1().CronJobs(w.namespace).Get(t.Context(), "dump", metav1.GetOptions{})
	w.must(err)
	job := w.jobs()[0]
	if !metav1.IsControlledBy(&job, cron) || *job.OwnerReferences[0].Controller != true || job.OwnerReferences[0].BlockOwnerDeletion != nil {
		t.Errorf("owner %+v", job.OwnerReferences)
	}
	for _, pair := range [][2]string{
		{job.Labels["app"], "dump"}, {job.Labels["app.kubernetes.io/managed-by"], "belay"}, {job.Labels["belaybot.github.io/service"], "linkwarden"},
		{job.Annotations["note"], "kept"}, {job.Annotations["cronjob.kubernetes.io/instantiate"], "manual"}, {job.Annotations["belaybot.github.io/key"], "a key"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("got %q, want %q", pair[0], pair[1])
		}
	}
	if *job.Spec.TTLSecondsAfterFinished < 3600 {
		t.Errorf("the Job is gone %d s after its end, maybe before anybody saw it", *job.Spec.TTLSecondsAfterFinished)
	}
}

func TestCronJobIsShared(t *testing.T) {
	for _, test := range []struct {
		name   string
		script kube.Script
		second func(*place, *cluster.BackupRequest) // how the second request differs
		shared bool
	}{
		{name: "a fresh one serves another service", shared: true},
		{name: "one under way serves another service", script: kube.Hangs(), shared: true},
		{name: "one that started before the pull request was mergeable does not", second: func(_ *place, r *cluster.BackupRequest) { r.Ready = time.Now().Add(2 * time.Second) }},
		{name: "one that is too old does not", second: func(w *place, _ *cluster.BackupRequest) { w.clock.forward(2 * time.Hour) }},
		{name: "one that failed does not", script: kube.Exits(0, 1)},
		{name: "one whose log lacks what is expected does not", second: func(_ *place, r *cluster.BackupRequest) { r.Backup.Expect = "all databases" }},
		{name: "one that hangs does not", script: kube.Hangs(), second: func(w *place, _ *cluster.BackupRequest) { w.clock.forward(6 * time.Minute) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			script := test.script
			hangs := test.name == "one under way serves another service" || test.name == "one that hangs does not"
			if script == nil {
				script = kube.Succeeds(0, "dump complete")
			}
			w.cronJob(script, nil)
			var first cluster.BackupResult
			if hangs {
				var err error
				first, err = w.belay.Backup(t.Context(), w.request("linkwarden"))
				w.must(err)
			} else {
				first = w.ended(w.request("linkwarden"))
			}
			r := w.request("dawarich")
			if test.second != nil {
				test.second(w, &r)
			}
			second, err := w.belay.Backup(t.Context(), r)
			w.must(err)
			if second.Shared != test.shared || (second.Name == first.Name) != test.shared {
				t.Errorf("first  %+v\nsecond %+v\nwant shared %v", first, second, test.shared)
			}
			if want := map[bool]int{true: 1, false: 2}[test.shared]; len(w.jobs()) != want {
				t.Errorf("%d Jobs, want %d", len(w.jobs()), want)
			}
		})
	}
}

func TestCronJobForbidsTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	script, open := gate(0, "dump complete")
	w.cronJob(script, func(c *batchv1.CronJob) { c.Spec.ConcurrencyPolicy = batchv1.ForbidConcurrent })
	first, err := w.belay.Backup(t.Context(), w.request("first"))
	w.must(err)
	second := w.request("second")
	second.Ready = time.Now().Add(2 * time.Second) // the running one is too old for it
	waits, err := w.belay.Backup(t.Context(), second)
	w.must(err)
	if waits.State != lifecycle.Running || waits.Name != "" || !strings.Contains(waits.Detail, first.Name) || !strings.Contains(waits.Detail, "Forbid") {
		t.Errorf("got %+v, want it to wait for %s", waits, first.Name)
	}
	w.clock.forward(6 * time.Minute)
	tired, err := w.belay.Backup(t.Context(), second)
	w.must(err)
	if tired.State != lifecycle.Bad || !strings.Contains(tired.Detail, "no backup was started within 5m0s") {
		t.Errorf("after the time-out got %+v", tired)
	}
	open()
	own := w.until("its turn", func() (cluster.BackupResult, error) { return w.belay.Backup(t.Context(), second) },
		func(r cluster.BackupResult) bool { return r.Name != "" })
	if own.Name == first.Name || own.Shared || len(w.jobs()) != 2 {
		t.Errorf("got %+v, want a Job of its own", own)
	}
}

func TestCronJobAllowsTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.cronJob(kube.Hangs(), nil)
	first, err := w.belay.Backup(t.Context(), w.request("first"))
	w.must(err)
	r := w.request("second")
	r.Ready = time.Now().Add(2 * time.Second)
	second, err := w.belay.Backup(t.Context(), r)
	w.must(err)
	if second.Name == "" || second.Name == first.Name {
		t.Errorf("got %+v beside %s", second, first.Name)
	}
}

func TestCronJobIsRefused(t *testing.T) {
	t.Run("a CronJob that is missing", func(t *testing.T) {
		t.Parallel()
		w := newPlace(t)
		w.refused("", "CronJob "+w.namespace+"/dump does not exist")
	})
	t.Run("no rights at all: the line to add is said", func(t *testing.T) {
		t.Parallel()
		w := newPlace(t)
		w.cronJob(kube.Succeeds(0), nil)
		w.refused("nobody", "belay is not allowed to get jobs.batch "+w.namespace+"/dump-", `- apiGroups: ["batch"]`, `resources: ["jobs"]`, `verbs: ["get"]`)
	})
	t.Run("a quota for Jobs", func(t *testing.T) {
		t.Parallel()
		w := newPlace(t)
		w.cronJob(kube.Succeeds(0), nil)
		w.quota("count/jobs.batch")
		w.refused("", "a quota refuses to create jobs.batch", "exceeded quota: none")
	})
	t.Run("a target without a namespace", func(t *testing.T) {
		t.Parallel()
		w := newPlace(t)
		r := w.request("key")
		r.Backup.Target = "dump"
		got, err := w.belay.Backup(t.Context(), r)
		if err != nil || got.State != lifecycle.Bad || !strings.Contains(got.Detail, "write namespace/name") {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// refused asks once, as the user or as one with all rights, and wants a Bad with
// these words.
func (w *place) refused(user string, words ...string) {
	w.Helper()
	if user != "" {
		config, err := w.plane.ConfigFor(w.Context(), user)
		w.must(err)
		w.belay = w.life(config)
	}
	got, err := w.belay.Backup(w.Context(), w.request("key"))
	if err != nil || got.State != lifecycle.Bad {
		w.Errorf("got %+v, %v, want bad", got, err)
	}
	for _, word := range words {
		if !strings.Contains(got.Detail, word) {
			w.Errorf("%q is not in the detail:\n%s", word, got.Detail)
		}
	}
}

// quota allows none of the resource in the namespace.
func (w *place) quota(name corev1.ResourceName) {
	w.Helper()
	none := corev1.ResourceList{name: resource.MustParse("0")}
	quotas := w.admin.CoreV1().ResourceQuotas(w.namespace)
	_, err := quotas.Create(w.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none},
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the quota is counted", func(ctx context.Context) (bool, error) {
		quota, err := quotas.Get(ctx, "none", metav1.GetOptions{})
		return err == nil && len(quota.Status.Hard) > 0 && len(quota.Status.Used) > 0, err
	})
}

func TestCronJobTakesTooLong(t *testing.T) {
	for _, test := range []struct {
		name    string
		script  kube.Script
		quota   corev1.ResourceName
		waiting string // said meanwhile
		late    []string
	}{
		{name: "a Job that hangs", script: kube.Hangs("connecting to 10.0.0.7"), late: []string{"has not ended within 5m0s", "\nconnecting to 10.0.0.7"}},
		{name: "an image that cannot be pulled", script: kube.PullFails(), waiting: "ImagePullBackOff", late: []string{"ImagePullBackOff"}},
		{name: "a quota for pods", script: kube.Succeeds(0), quota: "pods", waiting: "exceeded quota", late: []string{"exceeded quota"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newPlace(t)
			w.cronJob(test.script, nil)
			if test.quota != "" {
				w.quota(test.quota)
			}
			r := w.request("key")
			ask := func() (cluster.BackupResult, error) { return w.belay.Backup(t.Context(), r) }
			w.until("a word about it", ask, func(got cluster.BackupResult) bool {
				return got.State == lifecycle.Running && strings.Contains(got.Detail, "is running") && strings.Contains(got.Detail, test.waiting)
			})
			w.podStarted(test.quota == "" && test.waiting == "")
			w.clock.forward(6 * time.Minute)
			got, err := ask()
			w.must(err)
			if got.State != lifecycle.Bad {
				t.Errorf("got %+v", got)
			}
			for _, word := range test.late {
				if !strings.Contains(got.Detail, word) {
					t.Errorf("%q is not in the detail:\n%s", word, got.Detail)
				}
			}
		})
	}
}

// podStarted waits until the one pod of the namespace runs.
func (w *place) podStarted(wanted bool) {
	w.Helper()
	if !wanted {
		return
	}
	w.until("a running pod", func() (cluster.BackupResult, error) {
		pods, err := w.admin.CoreV1().Pods(w.namespace).List(w.Context(), metav1.ListOptions{})
		if err == nil && len(pods.Items) == 1 && pods.Items[0].Status.Phase == corev1.PodRunning {
			return cluster.BackupResult{State: lifecycle.Good}, nil
		}
		return cluster.BackupResult{State: lifecycle.Running}, err
	}, isOver)
}

func TestCronJobDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.cronJob(kube.Hangs(), nil)
	r := w.request("key")
	_, err := w.belay.Backup(t.Context(), r)
	w.must(err)
	w.must(w.admin.BatchV1().Jobs(w.namespace).Delete(t.Context(), w.jobs()[0].Name, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}))
	got := w.ended(r)
	if got.State != lifecycle.Bad || !strings.Contains(got.Detail, "deleted") {
		t.Errorf("got %+v", got)
	}
	if again := w.ended(r); again.State != lifecycle.Bad || len(w.jobs()) > 0 {
		t.Errorf("asked again got %+v among %d Jobs", again, len(w.jobs()))
	}
	next, err := w.belay.Backup(t.Context(), w.request("the next attempt"))
	if err != nil || next.State != lifecycle.Running {
		t.Errorf("another attempt: %+v, %v", next, err)
	}
}

func TestCronJobOfAnEarlierWaitIsMadeAnew(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.cronJob(kube.Succeeds(0), nil)
	r := w.request("key")
	first := w.ended(r)
	// The checks went red and green again: the backup is from before.
	r.Ready = time.Now().Add(2 * time.Second)
	w.clock.forward(2 * time.Second)
	second, err := w.belay.Backup(t.Context(), r)
	w.must(err)
	if second.State != lifecycle.Running || second.Name != first.Name+"-2" {
		t.Errorf("got %+v after %s", second, first.Name)
	}
}

func TestManyAtOnceMakeOneJob(t *testing.T) {
	t.Parallel()
	w := newPlace(t)
	w.cronJob(kube.Hangs(), nil)
	var asking sync.WaitGroup
	for i := range 8 {
		asking.Go(func() {
			if _, err := w.belay.Backup(t.Context(), w.request(fmt.Sprint("service ", i))); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if n := len(w.jobs()); n != 1 {
		t.Errorf("eight services made %d Jobs in one life, want one for all", n)
	}
	r := w.request("one service")
	r.Ready = time.Now().Add(2 * time.Second) // the first is too old
	for range 8 {
		replica := w.life(w.plane.Config())
		asking.Go(func() { _, _ = replica.Backup(t.Context(), r) }) // who comes second may be told to try again
	}
	asking.Wait()
	if n := len(w.jobs()); n != 2 {
		t.Errorf("eight replicas made %d Jobs for one key", n-1)
	}
	if got, err := w.belay.Backup(t.Context(), r); err != nil || got.State != lifecycle.Running || got.Shared {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBlindIsNotBad(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "etcdserver: leader changed", http.StatusInternalServerError)
	}))
	defer broken.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, url := range map[string]string{"an API server that is out of order": broken.URL, "an API server that is away": gone.URL} {
		belay, err := cluster.New(cluster.Options{Config: &rest.Config{Host: url}})
		if err != nil {
			t.Fatal(err)
		}
		w := &place{T: t, namespace: "dbaas"}
		if got, err := belay.Backup(t.Context(), w.request("key")); err == nil || got.State != "" {
			t.Errorf("%s: got %+v, %v, want an error", name, got, err)
		}
	}
}
