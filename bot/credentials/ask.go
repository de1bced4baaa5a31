package credentials

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/belaybot/belay/rules/credential"
)

// patience is how long a service that is asked may take.
const patience = 15 * time.Second

// Get makes an Ask that gets an address with the credential put on by sign, and
// reads from the answer whether it was taken, and until when it is good where
// GitHub says so. Redirects are not followed: a credential goes nowhere else.
// A nil transport is the default one.
func Get(transport http.RoundTripper, address string, sign func(h http.Header, secret string)) func(context.Context, string) (Answer, error) {
	client := &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context, secret string) (Answer, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return Answer{}, err
		}
		sign(req.Header, secret)
		resp, err := client.Do(req)
		if err != nil {
			var frame *url.Error
			if errors.As(err, &frame) { // without the address, which may hold a password
				err = frame.Err
			}
			return Answer{}, fmt.Errorf("%s: %w", req.URL.Host, err)
		}
		defer resp.Body.Close()
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
		return judge(resp)
	}
}

// Bearer signs with Authorization: Bearer.
func Bearer(h http.Header, secret string) { h.Set("Authorization", "Bearer "+secret) }

func judge(resp *http.Response) (Answer, error) {
	place := resp.Request.URL.Host
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden && resp.Header.Get("Retry-After") == "" && resp.Header.Get("X-Ratelimit-Remaining") != "0":
		return Answer{}, fmt.Errorf("%s answers %d: %w", place, code, ErrRefused)
	case code >= 400 || code >= 300 && code < 400:
		return Answer{}, fmt.Errorf("%s answers %d", place, code)
	}
	at, _ := credential.Header(resp.Header.Get(credential.HeaderName))
	return Answer{Expires: at}, nil
}

// Watch lends a transport eyes: what is answered to requests that carry the
// named secret as a bearer is recorded. Only 401 counts as a refusal here, since
// 403 is also said to one who asks too much, or for what is not his.
func (r *Registry) Watch(name string, base http.RoundTripper) http.RoundTripper {
	if r == nil {
		return base
	}
	return watching{r: r, name: name, base: base}
}

type watching struct {
	r    *Registry
	name string
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (w watching) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	if err != nil || !w.carries(req) {
		return resp, err
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		w.r.Refused(w.name, fmt.Sprintf("%s answers %d: %v", req.URL.Host, resp.StatusCode, ErrRefused))
	case resp.StatusCode < 400:
		at, _ := credential.Header(resp.Header.Get(credential.HeaderName))
		w.r.Worked(w.name, at)
	}
	return resp, nil
}

// carries reports whether a request carries the secret, and not another one.
func (w watching) carries(req *http.Request) bool {
	w.r.mu.Lock()
	s := w.r.index[w.name]
	w.r.mu.Unlock()
	if s == nil {
		return false
	}
	secret, err := s.Read()
	return err == nil && secret != "" && req.Header.Get("Authorization") == "Bearer "+secret
}
