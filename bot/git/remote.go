package git

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// ErrDenied means that the remote does not accept the token, or not for this.
var ErrDenied = errors.New("access denied")

// Remote is where a mirror fetches from and pushes to.
type Remote struct {
	// URL is the repository's address for git over HTTP, such as
	// "https://github.com/acme/infra.git". It has no user and no password.
	URL string
	// Token gives the token for the next fetch or push, such as an installation
	// token that lives an hour. It is sent as the password of the user
	// x-access-token and kept nowhere. Nil for a repository that everybody may read.
	Token func(context.Context) (string, error)
}

func (r Remote) check() error {
	u, err := url.Parse(r.URL)
	switch {
	case err != nil:
		// The parser's error quotes the address, which may hold a password.
		return fmt.Errorf("%w: the remote's URL cannot be read", ErrInvalidName)
	case u.User != nil:
		return fmt.Errorf("%w: the URL of %s carries credentials; give a token instead", ErrInvalidName, u.Host)
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%w: remote %s: give an address that begins with https://", ErrInvalidName, u.Redacted())
	}
	return nil
}

// User is the name that GitHub wants beside an installation token.
const user = "x-access-token"

// patient is how long a remote may think before it begins to answer. One that
// never does would hold up every fetch of its mirror: they are one at a time.
const patient = 2 * time.Minute

// wire is what requests of all mirrors go through, so that connections are shared.
var wire = func() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // somebody put another in its place
		return http.DefaultTransport
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = patient
	return t
}()

// link is the remote for one fetch or push, with the token of that time.
type link struct {
	remote   string
	endpoint *transport.Endpoint
	client   transport.Transport
	auth     transport.AuthMethod // nil without a token
	token    string
}

// dial asks for the token; it does not speak to the remote yet.
func (r Remote) dial(ctx context.Context) (*link, error) {
	endpoint, err := transport.NewEndpoint(r.URL)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.URL, err)
	}
	l := &link{remote: r.URL, endpoint: endpoint, client: githttp.NewClient(&http.Client{Transport: wire})}
	if r.Token == nil {
		return l, nil
	}
	if l.token, err = r.Token(ctx); err != nil {
		return nil, fmt.Errorf("%s: token: %w", r.URL, err)
	}
	l.auth = &githttp.BasicAuth{Username: user, Password: l.token}
	return l, nil
}

// remoteError says what the remote answered. It keeps the text and the kind
// only: what lies below holds requests, whose headers carry the token.
type remoteError struct {
	text string
	kind error // what errors.Is may find; nil for the rest
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// failed makes an error of the transport one that may be shown and logged.
func (l *link) failed(doing string, err error) error {
	e := &remoteError{text: fmt.Sprintf("%s: %s: %s", l.remote, doing, l.redact(err.Error()))}
	for _, k := range []struct{ is, kind error }{
		{context.Canceled, context.Canceled}, {context.DeadlineExceeded, context.DeadlineExceeded},
		{transport.ErrAuthenticationRequired, ErrDenied}, {transport.ErrAuthorizationFailed, ErrDenied},
		{transport.ErrRepositoryNotFound, ErrNotRepository},
	} {
		if errors.Is(err, k.is) {
			e.kind = k.kind
			break
		}
	}
	return e
}

// redact makes a server's words safe to print: one short line without the
// token, which a server or a proxy may echo in the forms it was sent in.
func (l *link) redact(text string) string {
	if l.token != "" {
		text = strings.NewReplacer(
			base64.StdEncoding.EncodeToString([]byte(user+":"+l.token)), "REDACTED",
			l.token, "REDACTED", url.QueryEscape(l.token), "REDACTED",
		).Replace(text)
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == ' ' }), " ")
	if runes := []rune(text); len(runes) > 300 {
		text = string(runes[:300]) + "…"
	}
	return text
}
