package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/server"
)

// freezer notes what it is asked for.
type freezer struct {
	asked []string
	err   error
}

func (f *freezer) Freeze(_ context.Context, repository, who, reason string) error {
	f.asked = append(f.asked, fmt.Sprintf("freeze %s by %s: %s", repository, who, reason))
	return f.err
}

func (f *freezer) Thaw(_ context.Context, repository, who string) (bool, error) {
	f.asked = append(f.asked, fmt.Sprintf("thaw %s by %s", repository, who))
	return repository == "acme/home-ops", f.err
}

func TestFreezeByHTTP(t *testing.T) {
	for _, tc := range []struct {
		name, path, token, body string
		err                     error
		code                    int
		answer, asked           string
	}{
		{"a repository", "/api/freeze", "token", `{"repository":"acme/home-ops","who":"ana","reason":"incident"}`, nil, 200, `"repository":"acme/home-ops"`, "freeze acme/home-ops by ana: incident"},
		{"every repository", "/api/freeze", "token", `{"who":"ana"}`, nil, 200, `"was":false`, "freeze  by ana: "},
		{"text becomes one line", "/api/freeze", "token", `{"who":"ana\n\u0007bo","reason":"a\r\n\r\nb"}`, nil, 200, "", "freeze  by ana bo: a b"},
		{"long text is cut", "/api/freeze", "token", `{"who":"` + strings.Repeat("a", 600) + `"}`, nil, 200, "", "freeze  by " + strings.Repeat("a", 500) + "…: "},
		{"thawed", "/api/thaw", "token", `{"repository":"acme/home-ops","who":"ana"}`, nil, 200, `"was":true`, "thaw acme/home-ops by ana"},
		{"was not frozen", "/api/thaw", "token", `{"repository":"acme/other","who":"ana"}`, nil, 200, `"was":false`, "thaw acme/other by ana"},
		{"nobody says who", "/api/freeze", "token", `{"repository":"acme/home-ops"}`, nil, 400, `"field":"who"`, ""},
		{"a wrong token", "/api/freeze", "another", `{"who":"ana"}`, nil, 401, "token", ""},
		{"no JSON", "/api/thaw", "token", `who=ana`, nil, 400, "not JSON", ""},
		{"far too much", "/api/freeze", "token", `{"who":"` + strings.Repeat("a", 70_000) + `"}`, nil, 413, "64 kB", ""},
		{"a repository that is not served", "/api/freeze", "token", `{"repository":"acme/gone","who":"ana"}`,
			&reconcile.UnknownRepositoryError{Name: "acme/gone", Installed: []string{"acme/home-ops"}}, 400, "there are acme/home-ops", "freeze acme/gone by ana: "},
		{"a broken state", "/api/thaw", "token", `{"who":"ana"}`, errors.New("secret details"), 503, "try again", "thaw  by ana"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &freezer{err: tc.err}
			g := newGate(t, func(o *server.Options) { o.Freezer = f })
			req := httptest.NewRequest(http.MethodPost, tc.path, strings.NewReader(tc.body))
			req.Header.Set("Authorization", "Bearer "+tc.token)
			w := httptest.NewRecorder()
			g.srv.Handler().ServeHTTP(w, req)
			if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.answer) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("HTTP %d %s; want %d with %s", w.Code, w.Body, tc.code, tc.answer)
			}
			if got := strings.Join(f.asked, "; "); got != tc.asked {
				t.Errorf("asked for %q, want %q", got, tc.asked)
			}
		})
	}
}
