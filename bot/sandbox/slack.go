package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SlackOptions say how the stand-in Slack behaves.
type SlackOptions struct {
	Now    func() time.Time // nil: time.Now
	Report func(error)      // takes what breaks Slack's method documentation; nil: only refused
	Limit  int              // messages in a channel per minute, then 429; 0: no limit
}

// SlackMessage is a message in a channel.
type SlackMessage struct {
	Channel   string
	TS        string // also its name: "1405894322.002768"
	Thread    string // ts of the message that it answers, "" for one in the channel
	Text      string
	Shown     string          // what people see: the text of the blocks, or Text without them
	Metadata  json.RawMessage // as it was sent, nil when none was
	Broadcast bool            // an answer that the channel shows too
	Edits     int
	Webhook   bool // came by the incoming webhook
}

// Slack is a stand-in for Slack's Web API with one workspace, one bot token,
// one channel and one incoming webhook. What it is sent is held against the
// documentation of the methods: arguments that a method does not have, ids and
// timestamps of the wrong form and texts over the limits are refused.
type Slack struct {
	opts     SlackOptions
	listener net.Listener
	server   *http.Server
	token    string
	hook     string // path of the incoming webhook

	mu       sync.Mutex
	messages []SlackMessage
	last     int64 // the last ts in microseconds
	posted   []time.Time
	calls    map[string]int
	requests int
	inject   func(n int, method string) *Fault
}

// SlackChannel is the channel that the stand-in has, by id and by name.
const (
	SlackChannel     = "C0123456789"
	SlackChannelName = "upgrades"
)

// NewSlack starts a stand-in on a free port of loopback. Close ends it.
func NewSlack(opts SlackOptions) (*Slack, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Report == nil {
		opts.Report = func(error) {}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Slack{opts: opts, listener: l, token: "xoxb-" + rand.Text(), hook: "/services/T0123456789/B0123456789/" + rand.Text(), calls: map[string]int{}}
	s.server = &http.Server{Handler: s.faulty(http.HandlerFunc(s.serve)), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

// Close ends the server.
func (s *Slack) Close() error { return s.server.Close() }

// URL is the address of the Web API, to be given as --slack-api.
func (s *Slack) URL() string { return "http://" + s.listener.Addr().String() + "/api/" }

// Token is the bot token.
func (s *Slack) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// Rotate gives the bot another token; the old one is no longer taken.
func (s *Slack) Rotate() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = "xoxb-" + rand.Text()
	return s.token
}

// WebhookURL is the address of the incoming webhook.
func (s *Slack) WebhookURL() string { return "http://" + s.listener.Addr().String() + s.hook }

// Messages are all messages, in the order in which they were posted.
func (s *Slack) Messages() []SlackMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Delete removes a message, as a person may.
func (s *Slack) Delete(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = slices.DeleteFunc(s.messages, func(m SlackMessage) bool { return m.TS == ts })
}

// Calls counts the requests by method; the incoming webhook is "webhook".
func (s *Slack) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for k, v := range s.calls {
		out[k] = v
	}
	return out
}

// Inject has f asked about every request; what it returns happens instead of
// the answer. nil takes the faults away.
func (s *Slack) Inject(f func(n int, method string) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inject, s.requests = f, 0
}

// SlackError is a fault in the form in which Slack's methods refuse.
func SlackError(code string) *Fault {
	return &Fault{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: fmt.Sprintf(`{"ok":false,"error":%q}`, code)}
}

// SlackLimit is Slack's answer to too many requests.
func SlackLimit(seconds int) *Fault {
	f := SlackError("ratelimited")
	f.Status = http.StatusTooManyRequests
	f.Header.Set("Retry-After", strconv.Itoa(seconds))
	return f
}

func method(r *http.Request) string {
	if name, ok := strings.CutPrefix(r.URL.Path, "/api/"); ok {
		return name
	}
	return "webhook"
}

func (s *Slack) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		s.calls[method(r)]++
		var fault *Fault
		if s.inject != nil {
			fault = s.inject(s.requests, method(r))
		}
		s.mu.Unlock()
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
		_, _ = io.WriteString(w, fault.Body)
	})
}

// refused is an error code of Slack's.
type refused string

func (r refused) Error() string { return string(r) }

func (s *Slack) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	if method(r) == "webhook" {
		s.webhook(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	answer, err := s.call(r)
	var code refused
	switch {
	case errors.As(err, &code) && code == "ratelimited":
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
		answer = map[string]any{"ok": false, "error": string(code)}
	case errors.As(err, &code):
		answer = map[string]any{"ok": false, "error": string(code)}
	case err != nil:
		s.opts.Report(fmt.Errorf("slack %s: %w", method(r), err))
		answer = map[string]any{"ok": false, "error": "invalid_arguments", "response_metadata": map[string]any{"messages": []string{err.Error()}}}
	default:
		answer["ok"] = true
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// call carries out one method. An error that is no refused breaks the documentation.
func (s *Slack) call(r *http.Request) (map[string]any, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	args, err := url.ParseQuery(string(data))
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return nil, fmt.Errorf("the body is no form: %q", r.Header.Get("Content-Type"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkArguments(method(r), args); err != nil {
		return nil, err
	}
	token := args.Get("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	switch token {
	case "":
		return nil, refused("not_authed")
	case s.token:
	default:
		return nil, refused("invalid_auth")
	}
	switch method(r) {
	case "auth.test":
		return map[string]any{"url": "https://acme.slack.com/", "team": "Acme", "user": "belay", "team_id": "T0123456789", "user_id": "U0123456789", "bot_id": "B0123456789"}, nil
	case "chat.postMessage":
		return s.post(args)
	case "chat.update":
		return s.update(args)
	case "conversations.history":
		return s.history(args, "")
	case "conversations.replies":
		return s.history(args, args.Get("ts"))
	}
	return nil, refused("unknown_method")
}

// next is the ts of a new message: microseconds, never the same twice.
func (s *Slack) next() string {
	s.last = max(s.last+1, s.opts.Now().UnixMicro())
	return fmt.Sprintf("%d.%06d", s.last/1_000_000, s.last%1_000_000)
}

func (s *Slack) limited() bool {
	now := s.opts.Now()
	s.posted = slices.DeleteFunc(s.posted, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if s.opts.Limit > 0 && len(s.posted) >= s.opts.Limit {
		return true
	}
	s.posted = append(s.posted, now)
	return false
}

func (s *Slack) post(args url.Values) (map[string]any, error) {
	if c := args.Get("channel"); c != SlackChannel && strings.TrimPrefix(c, "#") != SlackChannelName {
		return nil, refused("channel_not_found")
	}
	shown, err := content(args.Get("text"), args.Get("blocks"))
	if err != nil {
		return nil, err
	}
	if s.limited() {
		return nil, refused("ratelimited")
	}
	m := SlackMessage{Channel: SlackChannel, Thread: args.Get("thread_ts"), Text: args.Get("text"), Shown: shown, Broadcast: args.Get("reply_broadcast") == "true"}
	if args.Get("metadata") != "" {
		m.Metadata = json.RawMessage(args.Get("metadata"))
	}
	if m.Thread != "" && !slices.ContainsFunc(s.messages, func(o SlackMessage) bool { return o.TS == m.Thread && o.Thread == "" }) {
		return nil, refused("thread_not_found")
	}
	m.TS = s.next()
	s.messages = append(s.messages, m)
	return map[string]any{"channel": m.Channel, "ts": m.TS, "message": m.json()}, nil
}

func (s *Slack) update(args url.Values) (map[string]any, error) {
	if args.Get("channel") != SlackChannel {
		return nil, refused("channel_not_found")
	}
	shown, err := content(args.Get("text"), args.Get("blocks"))
	if err != nil {
		return nil, err
	}
	for i := range s.messages {
		m := &s.messages[i]
		if m.TS != args.Get("ts") {
			continue
		}
		if m.Webhook {
			return nil, refused("cant_update_message")
		}
		m.Text, m.Shown = args.Get("text"), shown
		m.Edits++
		return map[string]any{"channel": m.Channel, "ts": m.TS, "text": m.Text, "message": m.json()}, nil
	}
	return nil, refused("message_not_found")
}

// history lists a channel's messages, newest first, or a thread's, oldest first.
func (s *Slack) history(args url.Values, thread string) (map[string]any, error) {
	if args.Get("channel") != SlackChannel {
		return nil, refused("channel_not_found")
	}
	limit := 100
	if n, err := strconv.Atoi(args.Get("limit")); err == nil && n > 0 {
		limit = min(n, 999)
	}
	found := []map[string]any{}
	for _, m := range s.messages {
		in := m.Thread == "" || m.Broadcast
		if thread != "" {
			in = m.Thread == thread || m.TS == thread
		}
		if !in || m.TS < args.Get("oldest") {
			continue
		}
		e := m.json()
		if all := args.Get("include_all_metadata"); m.Metadata != nil && (all == "1" || all == "true") {
			e["metadata"] = m.Metadata
		}
		found = append(found, e)
	}
	if thread == "" {
		slices.Reverse(found)
	}
	more := len(found) > limit
	if more {
		found = found[:limit]
	}
	return map[string]any{"messages": found, "has_more": more}, nil
}

func (m SlackMessage) json() map[string]any {
	out := map[string]any{"type": "message", "ts": m.TS, "text": m.Text, "bot_id": "B0123456789", "user": "U0123456789"}
	if m.Thread != "" {
		out["thread_ts"] = m.Thread
	}
	return out
}

// webhook takes a message by the incoming webhook, which answers in plain text.
func (s *Slack) webhook(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path != s.hook {
		http.Error(w, "no_service", http.StatusNotFound)
		return
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return
	}
	m, err := hookMessage(data)
	var code refused
	switch {
	case errors.As(err, &code):
		http.Error(w, string(code), http.StatusBadRequest)
		return
	case err != nil:
		s.opts.Report(fmt.Errorf("slack webhook: %w", err))
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	case s.limited():
		w.Header().Set("Retry-After", "30")
		http.Error(w, "rate_limited", http.StatusTooManyRequests)
		return
	}
	m.TS = s.next()
	s.messages = append(s.messages, m)
	_, _ = io.WriteString(w, "ok")
}
