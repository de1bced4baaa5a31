package upstream

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
)

// TestWhatDoesNotPass asks registries and chart repositories that do not answer,
// and looks whether the answer is one that stays, and that it holds no secret.
func TestWhatDoesNotPass(t *testing.T) {
	const password = "hunter2"
	for _, tc := range []struct {
		name    string
		status  int
		body    string
		lasting bool
		refused bool
	}{
		{name: "what is not there stays so", status: http.StatusNotFound, lasting: true},
		{name: "what is gone stays so", status: http.StatusGone, lasting: true},
		{name: "who is not known is refused", status: http.StatusUnauthorized, body: `{"errors":[{"code":"UNAUTHORIZED","message":"the token hunter2 is wrong"}]}`, lasting: true, refused: true},
		{name: "who may not is refused", status: http.StatusForbidden, body: "<html>hunter2</html>", lasting: true, refused: true},
		{name: "a server's trouble passes", status: http.StatusBadGateway, body: "<html>hunter2</html>"},
		{name: "a rate limit passes", status: http.StatusTooManyRequests},
		{name: "an index without the chart stays so", status: http.StatusOK, body: "entries: {}", lasting: true},
		{name: "an index that is none may be mended", status: http.StatusOK, body: "entries: ["},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.mux.HandleFunc("/v2/{$}", func(http.ResponseWriter, *http.Request) {})
			w.mux.HandleFunc("/", func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(tc.status)
				_, _ = rw.Write([]byte(tc.body))
			})
			c := w.client(t, nil)
			host := strings.TrimPrefix(w.URL, "http://")
			_, err := c.ChartVersions(context.Background(), pin.Chart{Name: "app", Repository: "http://ann:" + password + "@" + host + "/charts?token=" + password})
			check := func(what string, err error) {
				t.Helper()
				if err == nil {
					t.Fatalf("%s: no error", what)
				}
				if Lasting(err) != tc.lasting || errors.Is(err, ErrRefused) != tc.refused {
					t.Errorf("%s: %v: lasting %t, refused %t", what, err, Lasting(err), errors.Is(err, ErrRefused))
				}
				if s := err.Error(); strings.Contains(s, password) || strings.Contains(s, "ann") {
					t.Errorf("%s: a secret is in %q", what, s)
				}
			}
			check("chart", err)
			if tc.status == http.StatusOK {
				return
			}
			ref, err := image.Parse(host + "/acme/web")
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Digest(context.Background(), ref, "2.1.0")
			check("digest", err)
		})
	}
}

func TestPlainAddressesHaveNoSecrets(t *testing.T) {
	for _, tc := range []struct{ name, address, want string }{
		{"one without any stays", "https://charts.example.org/a/", "https://charts.example.org/a/"},
		{"user and password", "https://ann:hunter2@charts.example.org/a", "https://charts.example.org/a"},
		{"a password with a slash, which makes no URL", "https://ann:hun/ter2@charts.example.org/a", "https://charts.example.org/a"},
		{"a signed query", "https://charts.example.org/a.tgz?sig=hunter2", "https://charts.example.org/a.tgz"},
		{"no scheme", "ann:hunter2@charts.example.org", "charts.example.org"},
	} {
		if got := plain(tc.address); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
