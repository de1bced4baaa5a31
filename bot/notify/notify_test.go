package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// scene is a store with one upgrade, and the places where people are told.
type scene struct {
	t     *testing.T
	store *store.Store
	slack *sandbox.Slack
	opts  notify.Options
	u     store.Upgrade
	rec   map[string]any
	log   *lines

	mu  sync.Mutex
	now time.Time
}

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, log: &lines{}, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), rec: map[string]any{"risk": "safe", "automerge": true}}
	ctx := context.Background()
	var err error
	if s.store, err = store.Open(ctx, store.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.store.Close() })
	if s.slack, err = sandbox.NewSlack(sandbox.SlackOptions{Now: s.clock, Report: func(err error) { t.Error(err) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.slack.Close() })
	s.opts = notify.Options{State: s.store, GitHub: "https://github.com", SlackAPI: s.slack.URL(), SlackChannel: sandbox.SlackChannel, SlackToken: s.slack.Token,
		Now: s.clock, Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s.u, _, err = s.store.CreateUpgrade(ctx, store.Upgrade{ID: "u1", Repository: "acme/home-ops", Service: "web", Lane: "acme/web", State: string(lifecycle.Queued), From: "1.0.0", To: "1.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *scene) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// belay is a new life of the notifier.
func (s *scene) belay() *notify.Notifier {
	s.t.Helper()
	n, err := notify.New(context.Background(), s.opts)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// happens records an event and the state after it.
func (s *scene) happens(what string, state lifecycle.State, why string) {
	s.t.Helper()
	s.wait(time.Second)
	data, err := json.Marshal(s.rec)
	if err != nil {
		s.t.Fatal(err)
	}
	s.u.State, s.u.Final, s.u.Data, s.u.Pull = string(state), state.Final(), data, 12
	if s.u, err = s.store.SaveUpgrade(context.Background(), s.u, store.Event{Upgrade: s.u.ID, At: s.clock(), Who: "belay", What: what, Why: why}); err != nil {
		s.t.Fatal(err)
	}
}

func tell(t *testing.T, n *notify.Notifier) {
	t.Helper()
	if err := n.Tell(context.Background(), "u1"); err != nil {
		t.Fatal(err)
	}
}

// retries calls Tell as the engine does: at the moment that an error names.
func (s *scene) retries(n *notify.Notifier) int {
	s.t.Helper()
	for i := range 100 {
		err := n.Tell(context.Background(), "u1")
		if err == nil {
			return i
		}
		var retry interface{ RetryAt() time.Time }
		if !errors.As(err, &retry) {
			s.t.Fatalf("an error without a moment to try again: %v", err)
		}
		s.mu.Lock()
		if s.now.Before(retry.RetryAt()) {
			s.now = retry.RetryAt()
		}
		s.mu.Unlock()
	}
	s.t.Fatalf("it never ends\n%s", s.log)
	return 0
}

// split are the messages in the channel, and the answers in threads.
func (s *scene) split() (roots, replies []sandbox.SlackMessage) {
	for _, m := range s.slack.Messages() {
		if m.Thread == "" {
			roots = append(roots, m)
		} else {
			replies = append(replies, m)
		}
	}
	return roots, replies
}

// life is the life of an upgrade with a backup that ends well.
func (s *scene) life(step func()) {
	s.happens("open pull request", lifecycle.Open, "a new version is there")
	step()
	s.rec["backup"] = map[string]any{"config": map[string]string{"Kind": "cronjob", "Target": "dbaas/backup"}, "state": "running"}
	s.happens("start backup", lifecycle.BackingUp, "ready to merge: the backup comes first")
	step()
	s.rec["backup"] = map[string]any{"config": map[string]string{"Kind": "cronjob", "Target": "dbaas/backup"}, "state": "good"}
	s.rec["merge"] = map[string]any{"by": "belay[bot]", "sha": strings.Repeat("a", 40)}
	s.happens("merge", lifecycle.Applying, "all gates are open")
	step()
	s.happens("watching", lifecycle.Watching, "applied")
	step()
	s.happens("verified", lifecycle.Verified, "healthy through the whole window")
	step()
}

// wantLife checks that the whole life was told, everything once and in order.
func (s *scene) wantLife() {
	s.t.Helper()
	roots, replies := s.split()
	if len(roots) != 1 {
		s.t.Fatalf("%d messages in the channel, want one: %+v", len(roots), roots)
	}
	if got := roots[0].Shown; !strings.Contains(got, "Done: healthy") || !strings.Contains(got, "<https://github.com/acme/home-ops/pull/12|acme/home-ops#12>") {
		s.t.Errorf("the message says %q", got)
	}
	want := []string{"The pull request is open", "The backup by cronjob dbaas/backup", "Merged by belay[bot]; the backup before it succeeded", "Its health is watched", "Done: healthy"}
	if len(replies) != len(want) {
		s.t.Fatalf("%d answers in the thread, want %d: %+v", len(replies), len(want), replies)
	}
	for i, m := range replies {
		if !strings.Contains(m.Shown, want[i]) || m.Thread != roots[0].TS {
			s.t.Errorf("answer %d is %q in thread %s, want %q in %s", i, m.Shown, m.Thread, want[i], roots[0].TS)
		}
	}
}

func TestOneMessageThroughALife(t *testing.T) {
	s := newScene(t)
	n := s.belay()
	s.life(func() { tell(t, n); tell(t, n) }) // a repeated job says nothing twice
	s.wantLife()
	roots, _ := s.split()
	if roots[0].Edits != 4 {
		t.Errorf("the message was edited %d times, want 4: once for each state after the first", roots[0].Edits)
	}
	calls := s.slack.Calls()
	if calls["chat.postMessage"] != 6 || calls["chat.update"] != 4 || len(calls) != 2 {
		t.Errorf("calls %v", calls)
	}
}

// TestALadderIsOneThread tells of two steps, the jobs of which come in another order.
func TestALadderIsOneThread(t *testing.T) {
	s := newScene(t)
	n := s.belay()
	way := func(place int) {
		s.rec["ladder"] = map[string]any{"id": "u1", "from": "1.0.0", "rungs": []string{"1.0.1", "2.0.0"}, "place": place}
		s.u.Ladder, s.u.Place = "u1", place
	}
	way(1)
	s.happens("open pull request", lifecycle.Open, "a new version is there")
	tell(t, n)
	s.happens("verified", lifecycle.Verified, "healthy through the whole window")
	first := s.u
	next, _, err := s.store.CreateUpgrade(t.Context(), store.Upgrade{ID: "u2", Repository: "acme/home-ops", Service: "web", Lane: "acme/web", State: string(lifecycle.Queued), From: "1.0.1", To: "2.0.0", Ladder: "u1", Place: 2})
	if err != nil {
		t.Fatal(err)
	}
	s.u = next
	way(2)
	s.happens("open pull request", lifecycle.Open, "a new version is there")
	if err := n.Tell(t.Context(), "u2"); err != nil { // before the first step's own job
		t.Fatal(err)
	}
	tell(t, n)
	roots, replies := s.split()
	if len(roots) != 1 || len(replies) != 3 {
		t.Fatalf("%d messages and %d answers", len(roots), len(replies))
	}
	for i, want := range []string{"step 1 of 2, to 1.0.1", "Done, step 1 of 2: healthy through the whole window. The next step goes to 2.0.0", "step 2 of 2, to 2.0.0"} {
		if !strings.Contains(replies[i].Shown, want) || replies[i].Thread != roots[0].TS {
			t.Errorf("answer %d is %q, want %q", i, replies[i].Shown, want)
		}
	}
	if !strings.Contains(roots[0].Shown, "step 2/2 to 2.0.0") {
		t.Errorf("the message says %q", roots[0].Shown)
	}
	// What happens to an earlier step later is told there, too.
	s.u = first
	way(1)
	s.happens("open revert", lifecycle.Reverting, "asked to roll back")
	tell(t, n)
	if _, replies := s.split(); len(replies) != 4 || !strings.Contains(replies[3].Shown, "Goes back to 1.0.0") {
		t.Errorf("%+v", replies)
	}
}

func TestLostJobsAreCaughtUp(t *testing.T) {
	s := newScene(t)
	s.belay()
	s.life(func() {}) // every job is lost
	n := s.belay()
	ctx := context.Background()
	var woken []string
	wake := func(_ context.Context, id string) error { woken = append(woken, id); return n.Tell(ctx, id) }
	for range 2 {
		if err := n.CatchUp(ctx, wake); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(woken) != "[u1]" {
		t.Errorf("woken %v", woken)
	}
	s.wantLife()
}

func TestWhatWasBeforeIsNotTold(t *testing.T) {
	s := newScene(t)
	s.life(func() {})
	n := s.belay() // Slack is configured now
	tell(t, n)
	if got := s.slack.Messages(); len(got) != 0 {
		t.Errorf("told %+v", got)
	}
	s.happens("open revert", lifecycle.Reverting, "the service is not healthy")
	tell(t, n)
	roots, replies := s.split()
	if len(roots) != 1 || len(replies) != 1 || !strings.Contains(replies[0].Shown, "not healthy") || !replies[0].Broadcast {
		t.Errorf("told %+v %+v", roots, replies)
	}
}

func TestChangesWithoutAnEventShowInTheMessage(t *testing.T) {
	s := newScene(t)
	n := s.belay()
	s.happens("open pull request", lifecycle.Open, "a new version is there")
	tell(t, n)
	s.rec["held"] = map[string]any{"login": "ana"}
	s.happens("command", lifecycle.Open, "hold")
	tell(t, n)
	roots, replies := s.split()
	if len(roots) != 1 || len(replies) != 1 || !strings.Contains(roots[0].Shown, "Held by ana") {
		t.Errorf("told %+v %+v", roots, replies)
	}
}

func TestADeletedMessageIsPostedAnew(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		s := newScene(t)
		n := s.belay()
		s.happens("open pull request", lifecycle.Open, "a new version is there")
		tell(t, n)
		roots, _ := s.split()
		s.slack.Delete(roots[0].TS)
		if quiet {
			s.happens("open pull request", lifecycle.Open, "the base moved") // the message would not change
		} else {
			s.happens("merge", lifecycle.Applying, "all gates are open")
		}
		tell(t, n)
		roots, replies := s.split()
		if len(roots) != 1 || len(replies) != 2 || replies[1].Thread != roots[0].TS {
			t.Errorf("quiet=%v: told %+v %+v", quiet, roots, replies)
		}
	}
}

// flaky is a state that fails from the n-th write on, as a killed process does.
type flaky struct {
	*store.Store
	left int
}

var errKilled = errors.New("killed")

func (f *flaky) Put(ctx context.Context, name, value string) error {
	if f.left--; f.left < 0 {
		return errKilled
	}
	return f.Store.Put(ctx, name, value)
}

// TestKilledAtEveryWrite kills belay before each of its writes in turn, most of
// which follow a message that was just posted, and starts it anew.
func TestKilledAtEveryWrite(t *testing.T) {
	killed := 0
	for at := 0; ; at++ {
		s := newScene(t)
		s.belay()
		s.life(func() {})
		state := &flaky{Store: s.store, left: at}
		s.opts.State = state
		err := s.belay().Tell(context.Background(), "u1")
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		s.opts.State = s.store
		tell(t, s.belay())
		s.wantLife()
		if err == nil {
			break
		}
		killed++
		if t.Failed() {
			t.Fatalf("killed at write %d", at)
		}
	}
	t.Logf("killed at %d writes, everything told once", killed)
}

// TestEveryCallFailsInTurn has each call to Slack fail in each of the ways in
// which calls fail, carried out or not.
func TestEveryCallFailsInTurn(t *testing.T) {
	n := 0
	for name, fault := range map[string]*sandbox.Fault{
		"reset before":        {Reset: true},
		"reset after":         {Reset: true, After: true},
		"HTTP 500":            {Status: 500},
		"HTTP 502 after":      {Status: 502, After: true},
		"HTTP 429":            sandbox.SlackLimit(30),
		"internal_error":      sandbox.SlackError("internal_error"),
		"a page in its place": {Status: 200, Body: "<html>maintenance</html>"},
	} {
		for at := 1; at <= 7; at++ {
			s := newScene(t)
			life := s.belay()
			s.life(func() {})
			calls := 0
			s.slack.Inject(func(int, string) *sandbox.Fault {
				if calls++; calls == at {
					return fault
				}
				return nil
			})
			s.retries(life)
			s.wantLife()
			if n++; t.Failed() {
				t.Fatalf("%s at call %d\n%s", name, at, s.log)
			}
		}
	}
	t.Logf("%d failures, everything told once", n)
}

func TestRetryAfterIsObeyed(t *testing.T) {
	s := newScene(t)
	n := s.belay()
	s.happens("open pull request", lifecycle.Open, "a new version is there")
	s.slack.Inject(func(n int, _ string) *sandbox.Fault {
		if n == 1 {
			return sandbox.SlackLimit(90)
		}
		return nil
	})
	start := s.clock()
	err := n.Tell(context.Background(), "u1")
	var retry interface{ RetryAt() time.Time }
	if !errors.As(err, &retry) || retry.RetryAt().Sub(start) != 90*time.Second {
		t.Fatalf("%v", err)
	}
	s.wait(89 * time.Second)
	if err := n.Tell(context.Background(), "u1"); err == nil || s.slack.Calls()["chat.postMessage"] != 1 {
		t.Errorf("called before the time is over: %v %v", err, s.slack.Calls())
	}
	s.wait(time.Second)
	tell(t, n)
}

func TestManyUpgradesStayUnderSlacksLimit(t *testing.T) {
	s := newScene(t)
	limited, err := sandbox.NewSlack(sandbox.SlackOptions{Now: s.clock, Report: func(err error) { t.Error(err) }, Limit: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer limited.Close()
	s.slack = limited
	s.opts.SlackAPI, s.opts.SlackToken = limited.URL(), limited.Token
	n := s.belay()
	s.life(func() {})
	s.retries(n)
	s.wantLife()
}

func TestWhatCannotSucceedIsGivenUp(t *testing.T) {
	for _, code := range []string{"invalid_auth", "token_revoked", "not_in_channel", "channel_not_found", "is_archived", "missing_scope", "invalid_blocks", "something_new"} {
		s := newScene(t)
		n := s.belay()
		s.happens("open pull request", lifecycle.Open, "a new version is there")
		s.slack.Inject(func(int, string) *sandbox.Fault { return sandbox.SlackError(code) })
		tell(t, n)
		tell(t, n)
		if got := s.slack.Calls()["chat.postMessage"]; got != 1 {
			t.Errorf("%s: %d calls, want one", code, got)
		}
		if !strings.Contains(s.log.String(), "level=WARN") || !strings.Contains(s.log.String(), code) {
			t.Errorf("%s: the log does not say so: %s", code, s.log)
		}
		s.slack.Inject(nil) // mended: what comes next is told
		s.happens("merge", lifecycle.Applying, "all gates are open")
		tell(t, n)
		if roots, replies := s.split(); len(roots) != 1 || len(replies) != 1 || !strings.Contains(roots[0].Shown, "Merged") {
			t.Errorf("%s: told %+v %+v", code, roots, replies)
		}
	}
}

func TestAnOutageEndsAfterThreeDays(t *testing.T) {
	s := newScene(t)
	n := s.belay()
	s.happens("open pull request", lifecycle.Open, "a new version is there")
	s.slack.Inject(func(int, string) *sandbox.Fault { return &sandbox.Fault{Status: http.StatusServiceUnavailable} })
	tries := 0
	for start := s.clock(); ; tries++ {
		err := n.Tell(context.Background(), "u1")
		if err == nil {
			break
		}
		var retry interface{ RetryAt() time.Time }
		if !errors.As(err, &retry) || s.clock().Sub(start) > 73*time.Hour {
			t.Fatalf("after %s: %v", s.clock().Sub(start), err)
		}
		s.wait(retry.RetryAt().Sub(s.clock()))
	}
	if tries > 1000 {
		t.Errorf("%d tries in three days", tries)
	}
	if got := strings.Count(s.log.String(), "level=ERROR"); got != 1 {
		t.Errorf("a person is told %d times that Slack is down, want once", got)
	}
	t.Logf("%d tries in three days", tries)
}

func TestTokensRotateWithoutARestart(t *testing.T) {
	s := newScene(t)
	n := s.belay()
	s.happens("open pull request", lifecycle.Open, "a new version is there")
	tell(t, n)
	s.slack.Rotate()
	s.happens("merge", lifecycle.Applying, "all gates are open")
	tell(t, n)
	if roots, replies := s.split(); len(roots) != 1 || len(replies) != 2 {
		t.Errorf("told %+v %+v", roots, replies)
	}
}

// TestWithoutLookingAtMostOneMore states the guarantee where the bot cannot look
// for its own message: an attempt whose answer was lost is repeated once.
func TestWithoutLookingAtMostOneMore(t *testing.T) {
	for name, prepare := range map[string]func(*scene){
		"the channel is given by name": func(s *scene) { s.opts.SlackChannel = "#" + sandbox.SlackChannelName },
		"the bot lacks the scope":      func(*scene) {},
	} {
		s := newScene(t)
		prepare(s)
		n := s.belay()
		s.happens("open pull request", lifecycle.Open, "a new version is there")
		s.slack.Inject(func(n int, method string) *sandbox.Fault {
			if strings.HasPrefix(method, "conversations.") {
				return sandbox.SlackError("missing_scope")
			}
			if n == 1 {
				return &sandbox.Fault{Reset: true, After: true}
			}
			return nil
		})
		s.retries(n)
		if roots, replies := s.split(); len(roots) != 2 || len(replies) != 1 || replies[0].Thread != roots[1].TS {
			t.Errorf("%s: told %+v %+v", name, roots, replies)
		}
		if !strings.Contains(s.log.String(), "may be told twice") {
			t.Errorf("%s: the log does not say so", name)
		}
	}
}
