package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"
)

// Limited means that GitHub asks to be left alone until a moment.
type Limited struct{ Until time.Time }

// Error says until when.
func (l *Limited) Error() string {
	return "GitHub's rate limit is used up until " + l.Until.UTC().Format("15:04:05 MST")
}

// RetryAt is when it is worth trying again.
func (l *Limited) RetryAt() time.Time { return l.Until }

// meaning turns an error of GitHub's API into one of the few that callers act on.
func meaning(err error) error {
	if err == nil {
		return nil
	}
	var limited *Limited
	if errors.As(err, &limited) {
		return limited
	}
	// go-github sees limits, too, where it uses one client for several requests.
	var primary *gh.RateLimitError
	if errors.As(err, &primary) {
		return &Limited{Until: primary.Rate.Reset.Add(time.Second)}
	}
	var token *ghinstallation.HTTPError
	if errors.As(err, &token) && token.Response != nil {
		_ = token.Response.Body.Close() // ghinstallation leaves it open
		switch token.Response.StatusCode {
		case http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized:
			return fmt.Errorf("%w: no installation token (HTTP %d)", ErrNoAccess, token.Response.StatusCode)
		}
		return fmt.Errorf("no installation token (HTTP %d)", token.Response.StatusCode)
	}
	var answer *gh.ErrorResponse
	if !errors.As(err, &answer) || answer.Response == nil {
		return err
	}
	text := plainly(answer)
	switch answer.Response.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%w: %s", ErrNotFound, text)
	case http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Errorf("%w: %s", ErrNoAccess, text)
	}
	return errors.New(text)
}

// plainly is an answer in one line: what GitHub was asked, and what it said.
func plainly(e *gh.ErrorResponse) string {
	parts := []string{e.Message}
	for _, d := range e.Errors {
		switch {
		case d.Message != "":
			parts = append(parts, d.Message)
		case d.Field != "":
			parts = append(parts, d.Field+" "+d.Code)
		}
	}
	where := ""
	if req := e.Response.Request; req != nil && req.URL != nil {
		where = req.Method + " " + req.URL.Path + ": "
	}
	return fmt.Sprintf("%sHTTP %d %s", where, e.Response.StatusCode, strings.Join(parts, "; "))
}

// noAccess forgets the installation of a repository to which the App has lost
// its access, so that it is looked for anew.
func (r *Repository) noAccess(err error) error {
	err = meaning(err)
	if errors.Is(err, ErrNoAccess) {
		r.app.Forget(r.Name)
	}
	return err
}
