package probe_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/probe"
	"github.com/belaybot/belay/rules/watch"
)

var start = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// serve is a server on loopback. Its address is configured as it is, so it may
// be looked at.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func to(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, address, http.StatusFound) }
}

func TestHTTP(t *testing.T) {
	closed := httptest.NewServer(status(200))
	closed.Close()
	elsewhere := 0
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) { elsewhere++; w.WriteHeader(500) })
	other = strings.Replace(other, "127.0.0.1", "127.0.0.2", 1)
	broken := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	}
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		want    watch.State
		detail  string
	}{
		{"200", status(200), watch.Good, "200 OK"},
		{"204", status(204), watch.Good, "204"},
		{"304", status(304), watch.Good, "304"},
		{"a login that asks for a password", status(401), watch.Good, "401"},
		{"forbidden", status(403), watch.Good, "403"},
		{"not found says nothing", status(404), watch.Absent, "verify.http.urls"},
		{"too many requests says nothing", status(429), watch.Absent, "429"},
		{"500", status(500), watch.Bad, "500 Internal Server Error"},
		{"503", status(503), watch.Bad, "503"},
		{"the connection breaks off", broken, watch.Bad, "broke off"},
		{"a redirect to a login page elsewhere is not followed", to("https://login.example.org/?next=web"), watch.Good, "302 to login.example.org"},
		{"a redirect to another host is not followed", to(other), watch.Good, "302 to 127.0.0.2"},
		{"a redirect to cloud metadata is not followed", to("http://169.254.169.254/latest/meta-data/"), watch.Good, "302 to 169.254.169.254"},
		{"a redirect to a file is not followed", to("file:///etc/passwd"), watch.Good, "302"},
		{"a redirect within the host is followed", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/app", http.StatusMovedPermanently)
				return
			}
			w.WriteHeader(500)
		}, watch.Bad, "500"},
		{"a redirect in a circle", to("/"), watch.Good, "after 3 redirects"},
		{"a redirect without an address", status(302), watch.Good, "302"},
		{"a body without end is not read", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, watch.Good, "200"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := probe.NewHTTP(probe.HTTPOptions{Now: func() time.Time { return start }, Timeout: 30 * time.Second})
			got := h.Look(t.Context(), watch.Subject{URLs: []string{serve(t, tc.handler) + "/"}})
			if len(got) != 1 || got[0].State != tc.want || !strings.Contains(got[0].Detail, tc.detail) || got[0].Kind != watch.HTTP || !got[0].At.Equal(start) {
				t.Errorf("%+v, want %s: %s", got, tc.want, tc.detail)
			}
		})
	}
	if elsewhere > 0 {
		t.Error("another host was asked")
	}
	h := probe.NewHTTP(probe.HTTPOptions{})
	if got := h.Look(t.Context(), watch.Subject{URLs: []string{closed.URL}}); got[0].State != watch.Bad || got[0].Detail != "connection refused" || got[0].Cause != watch.CauseUnhealthy {
		t.Errorf("%+v", got)
	}
}

func TestHTTPCountsRedirects(t *testing.T) {
	var hops atomic.Int32
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("/%d", hops.Add(1)), http.StatusFound)
	})
	probe.NewHTTP(probe.HTTPOptions{}).Look(t.Context(), watch.Subject{URLs: []string{address}})
	if hops.Load() != 4 {
		t.Errorf("%d requests, want the first and three redirects", hops.Load())
	}
}

func TestHTTPTimesOut(t *testing.T) {
	release := make(chan struct{})
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	defer close(release)
	h := probe.NewHTTP(probe.HTTPOptions{Timeout: 50 * time.Millisecond})
	if got := h.Look(t.Context(), watch.Subject{URLs: []string{address}}); got[0].State != watch.Bad || !strings.Contains(got[0].Detail, "no answer within 50ms") {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := probe.NewHTTP(probe.HTTPOptions{}).Look(ctx, watch.Subject{URLs: []string{address}}); got[0].State != watch.Blind {
		t.Errorf("belay ends: %+v", got)
	}
}

func TestHTTPTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(status(200))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	s.StartTLS()
	defer s.Close()
	plain := serve(t, status(200))
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	trusting := probe.NewHTTP(probe.HTTPOptions{Roots: pool})
	for _, tc := range []struct {
		name, address string
		h             *probe.HTTP
		want          watch.State
		detail        string
	}{
		{"a trusted certificate", s.URL, trusting, watch.Good, "200"},
		{"an authority that nobody knows", s.URL, probe.NewHTTP(probe.HTTPOptions{}), watch.Bad, "authority that belay does not trust"},
		{"a certificate for another name", strings.Replace(s.URL, "127.0.0.1", "localhost", 1), trusting, watch.Bad, "for another name"},
		{"no TLS at all", strings.Replace(plain, "http:", "https:", 1), trusting, watch.Bad, "does not speak TLS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.h.Look(t.Context(), watch.Subject{URLs: []string{tc.address}}); got[0].State != tc.want || !strings.Contains(got[0].Detail, tc.detail) {
				t.Errorf("%+v, want %s: %s", got, tc.want, tc.detail)
			}
		})
	}
}

func TestHTTPIsBlindWhereItCannotAsk(t *testing.T) {
	failing := func(err error) *probe.HTTP {
		return probe.NewHTTP(probe.HTTPOptions{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, err }})
	}
	dns := failing(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "web.example.org"}})
	for _, tc := range []struct {
		name, address, detail string
		h                     *probe.HTTP
	}{
		{"the resolver fails", "https://web.example.org", "cannot be resolved: server misbehaving", dns},
		{"not a URL", "web.example.org", "correct verify.http.urls", dns},
		{"another scheme", "ftp://web.example.org", "correct verify.http.urls", dns},
		{"broken", "http://[::1", "correct verify.http.urls", dns},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.h.Look(t.Context(), watch.Subject{URLs: []string{tc.address}}); got[0].State != watch.Blind || !strings.Contains(got[0].Detail, tc.detail) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestHTTPShowsNoSecrets(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "hunter2" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	withSecrets := strings.Replace(address, "http://", "http://ana:hunter2@", 1)
	got := probe.NewHTTP(probe.HTTPOptions{}).Look(t.Context(), watch.Subject{URLs: []string{withSecrets + "/a?token=s3cret", withSecrets + "/a?token=other", "http://ana:hunter2@[::1"}})
	if text := fmt.Sprint(got); strings.Contains(text, "hunter2") || strings.Contains(text, "s3cret") {
		t.Error(text)
	}
	if got[0].State != watch.Good || got[0].Name != address+"/a" || got[1].Name != address+"/a (2)" {
		t.Errorf("%+v", got)
	}
}
