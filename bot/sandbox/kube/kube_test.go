package kube_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/belaybot/belay/bot/sandbox/kube"
)

func TestMain(m *testing.M) { os.Exit(kube.Main(m)) }

func client(t *testing.T) (*kube.ControlPlane, kubernetes.Interface, string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	cluster := kube.ForTest(t)
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return cluster, client, namespace.Name
}

// eventually waits until the pods of the namespace come to what is wanted.
func eventually(t *testing.T, client kubernetes.Interface, namespace, want string, say func(*corev1.Pod) string) {
	t.Helper()
	var got string
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		got = ""
		for _, pod := range pods.Items {
			got += say(&pod)
		}
		return got == want, nil
	})
	if err != nil {
		t.Fatalf("pods: %v\ngot  %s\nwant %s", err, got, want)
	}
}

func describe(pod *corev1.Pod) string {
	text := string(pod.Status.Phase)
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.Ready:
			text += " ready"
		case c.State.Waiting != nil:
			text += " " + c.State.Waiting.Reason
		case c.State.Terminated != nil:
			text += fmt.Sprint(" ", c.State.Terminated.Reason, " ", c.State.Terminated.ExitCode)
		}
		if last := c.LastTerminationState.Terminated; last != nil {
			text += fmt.Sprint(" after ", last.Reason, " ", last.ExitCode)
		}
	}
	return text
}

func deploy(t *testing.T, client kubernetes.Interface, namespace, image string) {
	t.Helper()
	labels := map[string]string{"app": "web"}
	_, err := client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: template(labels, image, corev1.RestartPolicyAlways),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func template(labels map[string]string, image string, policy corev1.RestartPolicy) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{RestartPolicy: policy, Containers: []corev1.Container{{Name: "main", Image: image}}},
	}
}

// TestScripts plays every script under a Deployment or a Job of the real
// controllers.
func TestScripts(t *testing.T) {
	for _, test := range []struct {
		name   string
		script kube.Script
		job    bool
		want   string
	}{
		{name: "ready after a while", script: kube.ReadyAfter(100 * time.Millisecond), want: "Running ready"},
		{name: "never ready", script: kube.NeverReady(), want: "Running"},
		{name: "crashes and backs off", script: kube.CrashLoop(0), want: "Running CrashLoopBackOff after Error 1"},
		{name: "killed for its memory", script: kube.OOM(0), want: "Running CrashLoopBackOff after OOMKilled 137"},
		{name: "image cannot be pulled", script: kube.PullFails(), want: "Pending ImagePullBackOff"},
		{name: "flaps to not ready", script: kube.Flapping(200 * time.Millisecond), want: "Running"},
		{name: "restarts and is ready again", script: kube.RestartsAfter(time.Millisecond, time.Hour), want: "Running ready after Error 1"},
		{name: "a Job succeeds", script: kube.Succeeds(0), job: true, want: "Succeeded Completed 0"},
		{name: "a Job fails", script: kube.Exits(0, 3), job: true, want: "Failed Error 3"},
		{name: "a Job hangs", script: kube.Hangs(), job: true, want: "Running"},
		{name: "a Job's pod is evicted", script: kube.Evicted(0, "The node was low on resource: memory."), job: true, want: "Failed Error 137"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cluster, client, namespace := client(t)
			image := "example.org/" + namespace + ":1"
			cluster.Kubelet.Play(image, test.script)
			if test.job {
				_, err := client.BatchV1().Jobs(namespace).Create(t.Context(), &batchv1.Job{
					ObjectMeta: metav1.ObjectMeta{Name: "job"},
					Spec:       batchv1.JobSpec{BackoffLimit: new(int32), Template: template(nil, image, corev1.RestartPolicyNever)},
				}, metav1.CreateOptions{})
				if err != nil {
					t.Fatal(err)
				}
			} else {
				deploy(t, client, namespace, image)
			}
			eventually(t, client, namespace, test.want, describe)
		})
	}
}

func TestLogsComeThroughTheAPIServer(t *testing.T) {
	t.Parallel()
	cluster, client, namespace := client(t)
	release := make(chan struct{})
	cluster.Kubelet.Play("example.org/"+namespace, func(ctx context.Context, c *kube.Container) {
		c.Run()
		c.Log("first run", "panic: no such table")
		c.Exit(1, "Error")
		c.Run()
		c.Log("second run")
		c.Ready(true)
		select {
		case <-release:
			c.Log("released")
			c.Exit(0, "Completed")
		case <-ctx.Done():
		}
	})
	deploy(t, client, namespace, "example.org/"+namespace+":1")
	eventually(t, client, namespace, "Running ready after Error 1", describe)
	pods, err := client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	one := int64(1)
	for _, test := range []struct {
		name    string
		options corev1.PodLogOptions
		want    string
	}{
		{"the current run", corev1.PodLogOptions{}, "second run\n"},
		{"the previous run", corev1.PodLogOptions{Previous: true}, "first run\npanic: no such table\n"},
		{"the last line", corev1.PodLogOptions{Previous: true, TailLines: &one}, "panic: no such table\n"},
		{"the first byte", corev1.PodLogOptions{LimitBytes: &one}, "s"},
		{"followed to its end", corev1.PodLogOptions{Follow: true}, "second run\nreleased\n"},
	} {
		if test.options.Follow {
			close(release)
		}
		got, err := client.CoreV1().Pods(namespace).GetLogs(pods.Items[0].Name, &test.options).DoRaw(t.Context())
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestUsersHaveTheRightsOfRBAC(t *testing.T) {
	t.Parallel()
	cluster, admin, namespace := client(t)
	if _, err := admin.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "bot"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"ana", "system:serviceaccount:" + namespace + ":bot"} {
		config, err := cluster.ConfigFor(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		as := kubernetes.NewForConfigOrDie(config)
		_, err = as.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), user) {
			t.Errorf("%s lists pods without a right: %v", user, err)
		}
		subject := rbacv1.Subject{Kind: "User", Name: user, APIGroup: rbacv1.GroupName}
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "pods-"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}}}
		if role, err = admin.RbacV1().Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err = admin.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: []rbacv1.Subject{subject},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := as.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
			return err == nil, nil
		})
		if err != nil {
			t.Errorf("%s does not get the right: %v", user, err)
		}
	}
}

func TestAnAPIServerComesBackWithEverything(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	cluster, err := kube.Start(t.Context(), kube.Options{Speed: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	client := kubernetes.NewForConfigOrDie(cluster.Config())
	cluster.Kubelet.Play("example.org/web:1", kube.ReadyAfter(time.Second))
	deploy(t, client, "default", "example.org/web:1")
	cluster.StopAPIServer()
	if _, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("a stopped API server answers")
	}
	if err := cluster.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, client, "default", "Running ready", describe)
	if err := client.AppsV1().Deployments("default").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, client, "default", "", describe)
}

func TestVersionIsTheOneThatIsBuilt(t *testing.T) {
	module, err := os.ReadFile(filepath.FromSlash("../../../hack/kube/go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(module, []byte("k8s.io/kubernetes "+kube.Version+"\n")) && !bytes.Contains(module, []byte("k8s.io/kubernetes "+kube.Version+" ")) {
		t.Errorf("hack/kube/go.mod does not require k8s.io/kubernetes %s", kube.Version)
	}
}
