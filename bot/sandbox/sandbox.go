// Package sandbox holds the stand-ins that tests and `belay demo` use: a GitHub
// on loopback with real git behind it, webhooks that are signed, and faults on
// demand.
//
// The stand-in answers in the shape of GitHub's own examples, and in tests every
// request, response and webhook is validated against GitHub's descriptions of
// its API (contract/). belay itself does not know it: it is reached by the same
// --github-url as a GitHub Enterprise server.
package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Options say how the stand-in behaves.
type Options struct {
	Dir       string           // where the bare git repositories are kept
	Now       func() time.Time // nil: time.Now
	Secret    string           // of webhooks; "" makes one up
	TokenLife time.Duration    // of installation tokens; 0 is an hour, as on GitHub
	LazyMerge bool             // work out whether a pull request merges after it is asked for the first time, as GitHub does
	Validate  bool             // hold everything against GitHub's descriptions
	Report    func(error)      // takes what breaks them; required with Validate
}

// Fault is what happens to a request instead of its answer.
type Fault struct {
	Status int
	Header http.Header
	Body   string
	Reset  bool // break the connection
	After  bool // carry the request out first
}

// GitHub is a stand-in for GitHub Enterprise with one App.
type GitHub struct {
	opts     Options
	contract *contract
	key      *rsa.PrivateKey
	pem      []byte
	listener net.Listener
	server   *http.Server

	mu            sync.Mutex
	ids           int64
	repositories  []*Repository
	installations map[string]*installation // by owner
	tokens        map[string]token
	quotas        map[string]*quota // by owner and resource
	pauses        map[string]pause  // by owner
	hookURL       string
	deliveries    []*delivery
	sending       sync.Cond // on mu: deliveries, sent and closed
	sent          int
	closed        bool
	calls         map[string]int
	requests      int
	inject        func(n int, r *http.Request) *Fault
	oauth         oauth
	done          chan struct{}

	granting  *rights              // of the App; nil: what belay needs
	accepted  map[string]*rights   // by owner, where an installation has another one
	manifests map[string]*manifest // by code
}

type token struct {
	owner        string
	installation int64 // the App may be installed anew meanwhile
	until        time.Time
	workflow     *workflow // nil: the App's own
}

const (
	appID = 1042
	slug  = "belay"
)

// appKey is the key of every stand-in of this process: it takes long to make.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewGitHub starts a stand-in on a free port of loopback. Close ends it.
func NewGitHub(opts Options) (*GitHub, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Secret == "" {
		opts.Secret = rand.Text()
	}
	if opts.TokenLife == 0 {
		opts.TokenLife = time.Hour
	}
	if opts.Report == nil {
		opts.Report = func(error) {}
	}
	key, err := appKey()
	if err != nil {
		return nil, err
	}
	c, err := loadContract()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &GitHub{opts: opts, contract: c, key: key, listener: l, installations: map[string]*installation{}, tokens: map[string]token{},
		quotas: map[string]*quota{}, pauses: map[string]pause{}, calls: map[string]int{}, ids: 2_147_483_700, done: make(chan struct{}),
		pem: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})}
	g.sending.L = &g.mu
	g.oauth = oauth{secret: rand.Text(), grants: map[string]grant{}, tokens: map[string]userToken{}}
	handler, err := g.handler()
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	g.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.server.Serve(l) }()
	go g.deliver()
	return g, nil
}

// Close ends the server and the deliveries.
func (g *GitHub) Close() error {
	g.mu.Lock()
	g.closed = true
	g.sending.Broadcast()
	g.mu.Unlock()
	err := g.server.Close()
	<-g.done
	return err
}

// URL is the address for people: http://127.0.0.1:PORT.
func (g *GitHub) URL() string { return "http://" + g.listener.Addr().String() }

// AppID is the App's number.
func (g *GitHub) AppID() int64 { return appID }

// PrivateKey is the App's key in PEM.
func (g *GitHub) PrivateKey() []byte { return g.pem }

// Secret is the webhook secret.
func (g *GitHub) Secret() string { return g.opts.Secret }

// Slug is the App's short name.
func (g *GitHub) Slug() string { return slug }

// Inject has f called before every request to the API and to git, with a count
// from 1. A fault that it returns happens instead of the answer.
func (g *GitHub) Inject(f func(n int, r *http.Request) *Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inject, g.requests = f, 0
}

// Calls counts the requests by operation: "GET /repos/{owner}/{repo}", "GRAPHQL",
// "git-upload-pack", "git-receive-pack".
func (g *GitHub) Calls() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[string]int{}
	for k, v := range g.calls {
		out[k] = v
	}
	return out
}

// ResetCalls starts the count anew.
func (g *GitHub) ResetCalls() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = map[string]int{}
}

// id makes a new number; GitHub's are larger than 32 bits can hold.
func (g *GitHub) id() int64 {
	g.ids++
	return g.ids
}

// find looks for a repository by its name, old names included: moved says that
// it has another one by now.
func (g *GitHub) find(owner, name string) (repo *Repository, moved bool) {
	full := owner + "/" + name
	for _, r := range g.repositories {
		if strings.EqualFold(r.FullName(), full) {
			return r, false
		}
	}
	for _, r := range g.repositories {
		for _, old := range r.old {
			if strings.EqualFold(old, full) {
				return r, true
			}
		}
	}
	return nil, false
}

// violation reports what GitHub would not have taken or given.
func (g *GitHub) violation(format string, args ...any) {
	g.opts.Report(fmt.Errorf(format, args...))
}

var errClosed = errors.New("the stand-in is closed")

// intercept counts requests and plays faults.
func (g *GitHub) intercept(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.requests++
		var fault *Fault
		if g.inject != nil {
			fault = g.inject(g.requests, r)
		}
		g.mu.Unlock()
		if fault == nil {
			next.ServeHTTP(w, r)
			return
		}
		if fault.After {
			next.ServeHTTP(discard{http.Header{}}, r)
		}
		if fault.Reset {
			panic(http.ErrAbortHandler)
		}
		for k, v := range fault.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(fault.Status)
		_, _ = w.Write([]byte(fault.Body))
	})
}

// discard is a response that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
