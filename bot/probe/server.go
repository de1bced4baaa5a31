package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	askTimeout = 10 * time.Second
	maxAnswer  = 8 << 20 // bytes: the metrics of some thousand monitors
)

// server is one that whoever runs belay has named, such as Uptime Kuma. Its
// secret is asked for at each request, so that it can be changed meanwhile.
type server struct {
	name string // for errors: "uptime kuma"
	base *url.URL
	http *http.Client
	auth func(*http.Request)
}

// statusError is an answer that is not 200.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

func newServer(name, setting, address string, auth func(*http.Request)) (*server, error) {
	u, err := url.Parse(strings.TrimSuffix(strings.TrimSpace(address), "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the address of %s is no http:// or https:// URL: correct %s", name, setting)
	}
	return &server{name: name, base: u, auth: auth, http: &http.Client{
		Timeout: askTimeout,
		// A secret goes to the address that was named, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// get asks for a path below the base, whose elements are escaped.
func (s *server) get(ctx context.Context, query url.Values, path ...string) ([]byte, error) {
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	u := s.base.JoinPath(path...)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, bare(err))
	}
	return s.do(req)
}

// do sends a request and reads the answer. Errors hold neither secrets nor the
// address, which may have one in it.
func (s *server) do(req *http.Request) ([]byte, error) {
	if s.auth != nil {
		s.auth(req)
	}
	req.Header.Set("User-Agent", "belay")
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s is out of reach: %w", s.name, bare(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: the answer broke off: %w", s.name, bare(err))
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("%s: the answer is larger than %d MB", s.name, maxAnswer>>20)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return body, &statusError{resp.StatusCode, fmt.Sprintf("%s refuses the credentials (%d)", s.name, resp.StatusCode)}
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return body, &statusError{resp.StatusCode, fmt.Sprintf("%s answers with a redirect (%d): name its final address", s.name, resp.StatusCode)}
	case resp.StatusCode != http.StatusOK:
		return body, &statusError{resp.StatusCode, fmt.Sprintf("%s answers %d", s.name, resp.StatusCode)}
	}
	return body, nil
}

// isStatus reports whether an error is an answer with that status.
func isStatus(err error, code int) bool {
	var e *statusError
	return errors.As(err, &e) && e.code == code
}

// bare takes the URL out of an error of net/http: it may hold a password.
func bare(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		if e.Timeout() {
			return errors.New("no answer in time")
		}
		return e.Err
	}
	return err
}

// secret is what a function gives, or "" without one.
func secret(f func() string) string {
	if f == nil {
		return ""
	}
	return f()
}

// cut shortens a text for people to n characters.
func cut(s string, n int) string {
	r := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " "))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n]) + "…"
}
