package advise_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/belaybot/belay/bot/advise"
	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/rules/advice"
	"github.com/belaybot/belay/rules/credential"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/risk"
)

var ctx = context.Background()

// world is an adviser before a stand-in of the API, with a clock that is set.
type world struct {
	*advise.Adviser
	t    *testing.T
	api  *sandbox.Messages
	eye  *credentials.Registry
	now  time.Time
	opts advise.Options
	log  bytes.Buffer
}

func newWorld(t *testing.T, set ...func(*world)) *world {
	t.Helper()
	api, err := sandbox.NewMessages(func(err error) { t.Errorf("the request breaks the documented form: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	w := &world{t: t, api: api, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.eye = credentials.New(clock, log)
	w.opts = advise.Options{URL: api.URL(), Now: clock, Log: log, Eye: w.eye, Credentials: []advise.Credential{{Label: "adviser_key", Read: fixed(api.Key())}}}
	for _, f := range set {
		f(w)
	}
	w.open()
	return w
}

// open makes the adviser, as a process does that starts.
func (w *world) open() {
	w.t.Helper()
	a, err := advise.New(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Adviser = a
}

func fixed(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func question() advice.Question {
	return advice.Question{Images: []string{"shlinkio/shlink"}, From: "4.3.4", To: "4.4.0", Settings: []string{"DB_HOST"},
		Releases: []notes.Release{{Tag: "v4.4.0", Body: "The `DB_HOST` variable is read as a URL from now on."}}}
}

// say has the API answer a text.
func (w *world) say(text string) {
	w.api.Answer(func(sandbox.MessageRequest) sandbox.MessageAnswer { return sandbox.MessageAnswer{Text: text} })
}

const warns = `{"risk":"caution","summary":["The form of ` + "`DB_HOST`" + ` changes in v4.4.0."],"findings":[{"version":"v4.4.0","quote":"The DB_HOST variable is read as a URL","text":"It is set here.","settings":["DB_HOST"]}]}`

// asked fails unless the API was asked so many times.
func (w *world) asked(n int) {
	w.t.Helper()
	if got := len(w.api.Requests()); got != n {
		w.t.Errorf("asked %d times, want %d", got, n)
	}
}

func TestAnUpgradeIsAskedAboutOnce(t *testing.T) {
	w := newWorld(t)
	w.say(warns)
	got := w.Advise(ctx, question())
	if got.Advice == nil || got.Advice.Level != risk.Caution || len(got.Advice.Summary) != 1 || len(got.Advice.Findings) != 1 || got.Advice.Model != advise.DefaultModel {
		t.Fatalf("got %+v", got)
	}
	if again := w.Advise(ctx, question()); again.Advice == nil || again.Advice.Summary[0] != got.Advice.Summary[0] {
		t.Errorf("the second time %+v", again)
	}
	w.asked(1)
	other := question()
	other.Settings = []string{"DB_HOST", "DB_PORT"}
	w.Advise(ctx, other)
	w.asked(2)
	req := w.api.Requests()[0]
	if len(req.Tools) != 0 || len(req.ToolChoice) != 0 {
		t.Error("the model is given tools")
	}
	if req.MaxTokens < 1000 || req.OutputConfig.Format.Type != "json_schema" || req.Model != advise.DefaultModel {
		t.Errorf("asked with %d tokens for %q from %s", req.MaxTokens, req.OutputConfig.Format.Type, req.Model)
	}
	if strings.Contains(req.Raw, w.api.Key()) || strings.Contains(w.log.String(), w.api.Key()) {
		t.Error("the key is sent in the text or logged")
	}
	if n := testutil.CollectAndCount(w); n == 0 {
		t.Error("nothing is counted")
	}
}

func TestWithoutACredentialNobodyIsAsked(t *testing.T) {
	w := newWorld(t, func(w *world) { w.opts.Credentials = []advise.Credential{{Label: "adviser_key", Read: fixed("")}} })
	if got := w.Advise(ctx, question()); got.Advice != nil || got.Problem != "" || w.On() {
		t.Errorf("got %+v", got)
	}
	var none *advise.Adviser
	if none.On() || none.Advise(ctx, question()).Problem != "" {
		t.Error("an adviser that is not there says something")
	}
	w = newWorld(t)
	if got := w.Advise(ctx, advice.Question{Releases: []notes.Release{{Tag: "v1", Body: " "}}}); got.Advice != nil || got.Problem == "" {
		t.Errorf("without notes: %+v", got)
	}
	w.asked(0)
}

// TestTrouble goes through everything that may go wrong with an answer. In each
// there is no advice, the reason is said without a secret, and the rules' own
// risk stands.
func TestTrouble(t *testing.T) {
	fault := func(code int, body string, header ...string) sandbox.MessageAnswer {
		f := &sandbox.Fault{Status: code, Body: body, Header: http.Header{"Content-Type": {"application/json"}}}
		for i := 0; i+1 < len(header); i += 2 {
			f.Header.Set(header[i], header[i+1])
		}
		return sandbox.MessageAnswer{Fault: f}
	}
	for _, tc := range []struct {
		name   string
		answer sandbox.MessageAnswer
		want   string
		again  bool // the next question is sent at once
	}{
		{"a rate limit", fault(429, `{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}`, "Retry-After", "120"), "rate limit", false},
		{"overload", fault(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), "overloaded", false},
		{"a server's error", fault(500, `{"type":"error","error":{"type":"api_error","message":"oops"}}`), "answers 500", false},
		{"a bad request", fault(400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}`), "answers 400", false},
		{"a page of HTML", fault(502, "<html>bad gateway</html>"), "answers 502", false},
		{"a redirect", fault(302, "", "Location", "https://evil.example/"), "", false},
		{"no JSON", fault(200, "hello"), "", false},
		{"an empty answer", fault(200, ""), "", false},
		{"a broken connection", sandbox.MessageAnswer{Fault: &sandbox.Fault{Reset: true}}, "cannot be reached", false},
		{"10 MB", sandbox.MessageAnswer{Text: strings.Repeat("x", 10<<20)}, "longer than", false},
		{"10 MB of an error", fault(400, strings.Repeat("x", 10<<20)), "", false},
		{"words in place of JSON", sandbox.MessageAnswer{Text: "This upgrade is SAFE."}, "cannot be used", true},
		{"another schema", sandbox.MessageAnswer{Text: `{"verdict":"safe"}`}, "cannot be used", true},
		{"a level too low", sandbox.MessageAnswer{Text: `{"risk":"none","summary":[],"findings":[]}`}, "cannot be used", true},
		{"a refusal", sandbox.MessageAnswer{Text: "", Stop: "refusal"}, "declined", true},
		{"an answer that was cut off", sandbox.MessageAnswer{Text: `{"risk":"sa`, Stop: "max_tokens"}, "cut off", true},
		{"a call of a tool that it was not given", sandbox.MessageAnswer{Stop: "tool_use", Blocks: []map[string]any{{"type": "tool_use", "id": "toolu_1", "name": "merge", "input": map[string]any{}}}}, "did not end", true},
		{"a tool call among text", sandbox.MessageAnswer{Blocks: []map[string]any{{"type": "text", "text": "{"}, {"type": "tool_use", "id": "toolu_1", "name": "merge", "input": map[string]any{}}}}, "something else than text", true},
		{"no content", sandbox.MessageAnswer{Blocks: []map[string]any{}}, "cannot be used", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.api.Answer(func(sandbox.MessageRequest) sandbox.MessageAnswer { return tc.answer })
			got := w.Advise(ctx, question())
			if got.Advice != nil || got.Problem == "" || !strings.Contains(got.Problem, tc.want) {
				t.Fatalf("got %+v, want %q", got, tc.want)
			}
			if strings.Contains(got.Problem+w.log.String(), w.api.Key()) || len(got.Problem) > 300 {
				t.Errorf("the reason is %q", got.Problem)
			}
			for _, level := range []risk.Level{risk.Safe, risk.Unknown, risk.Caution} {
				if after := advice.Raised(risk.Assessment{Level: level}, got); after.Level != level {
					t.Errorf("%s becomes %s", level, after.Level)
				}
			}
			w.Advise(ctx, question())
			w.asked(1) // not again right away, whatever it was
			other := question()
			other.To = "4.4.1"
			w.say(warns)
			if next := w.Advise(ctx, other); (next.Advice != nil) != tc.again {
				t.Errorf("the next upgrade: %+v", next)
			}
			w.now = w.now.Add(25 * time.Hour)
			if later := w.Advise(ctx, question()); later.Advice == nil {
				t.Errorf("a day later: %+v", later)
			}
		})
	}
}

func TestTheTimeIsBounded(t *testing.T) {
	w := newWorld(t, func(w *world) { w.opts.Timeout = 100 * time.Millisecond })
	open := make(chan struct{})
	defer close(open)
	w.api.Answer(func(sandbox.MessageRequest) sandbox.MessageAnswer { return sandbox.MessageAnswer{Wait: open} })
	if got := w.Advise(ctx, question()); got.Advice != nil || !strings.Contains(got.Problem, "did not answer within 100ms") {
		t.Errorf("got %+v", got)
	}
	other := question()
	other.To = "4.4.1"
	if got := w.Advise(ctx, other); !strings.Contains(got.Problem, "did not answer") {
		t.Errorf("the next one waits as well: %+v", got)
	}
	w.asked(1)
}

func TestAnEarlierAnswerOutlivesTrouble(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.opts.Memory = advise.Dir{Path: w.t.TempDir(), Now: func() time.Time { return w.now }}
	})
	w.say(warns)
	w.Advise(ctx, question())
	w.open() // a restart
	w.say("nonsense")
	edited := question()
	edited.Settings = append(edited.Settings, "DB_PORT")
	for range 2 {
		if got := w.Advise(ctx, edited); got.Advice == nil || got.Advice.Level != risk.Caution {
			t.Errorf("what raised the risk went away: %+v", got)
		}
	}
	w.asked(2)
	if got := w.Advise(ctx, question()); got.Advice == nil {
		t.Errorf("the kept one is lost: %+v", got)
	}
	w.asked(2)
	w.now = w.now.Add(91 * 24 * time.Hour)
	if got := w.Advise(ctx, question()); got.Advice != nil {
		t.Errorf("kept for ever: %+v", got)
	}
}

func TestTheBudgetOfADayIsKept(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(w *world) {
		w.opts.PerUpgrade, w.opts.PerDay = 10_000, 12_000
		w.opts.Memory = advise.Dir{Path: dir, Now: func() time.Time { return w.now }}
	})
	asked := 0
	for i := range 40 {
		q := question()
		q.To = fmt.Sprintf("4.4.%d", i)
		if i == 5 {
			w.open() // what was spent outlives a restart
		}
		got := w.Advise(ctx, q)
		if n := len(w.api.Requests()); n > asked {
			asked = n
			continue
		}
		if got.Advice != nil || !strings.Contains(got.Problem, "used up") {
			t.Fatalf("question %d: %+v", i, got)
		}
	}
	if asked < 2 || asked > 20 {
		t.Errorf("%d questions for 12,000 tokens", asked)
	}
	for _, r := range w.api.Requests() {
		if len(r.Raw)/advice.BytesPerToken > 10_000 {
			t.Errorf("a question of %d bytes", len(r.Raw))
		}
	}
	w.now = w.now.Add(24 * time.Hour)
	tomorrow := question()
	tomorrow.To = "4.5.0"
	w.Advise(ctx, tomorrow)
	w.asked(asked + 1)
	w.now = w.now.Add(24 * time.Hour)
	big := question()
	big.Releases[0].Body += strings.Repeat("and more ", 50_000)
	if got := w.Advise(ctx, big); got.Advice == nil || !got.Advice.Cut {
		t.Errorf("long notes: %+v", got)
	}
	if n := len(w.api.Requests()[asked+1].Raw); n/advice.BytesPerToken > 10_000 {
		t.Errorf("%d bytes for a budget of 10,000 tokens", n)
	}
}

func TestTheSpareCredentialIsTried(t *testing.T) {
	first, spare := "sk-ant-api03-wrong", ""
	w := newWorld(t, func(w *world) {
		spare = w.api.Token()
		w.opts.Credentials = []advise.Credential{
			{Label: "adviser_key", Read: func() (string, error) { return first, nil }},
			{Label: "adviser_spare_token", Read: fixed(spare), Token: true},
		}
	})
	w.say(warns)
	state := func(label string) credential.State {
		t.Helper()
		for _, c := range w.eye.List() {
			if c.Name == label {
				return c.State(w.now)
			}
		}
		t.Fatalf("%s is not listed", label)
		return ""
	}
	next := func(to string) advice.Outcome {
		q := question()
		q.To = to
		return w.Advise(ctx, q)
	}
	if got := next("4.4.0"); got.Advice == nil {
		t.Fatalf("the spare one was not tried: %+v", got)
	}
	if state("adviser_key") != credential.Refused || state("adviser_spare_token") != credential.OK {
		t.Errorf("known of them: %+v", w.eye.List())
	}
	next("4.4.1")
	if used := w.api.Used(); !slices.Equal(used, []string{first, spare, spare}) {
		t.Errorf("the refused one is tried at once again: %d requests", len(used))
	}
	log := w.log.String()
	if !strings.Contains(log, "credential=adviser_key") || strings.Contains(log, first) || strings.Contains(log, spare) {
		t.Errorf("the log names it by its value or not at all:\n%s", log)
	}
	w.now = w.now.Add(61 * time.Minute)
	next("4.4.2")
	if used := w.api.Used(); len(used) != 5 || used[3] != first {
		t.Errorf("after an hour the first is not tried again: %d requests", len(used))
	}
	first = w.api.Key() // rotated: no need to wait for the hour
	next("4.4.3")
	if used := w.api.Used(); used[len(used)-1] != first || state("adviser_key") != credential.OK {
		t.Errorf("the rotated one is not used: %+v", w.eye.List())
	}
	w.api.Revoke(first)
	w.api.Revoke(spare)
	if got := next("4.4.4"); got.Advice != nil || !strings.Contains(got.Problem, "adviser_spare_token was refused") {
		t.Errorf("both refused: %+v", got)
	}
	if err := w.eye.Look(ctx); err != nil || state("adviser_spare_token") != credential.Refused {
		t.Errorf("asked about it, %v, %+v", err, w.eye.List())
	}
}

func TestCredentialsAreAskedAboutWithoutTokens(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.opts.Credentials = append(w.opts.Credentials, advise.Credential{Label: "adviser_token", Read: fixed(w.api.Token()), Token: true})
	})
	if err := w.eye.Look(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.eye.List() {
		if c.State(w.now) != credential.OK {
			t.Errorf("%s: %s", c.Name, c.Line(w.now))
		}
	}
	w.asked(0)
}

func TestAtOnceIsOnce(t *testing.T) {
	w := newWorld(t)
	w.say(warns)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := w.Advise(ctx, question()); got.Advice == nil {
				t.Errorf("got %+v", got)
			}
		})
	}
	wg.Wait()
	w.asked(1)
}

func TestOptions(t *testing.T) {
	for _, opts := range []advise.Options{{URL: "api.example.org"}, {URL: "ftp://api.example.org"}, {URL: "https://ana:secret@api.example.org"}, {PerUpgrade: 100}} {
		if _, err := advise.New(opts); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	data, _ := json.Marshal(advice.Schema())
	if !strings.Contains(string(data), "additionalProperties") {
		t.Error("the schema is open")
	}
}
