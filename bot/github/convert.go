package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Created is an App that was just created from a manifest, with its
// credentials. They are shown this once.
type Created struct {
	ID            int64
	Slug          string
	Owner         string
	URL           string // of the App's public page, below which it is installed
	Key           string // private key in PEM
	WebhookSecret string
	ClientID      string // for people who sign in to the page
	ClientSecret  string
}

// codeForm matches the code that GitHub sends a person back with.
var codeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// Convert trades the code for the credentials of the App. GitHub does so once,
// and within an hour. Only URL, API and HTTP of the options count.
func Convert(ctx context.Context, opts Options, code string) (Created, error) {
	if !codeForm.MatchString(code) {
		return Created{}, errors.New("GitHub's code has an unexpected form")
	}
	opts.AppID, opts.Key = 1, func() ([]byte, error) { return nil, errors.New("there is no key yet") }
	app, err := New(opts)
	if err != nil {
		return Created{}, err
	}
	c := gh.NewClient(&http.Client{Transport: app.opts.HTTP, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}) // the code is for nobody else
	c.BaseURL = app.api
	got, _, err := c.Apps.CompleteAppManifest(ctx, code)
	if err = meaning(err); errors.Is(err, ErrNotFound) {
		return Created{}, fmt.Errorf("GitHub does not know the code any more: it is good once, and for an hour; begin again: %w", ErrNotFound)
	}
	if err != nil {
		return Created{}, fmt.Errorf("asking GitHub for the App's credentials: %w", without(code, err))
	}
	out := Created{ID: got.GetID(), Slug: got.GetSlug(), Owner: got.GetOwner().GetLogin(), URL: got.GetHTMLURL(), Key: got.GetPEM(), WebhookSecret: got.GetWebhookSecret(), ClientID: got.GetClientID(), ClientSecret: got.GetClientSecret()}
	if out.ID <= 0 || out.Key == "" || out.WebhookSecret == "" {
		return Created{}, errors.New("GitHub's answer lacks the App's number, key or webhook secret")
	}
	return out, nil
}

// without is an error in whose text a secret does not stand, which is part of
// the address that was asked: errors of HTTP clients hold addresses. Of what it
// was, only the kind is left.
func without(secret string, err error) error {
	var limited *Limited
	if errors.As(err, &limited) {
		return limited
	}
	var at *url.Error
	for errors.As(err, &at) {
		err = at.Err
	}
	text := strings.ReplaceAll(err.Error(), secret, "[secret]")
	for _, kind := range []error{ErrNoAccess, ErrNotFound, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w: %s", kind, strings.TrimPrefix(text, kind.Error()+": "))
		}
	}
	return errors.New(text)
}
