package github_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
)

// TestLimitsAreObeyed runs into every kind of limit. The error says until when;
// nothing more is sent before that moment, and work goes on after it.
func TestLimitsAreObeyed(t *testing.T) {
	rest := func(w *world) error { _, err := w.home().DefaultBranch(w.t.Context()); return err }
	graphql := func(w *world) error {
		_, err := w.home().Checks(w.t.Context(), strings.Repeat("a", 40))
		if errors.Is(err, github.ErrNotFound) {
			return nil
		}
		return err
	}
	asApp := func(w *world) error { _, err := w.app.Deliveries(w.t.Context(), time.Time{}); return err }
	says403 := func(w *world, header ...string) {
		w.wire.answer(func(req *http.Request) *http.Response {
			return says(req, http.StatusForbidden, `{"message":"You have exceeded a secondary rate limit"}`, header...)
		})
	}
	for _, tc := range []struct {
		name  string
		limit func(w *world)
		ask   func(w *world) error
		until time.Duration        // from now
		other func(w *world) error // is not concerned, nil: everything is
	}{
		{"the primary limit of REST", func(w *world) { w.gh.SetLimit("acme", "core", 0, w.now.get().Add(17*time.Minute)) }, rest, 17*time.Minute + time.Second, graphql},
		{"the primary limit of GraphQL", func(w *world) { w.gh.SetLimit("acme", "graphql", 0, w.now.get().Add(17*time.Minute)) }, graphql, 17*time.Minute + time.Second, rest},
		{"a secondary limit with Retry-After", func(w *world) { w.gh.SlowDown("acme", 90*time.Second, true) }, rest, 90 * time.Second, nil},
		{"a secondary limit of GraphQL with Retry-After", func(w *world) { w.gh.SlowDown("acme", 90*time.Second, true) }, graphql, 90 * time.Second, nil},
		{"a secondary limit without a header", func(w *world) { w.gh.SlowDown("acme", 50*time.Second, false) }, rest, time.Minute, nil},
		{"the App's own limit", func(w *world) { w.gh.SetLimit("", "core", 0, w.now.get().Add(5*time.Minute)) }, asApp, 5*time.Minute + time.Second, rest},
		{"Retry-After with a date", func(w *world) {
			says403(w, "Retry-After", w.now.get().Add(3*time.Minute).UTC().Format(http.TimeFormat))
		}, rest, 3*time.Minute + time.Second, nil},
		{"too many requests, without a word", func(w *world) {
			w.wire.answer(func(req *http.Request) *http.Response { return says(req, http.StatusTooManyRequests, `{}`) })
		}, rest, time.Minute, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			for _, f := range []func(*world) error{rest, graphql, asApp} { // tokens are there
				if err := f(w); err != nil {
					t.Fatal(err)
				}
			}
			tc.limit(w)
			want := w.now.get().Add(tc.until)
			for i := range 3 {
				w.wire.take()
				err := tc.ask(w)
				var limited *github.Limited
				if !errors.As(err, &limited) || !limited.RetryAt().Equal(want) {
					t.Fatalf("try %d: got %v, want a limit until %s", i, err, want)
				}
				if sent := w.wire.take(); (len(sent) > 0) != (i == 0) {
					t.Errorf("try %d: %d requests were sent: %v", i, len(sent), sent)
				}
			}
			if tc.other != nil {
				if err := tc.other(w); err != nil {
					t.Errorf("what is not concerned: %v", err)
				}
			}
			w.wire.answer(nil)
			w.now.add(tc.until - time.Second)
			if err := tc.ask(w); err == nil {
				t.Error("asked a second too early")
			}
			w.now.add(2 * time.Second)
			if err := tc.ask(w); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestTheLastRequestIsTheLast: when an answer says that none is left, none is sent.
func TestTheLastRequestIsTheLast(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.home()
	reset := w.now.get().Add(10 * time.Minute)
	w.gh.SetLimit("acme", "core", 1, reset)
	if _, err := w.home().DefaultBranch(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wire.take()
	_, err := w.home().FindPull(t.Context(), "topic")
	var limited *github.Limited
	if !errors.As(err, &limited) || !limited.Until.Equal(reset.Add(time.Second)) {
		t.Errorf("got %v", err)
	}
	if sent := w.wire.take(); len(sent) > 0 {
		t.Errorf("sent %v", sent)
	}
}

// TestLimitsOfOthers: an installation that is limited does not stop another.
func TestLimitsOfOthers(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	if _, err := w.gh.AddRepository("bo", "things", map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	w.gh.SlowDown("acme", time.Hour, true)
	if _, err := w.home().DefaultBranch(t.Context()); err == nil {
		t.Error("the limit is not obeyed")
	}
	r, err := w.app.Repository(t.Context(), "bo/things")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.DefaultBranch(t.Context()); err != nil {
		t.Errorf("the other installation: %v", err)
	}
}

// TestRefusalsAreNoLimits: a permission that is missing is not waited for.
func TestRefusalsAreNoLimits(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.home()
	for status, want := range map[int]error{http.StatusForbidden: github.ErrNoAccess, http.StatusUnauthorized: github.ErrNoAccess, http.StatusNotFound: github.ErrNotFound,
		http.StatusGone: github.ErrNotFound, http.StatusUnprocessableEntity: nil, http.StatusInternalServerError: nil, http.StatusBadGateway: nil} {
		w.wire.answer(func(req *http.Request) *http.Response {
			if strings.HasSuffix(req.URL.Path, "/access_tokens") || strings.HasSuffix(req.URL.Path, "/installation") {
				return nil
			}
			return says(req, status, `{"message":"Resource not accessible by integration"}`, "X-Ratelimit-Remaining", "4000")
		})
		_, err := w.home().DefaultBranch(t.Context())
		var limited *github.Limited
		if err == nil || errors.As(err, &limited) || !strings.Contains(err.Error(), strconv.Itoa(status)) || !strings.Contains(err.Error(), "acme/home-ops") {
			t.Errorf("HTTP %d: %v", status, err)
		}
		for _, kind := range []error{github.ErrNoAccess, github.ErrNotFound} {
			if errors.Is(err, kind) != errors.Is(want, kind) {
				t.Errorf("HTTP %d: %v is %v: %v", status, err, kind, errors.Is(err, kind))
			}
		}
	}
}

// TestConditionalRequests: the same question again costs nothing while nothing
// changed, and its answer is right when something did.
func TestConditionalRequests(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	w.open("belay/web/1.0.1")
	ask := func() github.Pull {
		t.Helper()
		p, err := w.home().FindPull(t.Context(), "belay/web/1.0.1")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ask()
	w.gh.SetLimit("acme", "core", 10, w.now.get().Add(time.Hour))
	w.wire.take()
	for range 20 {
		if p := ask(); p.Number != 1 || p.Title != "upgrade" {
			t.Fatalf("got %+v", p)
		}
	}
	for _, line := range w.wire.take() {
		if !strings.HasSuffix(line, " 304") {
			t.Errorf("not conditional: %s", line)
		}
	}
	w.repo.SetBody(1, "changed by a person")
	if p := ask(); p.Body != "changed by a person" {
		t.Errorf("after a change: %+v", p)
	}
	w.gh.ExpireTokens() // with the next token nothing is known
	_, _ = w.home().FindPull(t.Context(), "belay/web/1.0.1")
	if p := ask(); p.Number != 1 {
		t.Errorf("with another token: %+v", p)
	}
}

// TestCancelled: a context that ends is said to have ended.
func TestCancelled(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	r := w.home()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.DefaultBranch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
