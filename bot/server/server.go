// Package server is belay's door: DIUN's dispatches, GitHub's webhooks, and what
// monitoring asks for.
//
// A dispatch is stored before it is answered. A webhook only says "look again":
// its payload decides nothing but where to look, and what was lost while belay
// was down is fetched from GitHub's delivery log. See SPEC sections 3, 15 and 17.
package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/intake"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/traces"
	"github.com/belaybot/belay/rules/plan"
)

// Queue takes what there is to do. *engine.Engine is one.
type Queue interface {
	Wake(ctx context.Context, upgrade string) error
	DispatchTx(ctx context.Context, tx *sql.Tx, id string) error
}

// Freezer stops and goes on with all opening and merging in a repository, in
// every one for "". *reconcile.Reconciler is one.
type Freezer interface {
	Freeze(ctx context.Context, repository, who, reason string) error
	Thaw(ctx context.Context, repository, who string) (was bool, err error)
}

// Board takes what people do with a repository's dashboard issue.
// *reconcile.Reconciler is one.
type Board interface {
	BoardEdited(ctx context.Context, e reconcile.BoardEdit) error
	BoardTouched(ctx context.Context, issue reconcile.BoardIssue) error
	BoardMoved(ctx context.Context, repository string) error
}

// noBoard is none: nothing that happens to issues matters.
type noBoard struct{}

func (noBoard) BoardEdited(context.Context, reconcile.BoardEdit) error   { return nil }
func (noBoard) BoardTouched(context.Context, reconcile.BoardIssue) error { return nil }
func (noBoard) BoardMoved(context.Context, string) error                 { return nil }

// EventOf is the event_type of repository_dispatch that carries a dispatch for a
// repository. Event of *reconcile.Reconciler is one.
type EventOf func(ctx context.Context, repository string) (string, error)

// Options are what a Server works with. Secrets are functions, so that they may
// be changed without a restart.
type Options struct {
	Store         *store.Store
	Queue         Queue
	DiunToken     func() string               // "" refuses every dispatch by HTTP
	WebhookSecret func() string               // "" refuses every webhook
	Event         EventOf                     // nil: diun everywhere
	Freezer       Freezer                     // nil: nothing can be frozen here
	Bulk          Bulk                        // nil: bulk runs are refused
	Scans         func() reconcile.ScanCounts // for the metrics; nil: nothing is scanned
	Forget        func(repository string)
	Board         Board // nil: there are no dashboard issues
	Ready         func(context.Context) error
	Credentials   *credentials.Registry                  // nil: none are kept an eye on
	Metrics       []prometheus.Collector                 // of others, shown with its own
	Depths        func(context.Context) ([]Depth, error) // of the queue, for the metrics; nil: not shown
	Kinds         []string                               // of jobs that Depths may name
	Dashboard     Dashboard                              // the page for people
	Now           func() time.Time
	Log           *slog.Logger
}

// Server answers HTTP. Use New to make one.
type Server struct {
	opts    Options
	metrics *prometheus.Registry
	intake  *prometheus.CounterVec
	hooks   *prometheus.CounterVec
	page    *dashboard
}

// New makes a Server.
func New(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Event == nil {
		opts.Event = func(context.Context, string) (string, error) { return "diun", nil }
	}
	if opts.Board == nil {
		opts.Board = noBoard{}
	}
	if opts.Forget == nil {
		opts.Forget = func(string) {}
	}
	s := &Server{opts: opts, metrics: prometheus.NewRegistry(),
		intake: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belay_dispatches_total", Help: "Dispatches received, by where they came from and answer."}, []string{"source", "code"}),
		hooks:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belay_webhooks_total", Help: "GitHub webhooks received, by event and outcome."}, []string{"event", "outcome"}),
	}
	s.metrics.MustRegister(s.intake, s.hooks, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), gauges{s})
	for _, event := range append(slices.Clone(events), "other") {
		for _, outcome := range []string{"taken", "refused", "failed"} {
			s.hooks.WithLabelValues(event, outcome)
		}
	}
	for source, codes := range map[string][]int{"diun": {200, 202, 400, 401, 405, 413, 503}, "repository_dispatch": {200, 202, 400, 503}, "bulk": {200, 202, 503}} {
		for _, code := range codes {
			s.intake.WithLabelValues(source, strconv.Itoa(code))
		}
	}
	opts.Dashboard.Credentials = opts.Credentials
	s.page = newDashboard(opts.Dashboard, opts.Store, opts.Now, opts.Log)
	s.page.token = s.authorized
	if opts.Scans != nil {
		s.metrics.MustRegister(scans{opts.Scans})
	}
	if opts.Credentials != nil {
		s.metrics.MustRegister(opts.Credentials)
	}
	s.metrics.MustRegister(opts.Metrics...)
	return s
}

// Handler is what listens.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/diun", traces.Handler("/diun", http.HandlerFunc(s.diun)))
	mux.Handle("POST /github/webhook", traces.Handler("/github/webhook", http.HandlerFunc(s.webhook)))
	mux.HandleFunc("GET /api/status", s.status)
	mux.HandleFunc("GET /api/audit", s.audit)
	mux.HandleFunc("GET /api/audit/freezes", s.auditFreezes)
	mux.HandleFunc("POST /api/bulk", s.bulk)
	mux.HandleFunc("POST /api/dispatches", s.standing)
	mux.HandleFunc("POST /api/plan", s.preview)
	mux.HandleFunc("POST /api/freeze", s.freeze)
	mux.HandleFunc("POST /api/thaw", s.thaw)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	s.page.routes(mux)
	return mux
}

// Hush ends the streams that keep pages up to date, which would else hold up the
// end of an HTTP server for as long as somebody looks on.
func (s *Server) Hush() { s.page.live.end() }

func plainText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n")
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) ready(w http.ResponseWriter, req *http.Request) {
	err := s.opts.Store.Ping(req.Context())
	if err == nil && s.opts.Ready != nil {
		err = s.opts.Ready(req.Context())
	}
	if err != nil {
		plainText(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	plainText(w, http.StatusOK, "ready")
}

// refusal is the JSON of an answer that is no success.
type refusal struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"`
}

// accepted is the JSON of a dispatch that was taken.
type accepted struct {
	ID  string `json:"id"`
	New bool   `json:"new"`
}

// diun takes a dispatch: 202 for a new one, 200 for one that is known.
func (s *Server) diun(w http.ResponseWriter, req *http.Request) {
	code, body := s.takeDispatch(w, req)
	s.received("diun", code)
	answer(w, code, body)
}

func (s *Server) takeDispatch(w http.ResponseWriter, req *http.Request) (int, any) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, refusal{Error: "send POST: DIUN's webhook notifier sends GET unless `method: POST` is set (DIUN_NOTIF_WEBHOOK_METHOD=POST)"}
	}
	if !s.authorized(req) {
		return http.StatusUnauthorized, refusal{Error: "no or wrong token: send it as `Authorization: Bearer TOKEN` or `X-Belay-Token: TOKEN`"}
	}
	d, code, refused := readDispatch(req)
	if refused.Error != "" {
		return code, refused
	}
	id, isNew, err := s.keep(req.Context(), d, "diun", "")
	if err != nil {
		s.opts.Log.Error("a dispatch could not be stored", "image", about(d), "tag", d.Tag, "why", err)
		return http.StatusServiceUnavailable, refusal{Error: "the dispatch could not be stored; send it again"}
	}
	if isNew {
		s.opts.Log.Info("dispatch", "id", id, "image", about(d), "tag", d.Tag, "status", d.Status)
	}
	return takenCode(isNew), accepted{ID: id, New: isNew}
}

// readDispatch reads the dispatch that a request carries. Where there is none, it
// says what to answer.
func readDispatch(req *http.Request) (plan.Dispatch, int, refusal) {
	data, err := io.ReadAll(io.LimitReader(req.Body, intake.MaxPayload+1))
	if err != nil {
		return plan.Dispatch{}, http.StatusBadRequest, refusal{Error: "the request broke off"}
	}
	d, err := intake.Parse(data)
	var field *intake.FieldError
	switch {
	case errors.Is(err, intake.ErrTooLarge):
		return d, http.StatusRequestEntityTooLarge, refusal{Error: err.Error()}
	case errors.As(err, &field):
		return d, http.StatusBadRequest, refusal{Error: err.Error(), Field: field.Field}
	case err != nil:
		return d, http.StatusBadRequest, refusal{Error: err.Error()}
	}
	return d, http.StatusOK, refusal{}
}

// takenCode is how a dispatch is answered that was taken.
func takenCode(isNew bool) int {
	if isNew {
		return http.StatusAccepted
	}
	return http.StatusOK
}

// received counts a dispatch. Where none is answered by itself, code is what
// DIUN would have been told.
func (s *Server) received(source string, code int) {
	s.intake.WithLabelValues(source, strconv.Itoa(code)).Inc()
}

// keep stores a dispatch together with the job that plans it. One that is known
// is planned again where something of it was given up.
func (s *Server) keep(ctx context.Context, d plan.Dispatch, source, repository string) (string, bool, error) {
	kept := reconcile.Stored(d, source, repository)
	kept.Received = s.opts.Now()
	id, isNew, err := s.opts.Store.AddDispatch(ctx, kept, s.opts.Queue.DispatchTx)
	if err != nil || isNew {
		return id, isNew, err
	}
	again, err := s.opts.Store.RepeatStuck(ctx, id, s.opts.Queue.DispatchTx)
	if again {
		s.opts.Log.Info("a dispatch that was given up is planned again", "id", id, "image", about(d), "tag", d.Tag)
	}
	return id, false, err
}

// authorized compares tokens in constant time, whatever their lengths.
func (s *Server) authorized(req *http.Request) bool {
	want := s.opts.DiunToken()
	got := req.Header.Get("X-Belay-Token")
	if got == "" {
		got = req.Header.Get("Authorization")
		if scheme, token, ok := strings.Cut(got, " "); ok && strings.EqualFold(scheme, "bearer") {
			got = strings.TrimSpace(token)
		}
	}
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && want != ""
}

// permitted answers whoever has not the token that a script has to have: the one
// of dispatches.
func (s *Server) permitted(w http.ResponseWriter, req *http.Request) bool {
	if s.authorized(req) {
		return true
	}
	answer(w, http.StatusUnauthorized, refusal{Error: "no or wrong token: send it as `Authorization: Bearer TOKEN`"})
	return false
}

// read reads a JSON body of bounded size, and answers whoever sends another one.
// form is what was to be sent.
func read(w http.ResponseWriter, req *http.Request, most int64, form string, into any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, most)).Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		answer(w, http.StatusRequestEntityTooLarge, refusal{Error: fmt.Sprintf("the body is larger than %d kB", most>>10)})
	case err != nil:
		answer(w, http.StatusBadRequest, refusal{Error: "not JSON of the form " + form + ": " + err.Error()})
	}
	return err == nil
}

// keepDeliveries is how long a delivery's id is remembered: longer than GitHub
// lets one be sent again.
const keepDeliveries = 14 * 24 * time.Hour

// maxWebhook is the largest webhook in bytes that is read: GitHub's own limit.
const maxWebhook = 25 << 20

// signatureForm matches X-Hub-Signature-256: "sha256=" and 64 hexadecimal
// digits; not "sha1=…", and not without the name of the method.
var signatureForm = regexp.MustCompile(`^sha256=[0-9a-fA-F]{64}$`)

func (s *Server) webhook(w http.ResponseWriter, req *http.Request) {
	secret := s.opts.WebhookSecret()
	if secret == "" {
		plainText(w, http.StatusServiceUnavailable, "no webhook secret is set: --webhook-secret-file or BELAY_WEBHOOK_SECRET")
		return
	}
	signature := req.Header.Get(gh.SHA256SignatureHeader)
	if !signatureForm.MatchString(signature) { // before a large body is read
		s.hooks.WithLabelValues(known(gh.WebHookType(req)), "refused").Inc()
		plainText(w, http.StatusUnauthorized, "no signature of the form sha256=…: set the webhook's secret on GitHub")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxWebhook))
	if err != nil {
		plainText(w, http.StatusRequestEntityTooLarge, "the webhook is too large or broke off")
		return
	}
	if err := gh.ValidateSignature(signature, body, []byte(secret)); err != nil {
		s.hooks.WithLabelValues(known(gh.WebHookType(req)), "refused").Inc()
		plainText(w, http.StatusUnauthorized, "the signature does not fit")
		return
	}
	event, guid := gh.WebHookType(req), gh.DeliveryID(req)
	err = s.Take(req.Context(), event, guid, body)
	outcome := "taken"
	switch {
	case errors.Is(err, errMalformed):
		outcome = "refused"
	case err != nil:
		outcome = "failed"
	}
	s.hooks.WithLabelValues(known(event), outcome).Inc()
	if errors.Is(err, errMalformed) {
		s.opts.Log.Warn("a webhook was refused", "event", event, "delivery", guid, "why", err)
		plainText(w, http.StatusBadRequest, errMalformed.Error()+": let GitHub send it as application/json")
		return
	}
	if err != nil {
		s.opts.Log.Error("a webhook could not be taken", "event", event, "delivery", guid, "why", err)
		plainText(w, http.StatusServiceUnavailable, "not taken; send it again")
		return
	}
	plainText(w, http.StatusAccepted, "taken")
}
