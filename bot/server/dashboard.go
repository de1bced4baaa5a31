package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/server/page"
	"github.com/belaybot/belay/bot/store"
)

// How people come to see the page.
const (
	AuthGitHub = "github" // they sign in with GitHub
	AuthNone   = "none"   // whoever reaches it sees it, and nobody acts: on loopback only
	AuthOff    = "off"    // nobody sees it
)

// People is what the page asks GitHub about who looks at it. *github.App is one.
type People interface {
	SignInURL(s github.SignIn, state, verifier string) string
	Exchange(ctx context.Context, s github.SignIn, code, verifier string) (github.UserToken, error)
	Whose(ctx context.Context, token string) (string, error)
	Reach(ctx context.Context, token string) (map[string]bool, error)
	Revoke(ctx context.Context, s github.SignIn, token string) error
}

// Life is what the page asks of the upgrades themselves. *reconcile.Reconciler is one.
type Life interface {
	Ask(ctx context.Context, id string, a reconcile.Asked) error
	Standing(ctx context.Context, repository string) (reconcile.Standing, error)
	Troubles(ctx context.Context, repositories []string) (map[string]string, error)
}

// Dashboard is the page for people.
type Dashboard struct {
	Auth         string        // one of AuthGitHub, AuthNone, AuthOff; "" is AuthOff
	Public       string        // address under which people reach it, without a slash at its end
	ClientID     string        // of the App, for AuthGitHub
	ClientSecret func() string // of the App, for AuthGitHub
	GitHub       string        // address of GitHub for people
	People       People
	Life         Life
	Credentials  *credentials.Registry // what is known of the secrets; nil: nothing
	Poll         time.Duration         // how often the state is looked at while somebody looks on; 0: a second
}

// dashboard serves the page.
type dashboard struct {
	opts    Dashboard
	state   *store.Store
	now     func() time.Time
	log     *slog.Logger
	sealer  sealer
	reaches reaches
	board   board
	live    *broadcast
	guard   *http.CrossOriginProtection
	token   func(*http.Request) bool // a script's, which sees everything; nil: there is none
}

func newDashboard(opts Dashboard, state *store.Store, now func() time.Time, log *slog.Logger) *dashboard {
	if opts.Auth == "" {
		opts.Auth = AuthOff
	}
	if opts.ClientSecret == nil {
		opts.ClientSecret = func() string { return "" }
	}
	opts.Public, opts.GitHub = strings.TrimSuffix(opts.Public, "/"), strings.TrimSuffix(opts.GitHub, "/")
	d := &dashboard{opts: opts, state: state, now: now, log: log, sealer: sealer{opts.ClientSecret}, board: board{state: state, now: now}, guard: http.NewCrossOriginProtection()}
	d.reaches = reaches{now: now, known: map[string]reach{}, ask: func(ctx context.Context, token string) (map[string]bool, error) { return opts.People.Reach(ctx, token) }}
	d.live = newBroadcast(d.board.look, opts.Poll, log)
	return d
}

// routes adds the page's addresses.
func (d *dashboard) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /static/{sum}/{name}", d.static)
	mux.Handle("GET /signin", d.safely(http.HandlerFunc(d.signin)))
	mux.Handle("GET "+callbackPath, d.safely(http.HandlerFunc(d.callback)))
	mux.Handle("POST /signout", d.safely(http.HandlerFunc(d.signout)))
	mux.Handle("GET /{$}", d.page(d.list))
	mux.Handle("GET /u/{id}", d.page(d.upgrade))
	mux.Handle("POST /u/{id}/command", d.page(d.command))
	mux.Handle("GET /s/{owner}/{name}/{service}", d.page(d.history))
	mux.Handle("GET /r/{owner}/{name}", d.page(d.repository))
	mux.Handle("GET /skipped", d.page(d.skipped))
	mux.Handle("GET /live", d.page(d.stream))
	mux.Handle("GET /api/upgrades", d.page(d.listJSON))
	mux.Handle("GET /api/upgrades/{id}", d.page(d.upgradeJSON))
}

// viewer is who looks at a page, and what they may see.
type viewer struct {
	session
	reach
}

// policy keeps the page to itself: no script but its own files, nothing from
// elsewhere, in nobody's frame. See https://www.w3.org/TR/CSP3/.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// safely adds the headers that keep a page to itself, and refuses forms of other
// sites and, where nobody signs in, other names of this host.
func (d *dashboard) safely(next http.Handler) http.Handler {
	return d.guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		h.Set("Cache-Control", "private, no-cache")
		h.Set("Vary", "Accept-Encoding, Cookie")
		if d.secure() {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		// A name that somebody else's DNS has lead to this machine is another site.
		if d.opts.Auth == AuthNone && !loopback(req.Host) {
			plainText(w, http.StatusMisdirectedRequest, "this page is for 127.0.0.1 and localhost alone")
			return
		}
		next.ServeHTTP(w, req)
	}))
}

// loopback reports whether a host, with or without a port, is this machine itself.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Loopback reports whether an address to listen on is reachable from this
// machine alone: "127.0.0.1:8080", "[::1]:0", "localhost:80"; not ":8080".
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && host != "" && loopback(host)
}

// page lets those in who may see something, and asks others to sign in.
func (d *dashboard) page(f func(w http.ResponseWriter, req *http.Request, v viewer)) http.Handler {
	return d.safely(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		next := "/"
		if req.Method == http.MethodGet {
			next = req.URL.RequestURI()
		}
		if d.opts.Auth == AuthNone {
			f(w, req, viewer{reach: reach{all: true}})
			return
		}
		if strings.HasPrefix(req.URL.Path, "/api/") && d.token != nil && d.token(req) {
			f(w, req, viewer{reach: reach{all: true}})
			return
		}
		if d.opts.Auth == AuthOff { // whoever signed in before it was switched off has no way in either
			d.door(w, req, http.StatusNotFound, "/", "")
			return
		}
		sess, ok, err := d.who(req)
		if err != nil {
			d.fail(w, req, err)
			return
		}
		if !ok {
			if req.URL.Path == "/" {
				d.door(w, req, http.StatusUnauthorized, next, "")
			} else {
				d.door(w, req, http.StatusUnauthorized, next, "Sign in to see this page.")
			}
			return
		}
		may, err := d.reaches.of(req.Context(), sess)
		if errors.Is(err, github.ErrSignIn) {
			d.setCookie(w, sessionCookie, "", time.Time{})
			d.door(w, req, http.StatusUnauthorized, next, "GitHub has ended your sign-in. Sign in again.")
			return
		}
		if err != nil {
			d.log.Warn("GitHub was not asked who may see the page", "login", sess.Login, "why", err)
			d.problem(w, req, viewer{session: sess}, http.StatusBadGateway, "GitHub does not answer", "belay asks GitHub what you may see, and cannot now.", "Reload the page in a moment.")
			return
		}
		f(w, req, viewer{session: sess, reach: may})
	}))
}

func (d *dashboard) frame(req *http.Request, v viewer, title string) page.Frame {
	return page.Frame{Title: title, Login: v.Login, Open: d.opts.Auth == AuthNone, Path: req.URL.Path, Now: d.now(), GitHub: d.opts.GitHub}
}

// follow has a page kept up to date: topic is an upgrade's id, or "" for all.
func (d *dashboard) follow(f *page.Frame, req *http.Request, topic string, since time.Time) {
	f.Self = req.URL.Path
	if q := req.URL.Query(); len(q) > 0 {
		f.Self = req.URL.Path + "?" + q.Encode()
	}
	q := url.Values{"since": {cursor(since)}}
	if topic != "" {
		q.Set("upgrade", topic)
	}
	f.Live = "/live?" + q.Encode()
}

func (d *dashboard) fail(w http.ResponseWriter, req *http.Request, err error) {
	if req.Context().Err() != nil { // they have gone
		return
	}
	d.log.Error("a page could not be shown", "path", req.URL.Path, "why", err)
	d.problem(w, req, viewer{}, http.StatusServiceUnavailable, "This does not work now", "belay's state cannot be read or written.", "Its log says why; reload the page in a moment.")
}

func (d *dashboard) missing(w http.ResponseWriter, req *http.Request, v viewer) {
	d.problem(w, req, v, http.StatusNotFound, "There is nothing here", "There is no such page, or you may not see it.", "")
}

func (d *dashboard) problem(w http.ResponseWriter, req *http.Request, v viewer, code int, title, text, way string) {
	if strings.HasPrefix(req.URL.Path, "/api/") {
		answer(w, code, refusal{Error: strings.ToLower(title[:1]) + title[1:] + ": " + text})
		return
	}
	d.show(w, req, code, "problem", page.Failure{Frame: d.frame(req, v, title), Text: text, Way: way})
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// show renders a page. Nothing is sent before it is whole.
func (d *dashboard) show(w http.ResponseWriter, req *http.Request, code int, name string, view any) {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	if err := page.Render(b, name, view); err != nil {
		d.log.Error("a page could not be made", "page", name, "why", err)
		plainText(w, http.StatusInternalServerError, "this page could not be made; belay's log says why")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	send(w, req, code, b.Bytes())
}

var zips = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed+3)
	if err != nil {
		panic(err) // the level is a constant
	}
	return z
}}

// send answers with a whole body: compressed where that is wanted, and not at
// all where the asker has it.
func send(w http.ResponseWriter, req *http.Request, code int, body []byte) {
	if code == http.StatusOK {
		sum := sha256.Sum256(body)
		tag := `W/"` + hex.EncodeToString(sum[:12]) + `"`
		w.Header().Set("ETag", tag)
		if strings.Contains(req.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if !strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") || len(body) < 500 {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(code)
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(code)
	z := zips.Get().(*gzip.Writer)
	defer zips.Put(z)
	z.Reset(w)
	_, _ = z.Write(body)
	_ = z.Close()
}

// static answers with a file whose address changes with its content.
func (d *dashboard) static(w http.ResponseWriter, req *http.Request) {
	a, ok := page.Assets()[req.URL.Path]
	if !ok {
		plainText(w, http.StatusNotFound, "no such file")
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.Type)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox") // of an image that is opened by itself
	h.Set("Vary", "Accept-Encoding")
	send(w, req, http.StatusOK, a.Content)
}
