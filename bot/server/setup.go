package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	template "github.com/DataDog/datadog-agent/pkg/template/html"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/rules/access"
)

//go:embed templates/setup.html
var setupFiles embed.FS

var setupPages = sync.OnceValue(func() *template.Template { return template.Must(template.ParseFS(setupFiles, "templates/setup.html")) })

// SetupOptions are what a Setup works with.
type SetupOptions struct {
	GitHub github.Options // URL, API and HTTP count
	Token  string         // who has it may set belay up; it stands in the log
	URL    string         // of belay as seen from outside; "" is what the browser asks for
	Secret string         // namespace/name of the Secret that the credentials go to; "": files
	// Save keeps the credentials, and says for people where they are.
	Save func(ctx context.Context, c github.Created) (where string, err error)
	Now  func() time.Time
	Log  *slog.Logger
}

// Setup creates the GitHub App by the manifest flow, before there is one. It is
// for whoever has the token of the log alone, and for one App. See SPEC section 15.
type Setup struct {
	opts SetupOptions
	done chan struct{}

	mu     sync.Mutex
	states map[string]begun
	over   bool
}

// begun is a person on the way to GitHub.
type begun struct {
	base  string
	until time.Time
}

// stateLife is how long somebody may stay on GitHub's page: its own limit for the code.
const stateLife = time.Hour

// NewSetup makes a Setup.
func NewSetup(opts SetupOptions) *Setup {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.GitHub.URL == "" {
		opts.GitHub.URL = "https://github.com"
	}
	return &Setup{opts: opts, done: make(chan struct{}), states: map[string]begun{}}
}

// Done is closed when the credentials are kept and the last page was sent.
func (s *Setup) Done() <-chan struct{} { return s.done }

// Handler is what listens until then. Other addresses say that belay is not set
// up yet, so that nothing is taken for delivered.
func (s *Setup) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /setup", s.form)
	mux.HandleFunc("POST /setup", s.begin)
	mux.HandleFunc("GET /setup/done", s.finish)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, "ok") })
	// Traffic has to come through for the setup to be reached.
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, "ready to be set up") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/setup", http.StatusFound) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		plainText(w, http.StatusServiceUnavailable, "belay is not set up yet: open /setup")
	})
	return mux
}

// setupView is what the pages show.
type setupView struct {
	Step               string // "token", "form", "github", "done", "problem"
	Problem            string
	Over               bool // there is nothing to begin again
	Token              string
	Base               string
	Organization, Name string
	GitHub             string // of the page to post to
	Host               string // GitHub's
	Manifest           string
	Permissions        []access.Permission
	Events             []string
	Install            string
	Where              string
	Slug               string
	Secret             []string // namespace and name
}

func (s *Setup) show(w http.ResponseWriter, code int, v setupView) {
	if u, err := url.Parse(s.opts.GitHub.URL); err == nil {
		v.Host = u.Host
	}
	v.Permissions, v.Events = access.Permissions(), access.Events()
	if namespace, name, ok := strings.Cut(s.opts.Secret, "/"); ok {
		v.Secret = []string{namespace, name}
	}
	var b bytes.Buffer
	if err := setupPages().Execute(&b, v); err != nil {
		s.opts.Log.Error("the page of the setup", "why", err)
		plainText(w, http.StatusInternalServerError, "the page could not be made")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	// The token may be in the address: it goes to nobody else.
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+origin(s.opts.GitHub.URL))
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes())
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// allowed compares the token in constant time.
func (s *Setup) allowed(token string) bool {
	a, b := sha256.Sum256([]byte(s.opts.Token)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && s.opts.Token != ""
}

// form shows what is asked for next, and changes nothing. The address in the log
// carries the token; who types it sends it by POST, so that it stays out of
// addresses.
func (s *Setup) form(w http.ResponseWriter, r *http.Request) {
	s.ask(w, r, r.URL.Query().Get("token"))
}

func (s *Setup) ask(w http.ResponseWriter, r *http.Request, token string) {
	if token == "" && !s.isOver() {
		s.show(w, http.StatusOK, setupView{Step: "token"})
		return
	}
	if s.admits(w, token) {
		s.show(w, http.StatusOK, setupView{Step: "form", Token: token, Base: s.base(r), Name: appName(s.base(r))})
	}
}

// admits answers whoever does not have the token, or comes too late.
func (s *Setup) admits(w http.ResponseWriter, token string) bool {
	switch {
	case s.isOver():
		s.show(w, http.StatusGone, setupView{Step: "problem", Over: true, Problem: "belay has its GitHub App already, and the token is good no more."})
	case !s.allowed(token):
		s.show(w, http.StatusForbidden, setupView{Step: "token", Problem: "This is not the token. belay makes a new one whenever it starts: take the last one in its log."})
	default:
		return true
	}
	return false
}

func (s *Setup) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// base is belay's address as the browser sees it.
func (s *Setup) base(r *http.Request) string {
	if s.opts.URL != "" {
		return strings.TrimSuffix(s.opts.URL, "/")
	}
	scheme := "http"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// notName matches what an App's name is better without.
var notName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// appName proposes a name: those of Apps are taken once on all of GitHub.
func appName(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return "belay"
	}
	name := "belay-" + strings.Trim(notName.ReplaceAllString(strings.TrimPrefix(u.Hostname(), "belay."), "-"), "-")
	return strings.TrimRight(name[:min(len(name), maxName)], "-")
}

// maxName is the longest name of an App in characters.
const maxName = 34

// organizationForm matches the name of an organisation: "acme", "acme-home"; not "acme/x".
var organizationForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$`)

// begin takes the token that somebody typed, or shows the manifest on its way to
// GitHub: the person posts it there.
func (s *Setup) begin(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		plainText(w, http.StatusBadRequest, "the form cannot be read")
		return
	}
	if !r.PostForm.Has("url") {
		s.ask(w, r, r.PostForm.Get("token"))
		return
	}
	v := setupView{Step: "form", Token: r.PostForm.Get("token"), Base: strings.TrimSuffix(strings.TrimSpace(r.PostForm.Get("url")), "/"),
		Organization: strings.TrimSpace(r.PostForm.Get("organization")), Name: strings.TrimSpace(r.PostForm.Get("name"))}
	if !s.admits(w, v.Token) {
		return
	}
	u, err := url.Parse(v.Base)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		v.Problem = "Give belay's address as GitHub reaches it, such as https://belay.example.org."
	case v.Organization != "" && !organizationForm.MatchString(v.Organization):
		v.Problem = "That is no organisation's name."
	case v.Name == "" || len(v.Name) > maxName:
		v.Problem = "The name needs between 1 and 34 characters."
	}
	if v.Problem != "" {
		s.show(w, http.StatusUnprocessableEntity, v)
		return
	}
	text, err := json.Marshal(access.NewManifest(v.Name, v.Base, v.Base+"/setup/done"))
	if err != nil {
		s.opts.Log.Error("the App's manifest", "why", err)
		plainText(w, http.StatusInternalServerError, "the manifest could not be made")
		return
	}
	path := "/settings/apps/new"
	if v.Organization != "" {
		path = "/organizations/" + v.Organization + "/settings/apps/new"
	}
	v.Step, v.Manifest = "github", string(text)
	v.GitHub = strings.TrimSuffix(s.opts.GitHub.URL, "/") + path + "?state=" + s.remember(v.Base)
	s.show(w, http.StatusOK, v)
}

// remember makes the state by which a person who comes back is known.
func (s *Setup) remember(base string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now()
	for k, b := range s.states {
		if now.After(b.until) {
			delete(s.states, k)
		}
	}
	state := rand.Text()
	s.states[state] = begun{base: base, until: now.Add(stateLife)}
	return state
}

// take gives a state back once, and reports whether it was good. Nobody else is
// let in while the credentials are being fetched.
func (s *Setup) take(state string) (begun, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.states[state]
	delete(s.states, state)
	if !ok || s.over || s.opts.Now().After(b.until) {
		return begun{}, false
	}
	s.over = true
	return b, true
}

// again lets somebody begin once more, after a failure.
func (s *Setup) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = false
}

// finish turns GitHub's code into the App's credentials and keeps them. GitHub
// sends the browser here by GET, and the state, good once and known to nobody
// else, stands for the person: whoever closed the page before pressing one more
// button would have an App whose credentials nobody can get any more.
func (s *Setup) finish(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	b, ok := s.take(q.Get("state"))
	if !ok {
		s.show(w, http.StatusForbidden, setupView{Step: "problem", Problem: "belay does not know of this: begin at /setup with the token of its log, and end within an hour."})
		return
	}
	// Whoever closes the page now must not lose the App's only credentials.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	defer cancel()
	c, err := github.Convert(ctx, s.opts.GitHub, q.Get("code"))
	if err != nil {
		s.again()
		s.opts.Log.Error("the App's credentials were not fetched", "why", err)
		s.show(w, http.StatusBadGateway, setupView{Step: "problem", Problem: "The App's credentials could not be fetched: " + err.Error()})
		return
	}
	where, err := s.opts.Save(ctx, c)
	if err != nil {
		s.again()
		s.opts.Log.Error("the App's credentials were not kept", "app", c.Slug, "why", err)
		s.show(w, http.StatusInternalServerError, setupView{Step: "problem", Problem: "The App " + c.Slug + " was created, but its credentials could not be kept: " + err.Error() +
			". Delete it on GitHub, mend this, and begin again."})
		return
	}
	s.opts.Log.Info("the App was created", "app", c.Slug, "id", c.ID, "owner", c.Owner, "credentials", where)
	s.show(w, http.StatusOK, setupView{Step: "done", Slug: c.Slug, Base: b.base, Where: where, Install: strings.TrimSuffix(c.URL, "/") + "/installations/new"})
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	close(s.done)
}

// ErrNotSetUp means that somebody ended belay before it was set up.
var ErrNotSetUp = errors.New("belay was ended before it was set up")
