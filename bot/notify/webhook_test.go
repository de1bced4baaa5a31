package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/engine"
	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/lifecycle"
)

// receiver takes the JSON webhook.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	events []notify.Event
	answer func(n int) (int, http.Header)
	n      int
}

func newReceiver(t *testing.T, secret string) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		want := ""
		if secret != "" {
			want = "sha256=" + hex.EncodeToString(mac.Sum(nil))
		}
		if got := req.Header.Get("X-Belay-Signature-256"); got != want {
			t.Errorf("signature %q, want %q", got, want)
		}
		var e notify.Event
		if err := json.Unmarshal(body, &e); err != nil || req.Header.Get("Content-Type") != "application/json" || req.Header.Get("X-Belay-Event") != e.Event || req.Header.Get("X-Belay-Delivery") != e.ID {
			t.Errorf("%v: %s %v", err, body, req.Header)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.n++
		if r.answer != nil {
			code, header := r.answer(r.n)
			for k, v := range header {
				w.Header()[k] = v
			}
			w.WriteHeader(code)
			if code >= 300 {
				return
			}
		}
		r.events = append(r.events, e)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) names() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		out = append(out, e.Event)
	}
	return strings.Join(out, " ")
}

func (s *scene) onlyWebhook(address, secret string) {
	s.opts.SlackToken = nil
	s.opts.Webhook = func() string { return address }
	s.opts.WebhookSecret = func() string { return secret }
}

const wholeLife = "started backup merged applied verified"

func TestWebhookGetsEveryEventInOrder(t *testing.T) {
	for _, secret := range []string{"", "s3cret"} {
		s := newScene(t)
		r := newReceiver(t, secret)
		s.onlyWebhook(r.URL+"/hook", secret)
		n := s.belay()
		s.life(func() { tell(t, n); tell(t, n) })
		if got := r.names(); got != wholeLife {
			t.Errorf("got %s", got)
		}
		e := r.events[2]
		if e.ID != "u1.3" || e.Text != "Merged by belay[bot]; the backup before it succeeded. CI applies it now." || e.Alarm || e.Who != "belay" ||
			e.Upgrade != (notify.Upgrade{ID: "u1", Repository: "acme/home-ops", Service: "web", From: "1.0.0", To: "1.0.1", State: "applying", Risk: "safe", Pull: 12, URL: "https://github.com/acme/home-ops/pull/12"}) {
			t.Errorf("%+v", e)
		}
	}
}

func TestWebhookFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(n int) (int, http.Header)
		want   string
		after  time.Duration // how long it has to wait at least
	}{
		{"an error that passes", func(n int) (int, http.Header) { return []int{500, 502, 200}[min(n-1, 2)], nil }, wholeLife, 2 * time.Second},
		{"Retry-After in seconds", func(n int) (int, http.Header) {
			if n == 1 {
				return 429, http.Header{"Retry-After": {"120"}}
			}
			return 200, nil
		}, wholeLife, 120 * time.Second},
		{"503 with Retry-After", func(n int) (int, http.Header) {
			if n == 2 {
				return 503, http.Header{"Retry-After": {"60"}}
			}
			return 200, nil
		}, wholeLife, 60 * time.Second},
		{"no such address", func(int) (int, http.Header) { return 404, nil }, "", 0},
		{"a redirect is not followed", func(int) (int, http.Header) { return 302, http.Header{"Location": {"/elsewhere"}} }, "", 0},
		{"it does not like the body", func(int) (int, http.Header) { return 422, nil }, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t)
			r := newReceiver(t, "")
			r.answer = tc.answer
			s.onlyWebhook(r.URL+"/hook/s3cr3t-path", "")
			n := s.belay()
			s.life(func() {})
			start := s.clock()
			s.retries(n)
			if got := r.names(); got != tc.want || s.clock().Sub(start) < tc.after {
				t.Errorf("got %q after %s", got, s.clock().Sub(start))
			}
			if tc.want == "" && (r.n != 1 || strings.Count(s.log.String(), "level=WARN") != 1) {
				t.Errorf("%d calls\n%s", r.n, s.log)
			}
			if strings.Contains(s.log.String(), "s3cr3t") {
				t.Errorf("the address is in the log:\n%s", s.log)
			}
		})
	}
}

func TestIncomingWebhookTellsWhatMatters(t *testing.T) {
	s := newScene(t)
	s.opts.SlackToken, s.opts.SlackWebhook = nil, s.slack.WebhookURL
	n := s.belay()
	s.life(func() { tell(t, n); tell(t, n) })
	var got []string
	for _, m := range s.slack.Messages() {
		_, line, _ := strings.Cut(m.Shown, "\n")
		got = append(got, strings.Join(strings.Fields(line)[:2], " "))
		if !strings.Contains(m.Shown, "*web* 1.0.0 → 1.0.1") || !strings.Contains(m.Shown, "|acme/home-ops#12>") {
			t.Errorf("a message alone says %q", m.Shown)
		}
	}
	if want := []string{"The pull", "Merged by", "Done: healthy"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// TestSlackDownHoldsUpNothing has Slack hang and refuse while the JSON webhook
// and the upgrades themselves go on.
func TestSlackDownHoldsUpNothing(t *testing.T) {
	s := newScene(t)
	r := newReceiver(t, "")
	s.opts.Webhook = func() string { return r.URL }
	s.slack.Inject(func(int, string) *sandbox.Fault { return &sandbox.Fault{Status: 503} })
	s.opts.Now = time.Now
	n := s.belay()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	steps := make(chan string, 10)
	life := []struct{ what, state string }{{"open pull request", "open"}, {"merge", "applying"}, {"watching", "watching"}, {"verified", "verified"}}
	var e *engine.Engine
	reconcile := func(ctx context.Context, id string) (time.Time, error) {
		if len(life) == 0 {
			return time.Time{}, nil
		}
		step := life[0]
		life = life[1:]
		s.happens(step.what, lifecycle.State(step.state), "because")
		steps <- step.state
		if err := e.Notify(ctx, id); err != nil {
			return time.Time{}, err
		}
		return time.Time{}, e.Wake(ctx, id)
	}
	e, err := engine.New(ctx, engine.Options{Store: s.store, Poll: 10 * time.Millisecond, Log: s.opts.Log, Reconcile: reconcile, Dispatch: func(context.Context, string) error { return nil }, Notify: n.Tell})
	if err != nil {
		t.Fatal(err)
	}
	s.wait(time.Since(s.clock())) // events happen now
	if err := e.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := e.Wake(ctx, "u1"); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		select {
		case <-steps:
		case <-ctx.Done():
			t.Fatalf("the upgrade is held up\n%s", s.log)
		}
	}
	eventually(ctx, t, "the webhook is told of all of it", func() bool { return r.names() == "started merged applied verified" })
	if got := s.slack.Messages(); len(got) != 0 {
		t.Errorf("told %+v", got)
	}
	s.slack.Inject(nil)
	eventually(ctx, t, "Slack is told when it is back", func() bool {
		roots, replies := s.split()
		return len(roots) == 1 && len(replies) == 4
	})
}

func eventually(ctx context.Context, t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// TestSecretsAreNeverShown has every place fail in every way that puts an
// address into an error, and looks for secrets in logs, errors and the state.
func TestSecretsAreNeverShown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing sensible
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "nonsense\r\n\r\n")
			_ = c.Close()
		}
	}()
	const mark = "t0psecret"
	for name, address := range map[string]string{
		"nobody listens":       "http://127.0.0.1:1/services/" + mark,
		"nonsense answers":     "http://" + l.Addr().String() + "/services/" + mark + "?key=" + mark,
		"no such host":         "http://name.invalid/services/" + mark,
		"no URL":               "http://127.0.0.1:port/services/" + mark,
		"a control character":  "http://127.0.0.1/\x7f" + mark,
		"no scheme":            "hooks.example/" + mark,
		"another scheme":       "gopher://127.0.0.1/" + mark,
		"a password within it": "http://ana:" + mark + "@127.0.0.1:1/x",
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.opts.SlackToken = func() string { return "xoxb-" + mark }
			s.opts.SlackAPI = strings.ReplaceAll(address, mark, "x")
			s.opts.SlackWebhook = func() string { return address }
			s.opts.Webhook = func() string { return address }
			s.opts.WebhookSecret = func() string { return mark }
			n := s.belay()
			s.happens("open pull request", lifecycle.Open, "a new version is there")
			for range 3 {
				err := n.Tell(context.Background(), "u1")
				if err != nil && strings.Contains(err.Error(), mark) {
					t.Errorf("the error shows it: %v", err)
				}
				var retry interface{ RetryAt() time.Time }
				if errors.As(err, &retry) {
					s.wait(retry.RetryAt().Sub(s.clock()))
				}
			}
			if strings.Contains(s.log.String(), mark) {
				t.Errorf("the log shows it:\n%s", s.log)
			}
			if !strings.Contains(s.log.String(), "level=WARN") {
				t.Errorf("nobody is told that it failed:\n%s", s.log)
			}
			for _, place := range []string{"slack", "slack-webhook", "webhook"} {
				if value, err := s.store.Get(context.Background(), "told "+place+" u1"); err == nil && strings.Contains(value, mark) {
					t.Errorf("the state shows it: %s", value)
				}
			}
		})
	}
}
