// Package kube runs a real Kubernetes control plane on loopback: etcd,
// kube-apiserver and kube-controller-manager as hack/setup builds them, with a
// node of its own whose kubelet plays scripts instead of running containers.
//
// Deployments, ReplicaSets, Jobs and CronJobs are made by the real controllers,
// rights are judged by the real RBAC, and logs come through the API server's
// kubelet proxy. Tests and `belay demo --kube` use it; nothing else of belay
// knows that it is there.
//
//	cluster := kube.ForTest(t)
//	cluster.Kubelet.Play("ghcr.io/acme/web:2.0", kube.CrashLoop(time.Second, "panic: no such table"))
//	client := kubernetes.NewForConfigOrDie(cluster.Config())
package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/belaybot/belay/bot/cluster/api"
)

// Version is the Kubernetes release that hack/kube/go.mod builds.
const Version = "v1.36.3"

// ErrNotBuilt says that the control plane's programs are not on this machine.
var ErrNotBuilt = errors.New("the Kubernetes control plane is not built: run hack/setup kube")

// Options say how a control plane is started. The zero value is good.
type Options struct {
	Bin   string       // directory of the programs; "" is where hack/setup puts them
	Dir   string       // where state, certificates and logs are kept; "" is a directory that Close removes
	Speed float64      // how much faster than the clock the kubelet's scripts play; 0 is 1
	Log   *slog.Logger // nil: nothing is logged
}

// ControlPlane is a running cluster.
type ControlPlane struct {
	Kubelet *Kubelet

	opts   Options
	dir    string
	remove bool
	bin    string
	ports  ports
	certs  *certificates
	token  string
	config *rest.Config

	mu        sync.Mutex
	storage   *storage
	etcd      *process
	apiserver *process
	manager   *process
}

// ports are where the parts listen.
type ports struct{ etcd, peer, apiserver, manager int }

// Start brings a control plane up and returns when it serves, the controllers
// are running and the node is Ready. It returns ErrNotBuilt where hack/setup
// has not run. The processes end with Close, and with this process whatever
// happens to it.
func Start(ctx context.Context, opts Options) (*ControlPlane, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Speed == 0 {
		opts.Speed = 1
	}
	bin := opts.Bin
	if bin == "" {
		bin = programs()
	}
	if _, err := os.Stat(filepath.Join(bin, "ready")); err != nil {
		return nil, fmt.Errorf("%w (looked in %s)", ErrNotBuilt, bin)
	}
	cp := &ControlPlane{opts: opts, bin: bin, dir: opts.Dir}
	if cp.dir == "" {
		dir, err := temporary()
		if err != nil {
			return nil, err
		}
		cp.dir, cp.remove = dir, true
	}
	if err := cp.start(ctx); err != nil {
		return nil, errors.Join(err, cp.Close())
	}
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context) error {
	var err error
	if cp.certs, err = newCertificates(cp.dir); err != nil {
		return err
	}
	if err := cp.writeTokens(); err != nil {
		return err
	}
	// A free port may be taken by somebody else before etcd or the API server
	// listens on it, so a failed start is tried again with other ones.
	for attempt := 0; ; attempt++ {
		if err = cp.startProcesses(ctx); err == nil || attempt == 2 || ctx.Err() != nil {
			break
		}
		cp.opts.Log.Warn("control plane does not start, trying other ports", "err", err)
		cp.stopProcesses()
	}
	if err != nil {
		return err
	}
	cp.Kubelet, err = startKubelet(ctx, cp)
	return err
}

// Close ends the kubelet and the processes and removes what they kept.
func (cp *ControlPlane) Close() error {
	cp.mu.Lock()
	storage := cp.storage
	cp.mu.Unlock()
	if storage != nil {
		storage.close()
	}
	if cp.Kubelet != nil {
		cp.Kubelet.close()
	}
	cp.stopProcesses()
	if cp.remove {
		return os.RemoveAll(cp.dir)
	}
	return nil
}

// URL is where the API server listens: https://127.0.0.1:1234
func (cp *ControlPlane) URL() string {
	return fmt.Sprintf("https://127.0.0.1:%d", cp.ports.apiserver)
}

// Config is for a client with all rights.
func (cp *ControlPlane) Config() *rest.Config { return rest.CopyConfig(cp.config) }

// ConfigFor is for a client that has the rights of the user and no more, as
// RBAC gives them: "ana", or "system:serviceaccount:belay:belay", an existing
// service account, whose own token is then used.
func (cp *ControlPlane) ConfigFor(ctx context.Context, user string) (*rest.Config, error) {
	config := cp.Config()
	namespace, name, ok := serviceAccount(user)
	if !ok {
		config.Impersonate = rest.ImpersonationConfig{UserName: user}
		return config, nil
	}
	client, err := api.New(config)
	if err != nil {
		return nil, err
	}
	answer, err := client.Core.Post().Namespace(namespace).Resource("serviceaccounts").Name(name).SubResource("token").
		SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").
		Body([]byte(`{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}`)).DoRaw(ctx)
	var token struct{ Status struct{ Token string } }
	if err == nil {
		err = json.Unmarshal(answer, &token)
	}
	if err != nil {
		return nil, fmt.Errorf("token of service account %s/%s: %w", namespace, name, err)
	}
	config.BearerToken = token.Status.Token
	return config, nil
}

// WriteKubeconfig writes a kubeconfig with all rights and returns its path.
func (cp *ControlPlane) WriteKubeconfig() (string, error) {
	path := filepath.Join(cp.dir, "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["belay"] = &clientcmdapi.Cluster{Server: cp.URL(), CertificateAuthorityData: cp.certs.ca}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: cp.token}
	config.Contexts["belay"] = &clientcmdapi.Context{Cluster: "belay", AuthInfo: "admin"}
	config.CurrentContext = "belay"
	return path, clientcmd.WriteToFile(*config, path)
}

// Logs writes the last lines of every process to w, for a failure that needs
// explaining.
func (cp *ControlPlane) Logs(w io.Writer) {
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager"} {
		fmt.Fprintf(w, "--- %s\n%s\n", name, tail(cp.logFile(name)))
	}
}

func (cp *ControlPlane) logFile(name string) string { return filepath.Join(cp.dir, name+".log") }
