package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// serve answers the API server's questions about logs, which have to come with
// the certificate of this control plane, and returns the port.
func (k *Kubelet) serve(certs *certificates) (int, error) {
	pair, err := certs.sign(100, "kubelet")
	if err != nil {
		return 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	clients := x509.NewCertPool()
	clients.AddCert(certs.authority)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLogs)
	k.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		},
	}
	k.work.Go(func() { _ = k.server.ServeTLS(listener, "", "") })
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// serveLogs is what GET pods/log becomes, with a kubelet's words for what is not
// there.
func (k *Kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	out, err := k.find(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"), query.Get("previous") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	number := func(name string) int {
		n, err := strconv.Atoi(query.Get(name))
		if err != nil {
			return -1
		}
		return n
	}
	w.Header().Set("Content-Type", "text/plain")
	out.write(r.Context(), w, reading{
		tail: number("tailLines"), since: number("sinceSeconds"), limit: number("limitBytes"),
		stamps: query.Get("timestamps") == "true", follow: query.Get("follow") == "true",
	})
}

// find is the output of the container's current or previous run.
func (k *Kubelet) find(namespace, name, container string, previous bool) (*followed, error) {
	k.mu.Lock()
	var found *pod
	for uid, p := range k.pods {
		if p.object.Namespace == namespace && p.object.Name == name && (found == nil || !k.gone[uid]) {
			found = p
		}
	}
	k.mu.Unlock()
	if found == nil {
		return nil, fmt.Errorf("pod %q is not on this node", name)
	}
	found.mu.Lock()
	defer found.mu.Unlock()
	for _, c := range found.containers {
		if c.status.Name != container {
			continue
		}
		// While a container waits for its restart, the run before is both the
		// current and the previous one.
		current := len(c.runs) - 1
		if previous && c.status.State.Waiting == nil {
			current--
		}
		switch {
		case current >= 0:
			return &followed{found, c.runs[current]}, nil
		case previous:
			return nil, fmt.Errorf("previous terminated container %q in pod %q not found", container, name)
		default:
			return nil, fmt.Errorf("container %q in pod %q is waiting to start: %s", container, name, c.status.State.Waiting.Reason)
		}
	}
	return nil, fmt.Errorf("container %q is not in pod %q", container, name)
}

// followed is an output with the pod whose lock it is under.
type followed struct {
	pod *pod
	out *output
}

// reading says which part of an output is asked for; -1 is no bound.
type reading struct {
	tail, since, limit int
	stamps, follow     bool
}

func (f *followed) write(ctx context.Context, w http.ResponseWriter, ask reading) {
	for next := -1; ; {
		f.pod.mu.Lock()
		lines, ended, more := f.out.lines, f.out.ended, f.out.more
		f.pod.mu.Unlock()
		if next < 0 {
			next = 0
			if ask.tail >= 0 {
				next = max(0, len(lines)-ask.tail)
			}
		}
		for _, l := range lines[next:] {
			if ask.since >= 0 && time.Since(l.at) > time.Duration(ask.since)*time.Second {
				continue
			}
			text := l.text + "\n"
			if ask.stamps {
				text = l.at.UTC().Format(time.RFC3339Nano) + " " + text
			}
			if ask.limit >= 0 {
				text = text[:min(len(text), ask.limit)]
				ask.limit -= len(text)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				return
			}
		}
		next = len(lines)
		if !ask.follow || ended {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}
