package advise

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/belaybot/belay/rules/advice"
)

// problem is why no message came.
type problem struct {
	text   string
	quiet  time.Duration // how long nobody is to be asked; 0: the next question may be
	unsent bool          // nothing can have been used
}

// send asks with the first credential that is taken.
func (a *Adviser) send(ctx context.Context, p advice.Prompt) (*anthropic.Message, *problem) {
	last := &problem{text: "no credential of the adviser is there", unsent: true}
	for _, c := range a.opts.Credentials {
		secret, err := c.Read()
		if err != nil {
			a.opts.Eye.Refused(c.Label, err.Error())
			last = &problem{text: fmt.Sprintf("the adviser's credential %s cannot be read", c.Label), unsent: true}
			continue
		}
		secret = strings.TrimSpace(secret)
		sum := sha256.Sum256([]byte(secret))
		if secret == "" {
			continue
		}
		if until := a.refused[sum]; a.opts.Now().Before(until) {
			last = &problem{text: fmt.Sprintf("the adviser's credential %s was refused", c.Label), unsent: true}
			continue
		}
		message, err := a.post(ctx, p, c.options(secret))
		if err == nil {
			a.opts.Eye.Worked(c.Label, time.Time{})
			return message, nil
		}
		var answer *anthropic.Error
		if errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) {
			why := fmt.Sprintf("%s answers %d", a.url.Host, answer.StatusCode)
			a.refused[sum] = a.opts.Now().Add(keepRefused)
			a.opts.Eye.Refused(c.Label, why)
			a.opts.Log.Warn("a credential of the adviser was refused; the next is tried", "credential", c.Label, "why", why)
			last = &problem{text: fmt.Sprintf("the adviser's credential %s was refused", c.Label), unsent: true}
			continue
		}
		return nil, a.trouble(ctx, err)
	}
	return nil, last
}

// post makes the request. Only the service for messages is used of the library:
// its client would look for credentials and addresses in the environment.
func (a *Adviser) post(ctx context.Context, p advice.Prompt, credential []option.RequestOption) (*anthropic.Message, error) {
	service := anthropic.NewMessageService(append([]option.RequestOption{
		option.WithBaseURL(a.url.String()), option.WithMaxRetries(a.opts.Retries), option.WithRequestTimeout(a.opts.Timeout),
		option.WithHTTPClient(&http.Client{Transport: bounded{a.opts.HTTP}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}),
		option.WithHeader("User-Agent", "belay"),
	}, credential...)...)
	return service.New(ctx, anthropic.MessageNewParams{
		Model: a.opts.Model, MaxTokens: maxOutput,
		System:       []anthropic.TextBlockParam{{Text: p.System}},
		Messages:     []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(p.User))},
		OutputConfig: anthropic.OutputConfigParam{Format: anthropic.JSONOutputFormatParam{Schema: advice.Schema()}},
	})
}

// trouble says in words what went wrong. The library's own words name the
// address and may quote the answer: neither is shown.
func (a *Adviser) trouble(ctx context.Context, err error) *problem {
	var answer *anthropic.Error
	switch {
	case errors.Is(err, errTooLong):
		return &problem{text: fmt.Sprintf("the adviser's answer is longer than %d KB", maxBody>>10), quiet: quietMin}
	case errors.As(err, &answer):
		p := &problem{text: fmt.Sprintf("the adviser (%s) answers %d", a.url.Host, answer.StatusCode), quiet: retryAfter(answer.Response), unsent: true}
		switch answer.StatusCode {
		case http.StatusTooManyRequests:
			p.text = "the adviser's rate limit is used up"
		case http.StatusServiceUnavailable, statusOverloaded:
			p.text = "the adviser is overloaded"
		}
		return p
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		return &problem{text: fmt.Sprintf("the adviser did not answer within %s", a.opts.Timeout), quiet: quietMin}
	}
	var frame *url.Error
	if errors.As(err, &frame) {
		var dial *net.OpError
		return &problem{text: fmt.Sprintf("the adviser (%s) cannot be reached", a.url.Host), quiet: quietMin, unsent: errors.As(err, &dial) && dial.Op == "dial"}
	}
	return &problem{text: "the adviser's answer cannot be read", quiet: quietMin}
}

// statusOverloaded is what the API answers when it has too much to do.
const statusOverloaded = 529

// retryAfter is how long the API asks to be left alone.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return quietMin
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 && seconds < 1<<20 {
		return time.Duration(seconds) * time.Second
	}
	return quietMin
}

// maxBody is the longest answer in bytes that is read: the message around the
// adviser's text, and what a model thought.
const maxBody = 1 << 20

var errTooLong = errors.New("the answer is too long")

// bounded refuses answers that are too long.
type bounded struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(req)
	if err == nil && resp.Body != nil {
		resp.Body = &limited{body: resp.Body, left: maxBody}
	}
	return resp, err
}

type limited struct {
	body io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.body.Read(p)
	if l.left -= n; l.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

func (l *limited) Close() error { return l.body.Close() }
