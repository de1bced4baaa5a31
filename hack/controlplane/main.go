// Command controlplane runs the control plane of the tests for a person to look
// at, until it is interrupted. `make kube` builds and runs it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/belaybot/belay/bot/sandbox/kube"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cluster, err := kube.Start(ctx, kube.Options{})
	if err != nil {
		return err
	}
	path, err := cluster.WriteKubeconfig()
	if err == nil {
		err = addNamespaces(ctx, cluster)
	}
	if err == nil {
		fmt.Printf("Kubernetes %s at %s; Ctrl-C ends it.\n\nexport KUBECONFIG=%s\n", kube.Version, cluster.URL(), path)
		<-ctx.Done()
	}
	if closed := cluster.Close(); err == nil {
		err = closed
	}
	return err
}

// addNamespaces makes those that deploy/ speaks of, so that
// `kubectl apply --dry-run=server -f deploy/` has something to be held against.
func addNamespaces(ctx context.Context, cluster *kube.ControlPlane) error {
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		return err
	}
	for _, name := range []string{"belay", "dbaas"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
