package github_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/sandbox"
)

// TestDeliveries reads the App's delivery log, which is longer than a page.
func TestDeliveries(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	begin := w.now.get()
	const many = 230
	for i := range many {
		w.now.add(time.Second)
		w.repo.SetStatus(strings.Repeat("a", 40), fmt.Sprintf("check %d", i), "success")
	}
	w.flush()
	for _, tc := range []struct {
		name  string
		since time.Time
		want  int
	}{
		{"all of it", begin, many},
		{"the last hundred", begin.Add((many - 100) * time.Second), 100},
		{"the last one", begin.Add((many - 1) * time.Second), 1},
		{"nothing new", begin.Add(many * time.Second), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := w.app.Deliveries(t.Context(), tc.since)
			if err != nil || len(list) != tc.want {
				t.Fatalf("%d deliveries, %v", len(list), err)
			}
			for i, d := range list {
				if d.Event != "status" || d.Delivered || i > 0 && !list[i-1].At.Before(d.At) {
					t.Errorf("%d: %+v", i, d)
				}
			}
		})
	}
	list, err := w.app.Deliveries(t.Context(), begin)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := w.app.Payload(t.Context(), list[7].ID)
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Context string }
	if err := json.Unmarshal(payload, &status); err != nil || status.Context != "check 7" {
		t.Errorf("the eighth is about %q, %v", status.Context, err)
	}
	if _, err := w.app.Payload(t.Context(), 7); !errors.Is(err, github.ErrNotFound) {
		t.Errorf("a delivery that GitHub no longer has: %v", err)
	}
}

// TestDeliveredOrNot says of each delivery whether the server took it.
func TestDeliveredOrNot(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	answer := http.StatusAccepted
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(answer) }))
	defer srv.Close()
	w.gh.SetWebhook(srv.URL)
	for i, code := range []int{http.StatusAccepted, http.StatusServiceUnavailable} {
		answer = code
		w.repo.SetStatus(strings.Repeat("a", 40), fmt.Sprint(i), "success")
		w.flush()
	}
	list, err := w.app.Deliveries(t.Context(), time.Time{})
	if err != nil || len(list) != 2 || !list[0].Delivered || list[1].Delivered || list[0].GUID == list[1].GUID {
		t.Errorf("%+v, %v", list, err)
	}
	// A webhook that is sent again by hand has the same GUID.
	answer = http.StatusAccepted
	w.gh.Redeliver(list[1].GUID)
	w.flush()
	list, err = w.app.Deliveries(t.Context(), time.Time{})
	if err != nil || len(list) != 3 || list[2].GUID != list[1].GUID || list[2].ID == list[1].ID || !list[2].Delivered {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestNoSecretsInErrorsAndLogs has everything go wrong, in every way, and looks
// for tokens and keys in what is said about it.
func TestNoSecretsInErrorsAndLogs(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	n, head := w.open("topic")
	token, err := w.home().Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(r *github.Repository) error{
		"Slug":           func(*github.Repository) error { _, err := w.app.Slug(t.Context()); return err },
		"Installed":      func(*github.Repository) error { _, err := w.app.Installed(t.Context()); return err },
		"Deliveries":     func(*github.Repository) error { _, err := w.app.Deliveries(t.Context(), time.Time{}); return err },
		"Payload":        func(*github.Repository) error { _, err := w.app.Payload(t.Context(), 1); return err },
		"Token":          func(r *github.Repository) error { _, err := r.Token(t.Context()); return err },
		"DefaultBranch":  func(r *github.Repository) error { _, err := r.DefaultBranch(t.Context()); return err },
		"RequiredChecks": func(r *github.Repository) error { _, err := r.RequiredChecks(t.Context(), "main"); return err },
		"FindPull":       func(r *github.Repository) error { _, err := r.FindPull(t.Context(), "topic"); return err },
		"OpenPulls":      func(r *github.Repository) error { _, err := r.OpenPulls(t.Context(), "belay/"); return err },
		"OpenPull": func(r *github.Repository) error {
			_, err := r.OpenPull(t.Context(), github.Draft{Branch: "topic", Base: "main", Title: "t"})
			return err
		},
		"EditPull":  func(r *github.Repository) error { return r.EditPull(t.Context(), n, github.Draft{Title: "t"}) },
		"ClosePull": func(r *github.Repository) error { return r.ClosePull(t.Context(), n) },
		"MergePull": func(r *github.Repository) error {
			_, err := r.MergePull(t.Context(), n, github.Merge{Head: head})
			return err
		},
		"Pull":        func(r *github.Repository) error { _, err := r.Pull(t.Context(), n); return err },
		"Checks":      func(r *github.Repository) error { _, err := r.Checks(t.Context(), head); return err },
		"SetLabels":   func(r *github.Repository) error { return r.SetLabels(t.Context(), n, nil, []string{"belay"}) },
		"Comment":     func(r *github.Repository) error { _, err := r.Comment(t.Context(), n, "x"); return err },
		"EditComment": func(r *github.Repository) error { return r.EditComment(t.Context(), 1, "x") },
		"React":       func(r *github.Repository) error { return r.React(t.Context(), 1, "eyes") },
		"MayWrite":    func(r *github.Repository) error { _, err := r.MayWrite(t.Context(), "ana"); return err },
		"SetCheckRun": func(r *github.Repository) error {
			_, err := r.SetCheckRun(t.Context(), 1, github.CheckRun{Name: "x", Head: head})
			return err
		},
		"Repository": func(*github.Repository) error { _, err := w.app.Repository(t.Context(), "acme/other"); return err },
	}
	// The server repeats what it was sent, as proxies do.
	echo := func(status int) func(req *http.Request) *http.Response {
		return func(req *http.Request) *http.Response {
			return says(req, status, fmt.Sprintf(`{"message":"refused"}`+"\n%s", req.Header.Get("Authorization")), "Authorization", req.Header.Get("Authorization"))
		}
	}
	r := w.home()
	var said bytes.Buffer
	failed := 0
	for name, faults := range map[string]func(req *http.Request) *http.Response{"500": echo(500), "401": echo(401), "403": echo(403), "404": echo(404), "422": echo(422), "429": echo(429),
		"not JSON": func(req *http.Request) *http.Response {
			return says(req, 200, "<html>"+req.Header.Get("Authorization"))
		},
		"a redirect": func(req *http.Request) *http.Response {
			return says(req, 302, "", "Location", "http://127.0.0.1:1/away")
		},
	} {
		w.wire.answer(faults)
		for call, f := range calls {
			w.now.add(time.Hour) // no limit holds
			if err := f(r); err != nil {
				failed++
				fmt.Fprintf(&said, "%s %s: %v\n%s %s: %+v\n%s %s: %#v\n", name, call, err, name, call, err, name, call, err)
			}
		}
	}
	w.wire.answer(nil)
	_ = w.gh.Close() // nobody listens
	for call, f := range calls {
		w.now.add(time.Hour)
		if err := f(r); err != nil {
			failed++
			fmt.Fprintf(&said, "away %s: %v\n", call, err)
		}
	}
	said.Write(w.log.Bytes())
	if failed < 150 {
		t.Errorf("%d calls failed: too few for this test to mean something", failed)
	}
	key := strings.Split(strings.TrimSpace(string(w.gh.PrivateKey())), "\n")[1]
	for what, secret := range map[string]string{"the token": token, "a token": "ghs_", "an App's token": "eyJ", "the key": key, "the webhook secret": w.gh.Secret(), "a header": "Bearer "} {
		if i := strings.Index(said.String(), secret); i >= 0 {
			t.Errorf("%s is in what was said: …%.200s", what, said.String()[max(0, i-100):])
		}
	}
	t.Logf("%d failures, %d bytes said", failed, said.Len())
}
