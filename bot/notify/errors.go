package notify

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// later says when it is worth trying again.
type later struct {
	at  time.Time
	why string
}

// Error says why.
func (l *later) Error() string { return l.why }

// RetryAt is the moment.
func (l *later) RetryAt() time.Time { return l.at }

// limited means that a place asked for time.
type limited struct{ after time.Duration }

func (l *limited) Error() string { return fmt.Sprintf("asks to wait %s", l.after) }

// permanent means that trying again would not help.
type permanent struct{ why string }

func (p *permanent) Error() string { return p.why }

// stateError is a failure of the state, not of a place.
type stateError struct{ err error }

func (s *stateError) Error() string { return s.err.Error() }
func (s *stateError) Unwrap() error { return s.err }

// passing are Slack's errors that pass by themselves.
var passing = map[string]bool{"fatal_error": true, "internal_error": true, "service_unavailable": true, "request_timeout": true, "ratelimited": true, "rate_limited": true,
	"message_limit_exceeded": true, "team_added_to_org": true, "external_channel_migrating": true}

// hints say what a person can do about an error of Slack's.
var hints = map[string]string{
	"invalid_auth":      "the token is not valid: set BELAY_SLACK_TOKEN to the App's bot token",
	"not_authed":        "the token is missing: set BELAY_SLACK_TOKEN to the App's bot token",
	"token_revoked":     "the token was revoked: install the App again and set BELAY_SLACK_TOKEN",
	"token_expired":     "the token has expired: set a new BELAY_SLACK_TOKEN",
	"account_inactive":  "the App was removed from the workspace: install it again and set BELAY_SLACK_TOKEN",
	"missing_scope":     "the App lacks the scope chat:write: add it and install the App again",
	"not_in_channel":    "the App is not in the channel: invite it there",
	"channel_not_found": "there is no such channel for the App: check --slack-channel, and invite the App there",
	"is_archived":       "the channel is archived: choose another --slack-channel",
}

// slackCode is the error code of Slack's answer, "" when there is none.
func slackCode(err error) string {
	var answer slack.SlackErrorResponse
	if errors.As(err, &answer) {
		return answer.Err
	}
	return ""
}

// failure makes *limited, *permanent or an error that passes of what a call
// returned. No secret is in its text: the errors of HTTP clients hold addresses,
// and the address of a webhook is a secret.
func failure(err error, secrets ...string) error {
	var limit *slack.RateLimitedError
	var status slack.StatusCodeError
	var (
		asked *limited
		never *permanent
		state *stateError
	)
	code := slackCode(err)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &asked), errors.As(err, &never), errors.As(err, &state):
		return err // judged already
	case errors.As(err, &limit):
		return &limited{after: limit.RetryAfter}
	case code != "" && passing[code]:
		return errors.New("slack answers " + code)
	case code != "" && hints[code] != "":
		return &permanent{why: "slack answers " + code + ": " + hints[code]}
	case code != "":
		return &permanent{why: "slack answers " + code}
	case errors.As(err, &status):
		return statusFailure(status.Code, "")
	}
	return redact(err, secrets...)
}

// statusFailure judges an HTTP status that is no success.
func statusFailure(code int, retryAfter string) error {
	text := fmt.Sprintf("HTTP %d", code)
	switch {
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable && retryAfter != "":
		if after, ok := waiting(retryAfter); ok {
			return &limited{after: after}
		}
		return errors.New(text)
	case code >= 500 || code == http.StatusRequestTimeout || code == http.StatusTooEarly:
		return errors.New(text)
	case code >= 300 && code < 400:
		return &permanent{why: text + ": redirects are not followed: configure the address it leads to"}
	case code == http.StatusNotFound || code == http.StatusGone || code == http.StatusForbidden || code == http.StatusUnauthorized:
		return &permanent{why: text + ": the address is not, or no longer, taken there: configure the right one"}
	}
	return &permanent{why: text}
}

// waiting reads Retry-After: seconds, or a date.
func waiting(s string) (time.Duration, bool) {
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil && n >= 0 {
		return time.Duration(min(n, 24*3600)) * time.Second, true
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, time.Until(t)), true
	}
	return 0, false
}

// redact is an error's text without the address that was called and without secrets.
func redact(err error, secrets ...string) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
		if u, err := url.Parse(s); err == nil && len(u.Path) > 1 {
			text = strings.ReplaceAll(text, u.Path, "[secret]")
		}
	}
	return errors.New(text)
}

// unsent reports whether a call that failed cannot have reached the place: it
// was answered with a refusal, or no connection was made.
func unsent(err error) bool {
	var limit *slack.RateLimitedError
	var status slack.StatusCodeError
	var op *net.OpError
	switch code := slackCode(err); {
	case code == "fatal_error" || code == "internal_error": // Slack: some of it may have been done
		return false
	case code != "", errors.As(err, &limit):
		return true
	case errors.As(err, &status):
		return status.Code < 500
	case errors.As(err, &op):
		return op.Op == "dial"
	}
	return false
}
