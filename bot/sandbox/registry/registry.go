// Package registry is a container registry on loopback that lists tags and
// nothing else: in pages, for a token where it is told to want one, as slow as a
// real one, and now and then too busy. It counts what it is asked.
// See https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
package registry

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say how the registry behaves.
type Options struct {
	Latency time.Duration // before every answer
	Token   bool          // strangers have to fetch a token first
	Page    int           // tags in one answer at most; 0: as many as are asked for
}

// Registry is a running registry. Use New to make one.
type Registry struct {
	opts Options
	srv  *httptest.Server

	mu     sync.Mutex
	tags   map[string][]string
	asked  []string       // "GET /v2/acme/web/tags/list"
	busy   int            // how many requests are still to be refused
	after  int            // seconds in Retry-After
	broken map[string]int // status by repository
}

// New starts a registry; Close ends it.
func New(opts Options) *Registry {
	r := &Registry{opts: opts, tags: map[string][]string{}, broken: map[string]int{}}
	r.srv = httptest.NewServer(http.HandlerFunc(r.serve))
	return r
}

// Close ends the registry.
func (r *Registry) Close() { r.srv.Close() }

// Host is the registry's name in image references: "127.0.0.1:40123".
func (r *Registry) Host() string { return strings.TrimPrefix(r.srv.URL, "http://") }

// Port is the port that it listens on.
func (r *Registry) Port() string {
	_, port, _ := net.SplitHostPort(r.Host())
	return port
}

// Push gives a repository ("acme/web") more tags.
func (r *Registry) Push(repository string, tags ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tags[repository] = append(r.tags[repository], tags...)
}

// Busy has the next n requests for tags refused with 429 and a Retry-After.
func (r *Registry) Busy(n, seconds int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy, r.after = n, seconds
}

// Break has a repository answer with a status from now on.
func (r *Registry) Break(repository string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken[repository] = status
}

// Asked is every request so far.
func (r *Registry) Asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// Count counts the requests so far whose line holds a text.
func (r *Registry) Count(text string) int {
	n := 0
	for _, line := range r.Asked() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) {
	if r.opts.Latency > 0 {
		timer := time.NewTimer(r.opts.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-req.Context().Done():
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, req.Method+" "+req.URL.RequestURI())
	if req.URL.Path == "/token" {
		answer(w, http.StatusOK, map[string]string{"token": "t-" + req.URL.Query().Get("scope")})
		return
	}
	repository, listed := strings.CutSuffix(strings.TrimPrefix(req.URL.Path, "/v2/"), "/tags/list")
	if r.opts.Token && req.Header.Get("Authorization") != "Bearer t-repository:"+repository+":pull" {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="registry.test"`, r.srv.URL))
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	switch tags, known := r.tags[repository]; {
	case req.URL.Path == "/v2/":
		answer(w, http.StatusOK, struct{}{})
	case !listed:
		refuse(w, http.StatusNotFound, "UNSUPPORTED")
	case r.busy > 0:
		r.busy--
		w.Header().Set("Retry-After", strconv.Itoa(r.after))
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS")
	case r.broken[repository] != 0:
		refuse(w, r.broken[repository], "DENIED")
	case !known:
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
	default:
		r.list(w, req, repository, tags)
	}
}

// list answers with a page of tags in lexical order, and the way to the next.
func (r *Registry) list(w http.ResponseWriter, req *http.Request, repository string, tags []string) {
	tags = slices.Sorted(slices.Values(tags))
	q := req.URL.Query()
	if last := q.Get("last"); last != "" {
		i, found := slices.BinarySearch(tags, last)
		if found {
			i++
		}
		tags = tags[i:]
	}
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || r.opts.Page > 0 && n > r.opts.Page {
		n = r.opts.Page
	}
	if n > 0 && len(tags) > n {
		tags = tags[:n]
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?last=%s&n=%d>; rel="next"`, repository, tags[n-1], n))
	}
	answer(w, http.StatusOK, map[string]any{"name": repository, "tags": tags})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"errors": []any{map[string]string{"code": code, "message": strings.ToLower(code)}}})
}
