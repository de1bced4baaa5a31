package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"github.com/belaybot/belay/bot/cluster/api"
)

// startLimit is how long a part may take to serve: it takes seconds, and a
// minute on a machine that is busy with something else.
const startLimit = 2 * time.Minute

// writeTokens writes the API server's token file: the one user with all rights.
func (cp *ControlPlane) writeTokens() error {
	cp.token = random()
	return os.WriteFile(cp.certs.file("tokens.csv"), []byte(cp.token+",admin,admin,system:masters\n"), 0o600)
}

func (cp *ControlPlane) startProcesses(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, port := range []*int{&cp.ports.etcd, &cp.ports.peer, &cp.ports.apiserver, &cp.ports.manager} {
		var err error
		if *port, err = freePort(); err != nil {
			return err
		}
	}
	cp.config = &rest.Config{
		Host: cp.URL(), BearerToken: cp.token, TLSClientConfig: rest.TLSClientConfig{CAData: cp.certs.ca},
		QPS: -1, // the API server's own limits are enough here
	}
	if err := cp.startEtcd(ctx); err != nil {
		return err
	}
	if err := cp.StartAPIServer(ctx); err != nil {
		return err
	}
	return cp.startManager(ctx)
}

func (cp *ControlPlane) stopProcesses() {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.manager.kill()
	cp.apiserver.kill()
	cp.etcd.kill()
	cp.manager, cp.apiserver, cp.etcd = nil, nil, nil
}

func (cp *ControlPlane) startEtcd(ctx context.Context) error {
	data, err := os.MkdirTemp(cp.dir, "etcd-")
	if err != nil {
		return err
	}
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", cp.ports.etcd), fmt.Sprintf("http://127.0.0.1:%d", cp.ports.peer)
	process, err := run(cp.bin, "etcd", cp.logFile("etcd"),
		"--data-dir="+data, "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	if err != nil {
		return err
	}
	cp.mu.Lock()
	cp.etcd = process
	cp.mu.Unlock()
	return process.until(ctx, listens(cp.ports.etcd))
}

// StartAPIServer starts the API server after StopAPIServer, on the same port
// and with everything that was in it, and returns when it is ready.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	cp.mu.Lock()
	if cp.apiserver != nil {
		cp.mu.Unlock()
		return errors.New("the API server is running: stop it first")
	}
	process, err := run(cp.bin, "kube-apiserver", cp.logFile("kube-apiserver"),
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", cp.ports.etcd),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--secure-port="+strconv.Itoa(cp.ports.apiserver),
		"--tls-cert-file="+cp.certs.file("server.crt"), "--tls-private-key-file="+cp.certs.file("server.key"),
		"--kubelet-certificate-authority="+cp.certs.file("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--kubelet-client-certificate="+cp.certs.file("client.crt"), "--kubelet-client-key="+cp.certs.file("client.key"),
		"--service-account-issuer=https://belay.example.org",
		"--service-account-key-file="+cp.certs.file("service-account.key"), "--service-account-signing-key-file="+cp.certs.file("service-account.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC", "--token-auth-file="+cp.certs.file("tokens.csv"),
		"--disable-admission-plugins=ServiceAccount")
	cp.apiserver = process
	cp.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client, err := api.New(cp.config)
	if err != nil {
		return err
	}
	return process.until(ctx, func(ctx context.Context) error {
		_, err := client.Core.Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	})
}

// StopAPIServer ends the API server without a word to its clients, as a crash
// does: for the outage of an observer. Nothing is lost.
func (cp *ControlPlane) StopAPIServer() {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.apiserver.kill()
	cp.apiserver = nil
}

func (cp *ControlPlane) startManager(ctx context.Context) error {
	kubeconfig, err := cp.WriteKubeconfig()
	if err != nil {
		return err
	}
	process, err := run(cp.bin, "kube-controller-manager", cp.logFile("kube-controller-manager"),
		"--kubeconfig="+kubeconfig, "--leader-elect=false",
		"--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(cp.ports.manager), "--cert-dir="+cp.dir,
		"--controllers=deployment,replicaset,statefulset,daemonset,job,cronjob,garbagecollector,namespace,serviceaccount,resourcequota,ttl-after-finished,replicationcontroller,persistentvolume-binder,pvc-protection",
		"--kube-api-qps=200", "--kube-api-burst=400", "--v=1")
	if err != nil {
		return err
	}
	cp.mu.Lock()
	cp.manager = process
	cp.mu.Unlock()
	return process.until(ctx, listens(cp.ports.manager))
}

// listens reports whether somebody listens on the port.
func listens(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		return connection.Close()
	}
}
