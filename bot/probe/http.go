package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/belaybot/belay/rules/watch"
)

const (
	maxRedirects = 3
	maxRead      = 16 << 10 // bytes of a body: enough to see that one comes
	atOnce       = 4        // URLs of one service that are asked at the same time
)

// HTTP looks at the URLs of a service. 2xx, 3xx, 401 and 403 are good, 5xx,
// broken connections, TLS errors and time-outs bad; other 4xx say that there is
// nothing to be seen at that path, and are left out.
//
// A URL comes from a repository, so it is not trusted: no connection is made to
// loopback, link-local and metadata addresses, whatever a name resolves to,
// unless the configured host is itself such an address. Redirects are followed
// three times at most and only to hosts that are configured for the service;
// one that leads elsewhere, such as to a login page, is good by itself: what is
// wrong with the login is not this service's. See SPEC section 17.
type HTTP struct {
	opts HTTPOptions
}

// HTTPOptions are the means of HTTP. The zero value is fine.
type HTTPOptions struct {
	Timeout time.Duration    // of one URL with its redirects; 10s
	Now     func() time.Time // the clock
	Roots   *x509.CertPool   // authorities that are trusted; nil: the system's
	// Dial makes a connection; nil: the network's. What it is given has been
	// resolved only when it is nil, and only then is the address checked.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// NewHTTP makes the observer.
func NewHTTP(opts HTTPOptions) *HTTP {
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &HTTP{opts: opts}
}

// Look gives one sample for each URL of the subject.
func (h *HTTP) Look(ctx context.Context, s watch.Subject) []watch.Sample {
	hosts := map[string]bool{}
	for _, address := range s.URLs {
		if u, err := url.Parse(address); err == nil {
			hosts[hostOf(u)] = true
		}
	}
	out := make([]watch.Sample, len(s.URLs))
	names := map[string]int{}
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, address := range s.URLs {
		out[i] = watch.Sample{Kind: watch.HTTP, Name: shown(address)}
		if names[out[i].Name]++; names[out[i].Name] > 1 {
			out[i].Name += fmt.Sprintf(" (%d)", names[out[i].Name]) // they differ in what is not shown
		}
		g.Go(func() error {
			out[i].At = h.opts.Now() // of the question: an answer may take ten seconds
			out[i].State, out[i].Detail = h.look(ctx, address, hosts)
			if out[i].State == watch.Bad {
				out[i].Cause = watch.CauseUnhealthy
			}
			return nil
		})
	}
	_ = g.Wait() // looks return no errors
	return out
}

// shown is a URL without what may be secret in it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "a URL that is none"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func hostOf(u *url.URL) string { return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) }

func (h *HTTP) look(ctx context.Context, address string, hosts map[string]bool) (watch.State, string) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return watch.Blind, "no http:// or https:// URL: correct verify.http.urls"
	}
	timed, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	defer cancel()
	for hops := 0; ; hops++ {
		code, next, err := h.ask(timed, u)
		if err != nil {
			if ctx.Err() != nil {
				return watch.Blind, "the look was broken off"
			}
			return h.trouble(err)
		}
		if next == nil {
			return judge(code)
		}
		switch {
		case !hosts[hostOf(next)] || next.Scheme != "http" && next.Scheme != "https":
			return watch.Good, fmt.Sprintf("%d to %s", code, cut(next.Hostname(), 80))
		case hops == maxRedirects:
			return watch.Good, fmt.Sprintf("%d, after %d redirects", code, maxRedirects)
		}
		u = next
	}
}

// judge says what a status means. See SPEC section 11.
func judge(code int) (watch.State, string) {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
	switch {
	case code >= 200 && code < 400, code == http.StatusUnauthorized, code == http.StatusForbidden:
		return watch.Good, text
	case code >= 500:
		return watch.Bad, text
	}
	return watch.Absent, text + ": says nothing; name a path in verify.http.urls that the service answers"
}

// ask makes one request, and says where it leads when it is a redirect. Every
// request is a new connection: a kept one would hide that nobody listens any more.
func (h *HTTP) ask(ctx context.Context, u *url.URL) (code int, next *url.URL, err error) {
	host := u.Hostname()
	dial := h.opts.Dial
	if dial == nil {
		// The check is of the address that is dialled, after the name was
		// resolved: a name cannot be one thing when it is checked and another after.
		d := &net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error { return mayDial(host, address) }}
		dial = d.DialContext
	}
	transport := &http.Transport{
		DialContext: dial, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig: &tls.Config{RootCAs: h.opts.Roots, MinVersion: tls.VersionTLS12},
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "belay")
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if to, err := resp.Location(); err == nil {
			return resp.StatusCode, to, nil
		}
		return resp.StatusCode, nil, nil
	}
	if _, err := io.CopyN(io.Discard, resp.Body, maxRead); err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, fmt.Errorf("the answer broke off: %w", err)
	}
	return resp.StatusCode, nil, nil
}

// trouble tells a service that does not answer from a belay that cannot ask.
func (h *HTTP) trouble(err error) (watch.State, string) {
	var (
		forbidden *forbiddenError
		dns       *net.DNSError
		timeout   net.Error
	)
	switch text := tlsTrouble(err); {
	case errors.As(err, &forbidden):
		return watch.Blind, forbidden.Error()
	case errors.As(err, &dns):
		// An upgrade does not take a name away: it is the resolver, or the URL is wrong.
		return watch.Blind, "its name cannot be resolved: " + cut(dns.Err, 120)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL):
		return watch.Blind, "belay cannot make connections: " + cut(bare(err).Error(), 120)
	case text != "":
		return watch.Bad, text
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return watch.Bad, fmt.Sprintf("no answer within %s", h.opts.Timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return watch.Bad, "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return watch.Bad, "the connection broke off"
	}
	return watch.Bad, "no answer: " + cut(bare(err).Error(), 160)
}

// tlsTrouble says what is wrong with TLS, "" when that is not what is.
func tlsTrouble(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		verify    *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &authority):
		return "TLS: its certificate is of an authority that belay does not trust"
	case errors.As(err, &name):
		return "TLS: its certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "TLS: its certificate has expired or is not valid yet"
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "TLS: its certificate is not valid"
	case errors.As(err, &record):
		return "TLS: it does not speak TLS"
	case errors.As(err, &alert):
		return "TLS: " + cut(alert.Error(), 100)
	}
	return ""
}
