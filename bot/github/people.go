package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
	"golang.org/x/oauth2"
)

// SignIn is how people sign in with GitHub: the web flow of the App.
type SignIn struct {
	ClientID string
	Secret   func() string
	Callback string // where GitHub sends them back to, as it is registered with the App
}

// UserToken is what a person signed in with. It is a secret.
type UserToken struct {
	Secret string
	Until  time.Time // zero: it does not end by itself
}

// ErrSignIn means that GitHub does not know the code or the token, or no longer.
var ErrSignIn = errors.New("GitHub does not accept the sign-in")

func (a *App) flow(s SignIn) *oauth2.Config {
	web := strings.TrimSuffix(a.web.String(), "/")
	return &oauth2.Config{ClientID: s.ClientID, ClientSecret: s.Secret(), RedirectURL: s.Callback,
		Endpoint: oauth2.Endpoint{AuthURL: web + "/login/oauth/authorize", TokenURL: web + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams}}
}

// SignInURL is where a browser is sent to sign in. state comes back with it, and
// verifier is needed for Exchange: PKCE, RFC 7636.
func (a *App) SignInURL(s SignIn, state, verifier string) string {
	return a.flow(s).AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
}

// Exchange turns the code that a browser brought back into a token, or returns
// ErrSignIn.
func (a *App) Exchange(ctx context.Context, s SignIn, code, verifier string) (UserToken, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: a.opts.HTTP, Timeout: 20 * time.Second})
	t, err := a.flow(s).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		// Its text may hold what was sent; the code of the error does not.
		return UserToken{}, fmt.Errorf("%w: %s", ErrSignIn, word(refused.ErrorCode))
	}
	if err != nil {
		return UserToken{}, errors.New("GitHub could not be asked for the sign-in")
	}
	return UserToken{Secret: t.AccessToken, Until: t.Expiry}, nil
}

// word is a short error code, without anything that is none.
func word(s string) string {
	if s == "" || len(s) > 60 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "refused"
	}
	return s
}

// asPerson is a client that acts with a person's token.
func (a *App) asPerson(token string) *gh.Client {
	c := gh.NewClient(&http.Client{Transport: bearer{a.opts.HTTP, token}, Timeout: 20 * time.Second})
	c.BaseURL = a.api
	return c
}

// bearer adds a token. The installation's limiter is left out: each person has
// limits of their own.
type bearer struct {
	next  http.RoundTripper
	token string
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(req)
}

// personal gives an error its meaning for a person's token.
func personal(err error) error {
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.StatusCode == http.StatusUnauthorized {
		return ErrSignIn
	}
	return meaning(err)
}

// Whose says who a token belongs to.
func (a *App) Whose(ctx context.Context, token string) (string, error) {
	u, _, err := a.asPerson(token).Users.Get(ctx, "")
	if err != nil {
		return "", fmt.Errorf("asking GitHub who has signed in: %w", personal(err))
	}
	return u.GetLogin(), nil
}

// Reach lists the repositories that the App is installed on and a person may
// read, as "owner/name", with whether they may write there.
func (a *App) Reach(ctx context.Context, token string) (map[string]bool, error) {
	c := a.asPerson(token)
	out := map[string]bool{}
	for page := 1; page != 0; {
		list, resp, err := c.Apps.ListUserInstallations(ctx, &gh.ListOptions{Page: page, PerPage: 100})
		if err != nil {
			return nil, fmt.Errorf("asking which repositories a person may read: %w", personal(err))
		}
		for _, in := range list {
			if in.SuspendedAt != nil {
				continue
			}
			if err := a.reachOf(ctx, c, in.GetID(), out); err != nil {
				return nil, err
			}
		}
		page = resp.NextPage
	}
	return out, nil
}

func (a *App) reachOf(ctx context.Context, c *gh.Client, installation int64, out map[string]bool) error {
	for page := 1; page != 0; {
		list, resp, err := c.Apps.ListUserRepos(ctx, installation, &gh.ListOptions{Page: page, PerPage: 100})
		if err = personal(err); errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoAccess) { // removed or suspended meanwhile
			return nil
		}
		if err != nil {
			return fmt.Errorf("asking which repositories a person may read: %w", err)
		}
		for _, r := range list.Repositories {
			may := r.GetPermissions()
			if may["pull"] || may["push"] || may["admin"] {
				out[r.GetFullName()] = may["push"] || may["admin"]
			}
		}
		page = resp.NextPage
	}
	return nil
}

// Revoke ends a person's token: they sign out. One that is gone already is none.
func (a *App) Revoke(ctx context.Context, s SignIn, token string) error {
	tr := gh.BasicAuthTransport{Username: s.ClientID, Password: s.Secret(), Transport: a.opts.HTTP}
	c := gh.NewClient(&http.Client{Transport: &tr, Timeout: 20 * time.Second})
	c.BaseURL = a.api
	_, err := c.Authorizations.Revoke(ctx, s.ClientID, token)
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil && (answer.Response.StatusCode == http.StatusUnprocessableEntity || answer.Response.StatusCode == http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending a sign-in at GitHub: %w", personal(err))
	}
	return nil
}
