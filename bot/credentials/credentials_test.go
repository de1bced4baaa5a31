package credentials_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/rules/credential"
)

const hidden = "s3cr3t-value-that-nobody-may-see"

// world is a registry with a clock that is set and a log that is read.
type world struct {
	*credentials.Registry
	now time.Time
	log bytes.Buffer
}

func newWorld() *world {
	w := &world{now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	w.Registry = credentials.New(func() time.Time { return w.now }, slog.New(slog.NewTextHandler(&w.log, nil)))
	return w
}

func fixed(s string) func() (string, error) { return func() (string, error) { return s, nil } }

// one is the only credential there is.
func (w *world) one(t *testing.T) credential.Credential {
	t.Helper()
	list := w.List()
	if len(list) != 1 {
		t.Fatalf("%d credentials: %+v", len(list), list)
	}
	if strings.Contains(fmt.Sprintf("%+v", list), hidden) || strings.Contains(w.log.String(), hidden) {
		t.Fatal("the secret is shown")
	}
	return list[0]
}

func TestACredentialThroughItsLife(t *testing.T) {
	w := newWorld()
	var answer credentials.Answer
	var problem error
	w.Keep(credentials.Kept{Name: "github_token", Read: fixed(hidden), Ask: func(_ context.Context, secret string) (credentials.Answer, error) {
		if secret != hidden {
			t.Error("another secret is asked about")
		}
		return answer, problem
	}})
	is := func(want credential.State) {
		t.Helper()
		if got := w.one(t).State(w.now); got != want {
			t.Fatalf("it is %s, want %s: %+v", got, want, w.one(t))
		}
	}
	look := func() {
		t.Helper()
		if err := w.Look(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	is(credential.Never)
	answer.Expires = w.now.Add(60 * 24 * time.Hour)
	look()
	is(credential.OK)
	w.now = w.now.Add(49 * time.Hour)
	problem = errors.New("api.example.org: no route to host")
	look()
	is(credential.Stale)
	if c := w.one(t); !strings.Contains(c.Line(w.now), "no route to host") {
		t.Errorf("the reason is missing: %s", c.Line(w.now))
	}
	problem = nil
	w.now = w.now.Add(40 * 24 * time.Hour)
	look()
	is(credential.Warning)
	w.now = w.now.Add(12 * 24 * time.Hour)
	look()
	is(credential.Critical)
	problem = fmt.Errorf("api.example.org answers 401: %w", credentials.ErrRefused)
	look()
	is(credential.Refused)
	w.Worked("github_token", w.now.Add(365*24*time.Hour))
	is(credential.OK)
	for _, want := range []string{"state=stale", "state=warning", "state=critical", "state=refused", "works again"} {
		if n := strings.Count(w.log.String(), want); n != 1 && want != "works again" || n == 0 {
			t.Errorf("%q is logged %d times:\n%s", want, n, w.log.String())
		}
	}
}

func TestAnotherSecretBeginsAnew(t *testing.T) {
	w := newWorld()
	secret := hidden
	w.Keep(credentials.Kept{Name: "adviser_key", Read: func() (string, error) { return secret, nil },
		Ask: func(context.Context, string) (credentials.Answer, error) { return credentials.Answer{}, nil }})
	w.Refused("adviser_key", "api.example.org answers 401")
	if c := w.one(t); !c.Refused {
		t.Fatal("not refused")
	}
	secret = "another"
	if c := w.one(t); c.Refused || c.State(w.now) != credential.Never {
		t.Errorf("the new one has the old one's name: %+v", c)
	}
}

func TestWhatIsListed(t *testing.T) {
	for _, tc := range []struct {
		name string
		kept credentials.Kept
		want string // the line; "" is not listed
	}{
		{"one that is not configured is not", credentials.Kept{Read: fixed("")}, ""},
		{"one without an end that nobody can be asked about is not", credentials.Kept{Read: fixed(hidden)}, ""},
		{"a mint date gives an end", credentials.Kept{Read: fixed(hidden), Minted: fixed("2026-01-01"), Lifetime: fixed("90d")}, "ends in 27 days"},
		{"a wrong mint date is said", credentials.Kept{Read: fixed(hidden), Minted: fixed("yesterday")}, "works; no end is known"},
		{"a file that cannot be read is said", credentials.Kept{Read: func() (string, error) { return "", errors.New("BELAY_X_FILE: no such file") }}, "never seen to work: BELAY_X_FILE: no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld()
			tc.kept.Name = "x"
			w.Keep(tc.kept)
			got := ""
			for _, c := range w.List() {
				got += c.Line(w.now)
			}
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld()
	ask := func(context.Context, string) (credentials.Answer, error) { return credentials.Answer{}, nil }
	w.Keep(credentials.Kept{Name: "never", Read: fixed("a"), Ask: ask})
	w.Keep(credentials.Kept{Name: "minted", Read: fixed("b"), Minted: fixed("2026-03-04")})
	w.Keep(credentials.Kept{Name: "refused", Read: fixed("c"), Ask: ask})
	w.Keep(credentials.Kept{Name: "unset", Read: fixed("")})
	w.Refused("refused", "no")
	want := `
# HELP belay_credential_expiry_timestamp_seconds When a credential ends, as seconds since 1970; absent where no end is known.
# TYPE belay_credential_expiry_timestamp_seconds gauge
belay_credential_expiry_timestamp_seconds{credential="minted"} 1.8041184e+09
# HELP belay_credential_refused 1 when whom the credential is for did not take it the last time, else 0.
# TYPE belay_credential_refused gauge
belay_credential_refused{credential="minted"} 0
belay_credential_refused{credential="never"} 0
belay_credential_refused{credential="refused"} 1
# HELP belay_credential_seen_timestamp_seconds When a credential was last found good, as seconds since 1970; 0 for never.
# TYPE belay_credential_seen_timestamp_seconds gauge
belay_credential_seen_timestamp_seconds{credential="minted"} 1.7726256e+09
belay_credential_seen_timestamp_seconds{credential="never"} 0
belay_credential_seen_timestamp_seconds{credential="refused"} 0
`
	if err := testutil.CollectAndCompare(w, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestAskingAndWatching(t *testing.T) {
	code, header := http.StatusOK, "2026-03-20 05:06:07 UTC"
	elsewhere := false
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/elsewhere" {
			elsewhere = true
		}
		if header != "" {
			rw.Header().Set("github-authentication-token-expiration", header)
		}
		if code == http.StatusFound {
			rw.Header().Set("Location", "/elsewhere")
		}
		rw.WriteHeader(code)
	}))
	defer srv.Close()
	w := newWorld()
	w.Keep(credentials.Kept{Name: "github_token", Read: fixed(hidden), Ask: credentials.Get(nil, srv.URL+"/rate_limit", credentials.Bearer)})
	look := func(want credential.State) {
		t.Helper()
		if err := w.Look(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := w.one(t).State(w.now); got != want {
			t.Errorf("after %d it is %s, want %s", code, got, want)
		}
	}
	look(credential.Warning)
	if c := w.one(t); c.Source != credential.SourceHeader || c.Expires.Format(time.DateOnly) != "2026-03-20" {
		t.Errorf("the header is not read: %+v", c)
	}
	code = http.StatusForbidden
	look(credential.Refused)
	code = http.StatusServiceUnavailable
	look(credential.Refused)
	code = http.StatusFound
	look(credential.Refused)
	if elsewhere {
		t.Error("a redirect was followed with the credential")
	}
	code = http.StatusOK
	look(credential.Warning)

	client := &http.Client{Transport: w.Watch("github_token", http.DefaultTransport)}
	send := func(authorization string) {
		t.Helper()
		req, _ := http.NewRequest(http.MethodGet, srv.URL+"/repos/acme/home-ops", nil)
		req.Header.Set("Authorization", authorization)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	code = http.StatusUnauthorized
	send("Bearer somebody-else")
	if w.one(t).Refused {
		t.Error("another token's refusal is taken for this one's")
	}
	send("Bearer " + hidden)
	if !w.one(t).Refused {
		t.Error("the refusal was not noticed")
	}
	code, header = http.StatusOK, "2027-03-20 05:06:07 UTC"
	send("Bearer " + hidden)
	if c := w.one(t); c.State(w.now) != credential.OK {
		t.Errorf("its use was not noticed: %+v", c)
	}
	srv.Close()
	w.now = w.now.Add(72 * time.Hour)
	look(credential.Stale)
}

func TestANilRegistryDoesNothing(t *testing.T) {
	var r *credentials.Registry
	r.Keep(credentials.Kept{Name: "x"})
	r.Worked("x", time.Time{})
	r.Refused("x", "")
	if r.List() != nil || r.Look(context.Background()) != nil || r.Watch("x", http.DefaultTransport) != http.DefaultTransport {
		t.Error("it does something")
	}
}
