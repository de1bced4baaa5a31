package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/github"
)

// TestConvertKeepsTheCode: the code is good for the App's private key, and stands
// in the address that is asked. No error tells it.
func TestConvertKeepsTheCode(t *testing.T) {
	const code = "0123456789abcdefSECRETcode"
	for _, tc := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		kind   error // that the error is
		says   string
	}{
		{"no connection", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, nil, "connection refused"},
		{"no connection, by an error that quotes the address", func(req *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("dial %s: refused", req.URL)
		}, nil, "refused"},
		{"an answer that is none", func(req *http.Request) (*http.Response, error) { return says(req, 200, "<html>"+req.URL.Path), nil }, nil, "credentials"},
		{"a failure", func(req *http.Request) (*http.Response, error) {
			return says(req, 502, `{"message":"cannot convert `+code+`"}`), nil
		}, nil, "HTTP 502"},
		{"a refusal", func(req *http.Request) (*http.Response, error) { return says(req, 403, `{"message":"no"}`), nil }, github.ErrNoAccess, "HTTP 403"},
		{"a code that is not known", func(req *http.Request) (*http.Response, error) { return says(req, 404, `{"message":"Not Found"}`), nil }, github.ErrNotFound, "begin again"},
		{"a limit", func(req *http.Request) (*http.Response, error) {
			return says(req, 403, `{"message":"API rate limit exceeded"}`, "X-Ratelimit-Limit", "60", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix())), nil
		}, nil, "rate limit"},
		{"a redirect", func(req *http.Request) (*http.Response, error) {
			return says(req, 302, "", "Location", "https://elsewhere.example.org"+req.URL.Path+"?again=1"), nil
		}, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := github.Convert(t.Context(), github.Options{URL: "https://github.example.org", HTTP: trip(tc.answer)}, code)
			if err == nil {
				t.Fatal("no error")
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", e, e, e), code) {
					t.Errorf("the code stands in %v", e)
				}
			}
			if tc.kind != nil && !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want something of %q", err, tc.says)
			}
		})
	}
	if _, err := github.Convert(t.Context(), github.Options{}, code+"/../x"); err == nil || strings.Contains(err.Error(), code) {
		t.Errorf("a code of another form: %v", err)
	}
}

// trip answers requests.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
