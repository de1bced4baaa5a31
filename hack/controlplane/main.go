// Command controlplane runs the control plane of the tests for a person to look
// at, until it is interrupted. `make kube` builds and runs it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

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
		fmt.Printf("Kubernetes %s at %s; Ctrl-C ends it.\n\nexport KUBECONFIG=%s\n", kube.Version, cluster.URL(), path)
		<-ctx.Done()
	}
	if closed := cluster.Close(); err == nil {
		err = closed
	}
	return err
}
