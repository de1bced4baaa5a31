// Package github acts on GitHub as the App: it finds the repositories the App is
// installed on, and opens, updates, reads and merges their pull requests.
//
// It decides nothing: what is seen goes up as plain values, and what it is told
// is done so that doing it twice is doing it once. Rate limits and missing
// access come back as errors that say so (Limited, ErrNoAccess). See SPEC
// sections 9, 10, 12 and 17.
package github

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/golang-jwt/jwt/v4"
	gh "github.com/google/go-github/v60/github"
)

// Options say which App on which GitHub.
type Options struct {
	AppID int64
	Key   func() ([]byte, error) // the App's private key in PEM; asked again when it is needed, so that it may be changed
	URL   string                 // of GitHub for people: "" is https://github.com; "https://github.example.org" is GitHub Enterprise
	API   string                 // of the REST API; "" is derived from URL
	HTTP  http.RoundTripper      // nil: http.DefaultTransport
	Now   func() time.Time       // nil: time.Now
	Log   *slog.Logger           // nil: slog.Default()

	// Token and Only make belay act with a token that somebody else obtained, on
	// one repository, in place of an App's key: in a workflow run. See token.go.
	Token func() string
	Only  string // "owner/name"
}

// App is a GitHub App. Use New to make one. It may be used by many at once.
type App struct {
	opts    Options
	web     *url.URL
	api     *url.URL
	graphql string
	limits  *limiter

	mu            sync.Mutex
	slug          string
	person        bool                                // who acts is a user, not a bot
	statuses      bool                                // checks are written as commit statuses
	installations map[string]int64                    // by "owner/name" in lower case
	clients       map[int64]*ghinstallation.Transport // by installation
}

// Errors that mean something to callers.
var (
	// ErrNotFound means that GitHub does not know the thing, or hides it.
	ErrNotFound = errors.New("not found on GitHub")
	// ErrNoAccess means that the App is suspended, not installed on the
	// repository, or lacks a permission.
	ErrNoAccess = errors.New("the App has no access")
	// ErrStale means that the pull request's head is no longer the expected one.
	ErrStale = errors.New("the pull request's head has changed")
	// ErrNotMergeable means that GitHub refuses the merge now.
	ErrNotMergeable = errors.New("GitHub does not let it be merged")
)

// New makes an App. It returns an error when an address is not one; the key is
// read when it is first needed.
func New(opts Options) (*App, error) {
	if opts.HTTP == nil {
		opts.HTTP = http.DefaultTransport
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.URL == "" {
		opts.URL = "https://github.com"
	}
	web, err := address("--github-url", opts.URL)
	if err != nil {
		return nil, err
	}
	if opts.API == "" {
		opts.API = apiOf(web)
	}
	api, err := address("--github-api", opts.API)
	if err != nil {
		return nil, err
	}
	api.Path = strings.TrimSuffix(api.Path, "/") + "/"
	graphql := strings.TrimSuffix(strings.TrimSuffix(api.String(), "/"), "/v3") + "/graphql"
	return &App{opts: opts, web: web, api: api, graphql: graphql, installations: map[string]int64{}, clients: map[int64]*ghinstallation.Transport{},
		limits: newLimiter(opts.HTTP, opts.Now)}, nil
}

// apiOf is where the REST API of a GitHub is: beside github.com and the hosts of
// GitHub Enterprise Cloud with data residency (acme.ghe.com), below those of
// GitHub Enterprise Server.
func apiOf(web *url.URL) string {
	if host := strings.ToLower(web.Host); host == "github.com" || strings.HasSuffix(host, ".ghe.com") {
		return web.Scheme + "://api." + host
	}
	return strings.TrimSuffix(web.String(), "/") + "/api/v3"
}

func address(flag, s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err == nil && u.User != nil { // not to be quoted
		return nil, fmt.Errorf("%s holds credentials: give the address alone, and the App's key as BELAY_APP_KEY", flag)
	}
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("%s %q is not a URL: give one such as https://github.example.org", flag, s)
	}
	return u, nil
}

// apps is the transport that signs as the App itself, with the key as it is at
// the time of each request.
func (a *App) apps() (*ghinstallation.AppsTransport, error) {
	if _, err := a.signer(); err != nil {
		return nil, err
	}
	tr, err := ghinstallation.NewAppsTransportWithOptions(a.limits, a.opts.AppID, ghinstallation.WithSigner(freshKey{a}))
	if err != nil {
		return nil, err
	}
	tr.BaseURL = strings.TrimSuffix(a.api.String(), "/")
	return tr, nil
}

// freshKey signs the App's own tokens with the key that is set now.
type freshKey struct{ app *App }

// Sign implements ghinstallation.Signer.
func (s freshKey) Sign(claims jwt.Claims) (string, error) {
	key, err := s.app.signer()
	if err != nil {
		return "", err
	}
	return key.Sign(claims)
}

// signer reads the App's key.
func (a *App) signer() (*ghinstallation.RSASigner, error) {
	data, err := a.opts.Key()
	if err != nil {
		return nil, fmt.Errorf("the App's private key: %w", err)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(data)
	if err != nil {
		return nil, errors.New("the App's private key cannot be read: it has to be the PEM file that GitHub made")
	}
	return ghinstallation.NewRSASigner(jwt.SigningMethodRS256, key), nil
}

// asApp is a client that acts as the App itself.
func (a *App) asApp() (*gh.Client, error) {
	tr, err := a.apps()
	if err != nil {
		return nil, err
	}
	return a.client(tr), nil
}

func (a *App) client(tr http.RoundTripper) *gh.Client {
	c := gh.NewClient(&http.Client{Transport: tr, Timeout: time.Minute})
	c.BaseURL = a.api
	return c
}

// Slug is the App's short name; its bot user is "<slug>[bot]". It is asked once.
func (a *App) Slug(ctx context.Context) (string, error) {
	a.mu.Lock()
	slug := a.slug
	a.mu.Unlock()
	if slug != "" {
		return slug, nil
	}
	if a.opts.Token != nil {
		return a.viewer(ctx)
	}
	c, err := a.asApp()
	if err != nil {
		return "", err
	}
	app, _, err := c.Apps.Get(ctx, "")
	if err != nil {
		return "", fmt.Errorf("asking GitHub who the App is: %w", meaning(err))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slug = app.GetSlug()
	return a.slug, nil
}

// KnownSlug is the App's short name if it has been asked for, else "".
func (a *App) KnownSlug() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.slug
}

// Installed lists the repositories of all installations as "owner/name".
// Suspended installations are left out.
func (a *App) Installed(ctx context.Context) ([]string, error) {
	if a.opts.Token != nil {
		return []string{a.opts.Only}, nil
	}
	c, err := a.asApp()
	if err != nil {
		return nil, err
	}
	var out []string
	for page := 1; page != 0; {
		list, resp, err := c.Apps.ListInstallations(ctx, &gh.ListOptions{Page: page, PerPage: 100})
		if err != nil {
			return nil, fmt.Errorf("asking for the App's installations: %w", meaning(err))
		}
		for _, in := range list {
			if in.SuspendedAt != nil {
				continue
			}
			names, err := a.repositories(ctx, in.GetID())
			if errors.Is(err, ErrNoAccess) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, names...)
		}
		page = resp.NextPage
	}
	return out, nil
}

func (a *App) repositories(ctx context.Context, installation int64) ([]string, error) {
	tr, err := a.installation(installation)
	if err != nil {
		return nil, err
	}
	var out []string
	for page := 1; page != 0; {
		list, resp, err := a.client(tr).Apps.ListRepos(ctx, &gh.ListOptions{Page: page, PerPage: 100})
		if err != nil {
			return nil, fmt.Errorf("asking for the repositories of installation %d: %w", installation, meaning(err))
		}
		for _, r := range list.Repositories {
			out = append(out, r.GetFullName())
			a.remember(r.GetFullName(), installation)
		}
		page = resp.NextPage
	}
	return out, nil
}

func (a *App) remember(name string, installation int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.installations[strings.ToLower(name)] = installation
}

// Forget drops what is known of a repository's installation, its token
// included: it was renamed, removed, suspended, or the App was installed anew.
func (a *App) Forget(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.clients, a.installations[strings.ToLower(name)])
	delete(a.installations, strings.ToLower(name))
}

// installation is the transport that acts as one installation. Its tokens are
// renewed before they end.
func (a *App) installation(id int64) (*ghinstallation.Transport, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if tr, ok := a.clients[id]; ok {
		return tr, nil
	}
	apps, err := a.apps()
	if err != nil {
		return nil, err
	}
	tr := ghinstallation.NewFromAppsTransport(apps, id)
	a.clients[id] = tr
	return tr, nil
}

// Repository is one repository as the App sees it.
type Repository struct {
	Name string // "owner/name"

	app         *App
	owner, name string
	transport   *ghinstallation.Transport // nil with Options.Token
	rest        *gh.Client
}

// Repository finds the installation of a repository named "owner/name". It
// returns ErrNoAccess where the App is not installed or suspended.
func (a *App) Repository(ctx context.Context, name string) (*Repository, error) {
	owner, repo, ok := strings.Cut(name, "/")
	if !ok || owner == "" || repo == "" || strings.ContainsAny(repo, "/?#") || strings.ContainsAny(owner, "?#") {
		return nil, fmt.Errorf("repository %q: write it as owner/name", name)
	}
	if a.opts.Token != nil {
		return a.withToken(name, owner, repo)
	}
	a.mu.Lock()
	id := a.installations[strings.ToLower(name)]
	a.mu.Unlock()
	if id == 0 {
		c, err := a.asApp()
		if err != nil {
			return nil, err
		}
		in, _, err := c.Apps.FindRepositoryInstallation(ctx, owner, repo)
		if err = meaning(err); errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("%s: %w: install the App on it", name, ErrNoAccess)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: finding the App's installation: %w", name, err)
		}
		if in.SuspendedAt != nil {
			return nil, fmt.Errorf("%s: %w: its installation is suspended", name, ErrNoAccess)
		}
		id = in.GetID()
		a.remember(name, id)
	}
	tr, err := a.installation(id)
	if err != nil {
		return nil, err
	}
	return &Repository{Name: name, app: a, owner: owner, name: repo, transport: tr, rest: a.client(tr)}, nil
}

// Token is an installation token that is good for some minutes at least.
func (r *Repository) Token(ctx context.Context) (string, error) {
	if r.app.opts.Token != nil {
		return r.app.opts.Token(), nil
	}
	token, err := r.transport.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: installation token: %w", r.Name, r.noAccess(err))
	}
	return token, nil
}

// URL is the repository's address for git, without credentials.
func (r *Repository) URL() string {
	return r.app.webAddress() + "/" + r.owner + "/" + r.name + ".git"
}

// webAddress is GitHub's address for people, without a slash at its end.
func (a *App) webAddress() string { return strings.TrimSuffix(a.web.String(), "/") }

// PullURL is a pull request's address for people.
func (r *Repository) PullURL(number int) string {
	return fmt.Sprintf("%s/%s/%s/pull/%d", r.app.webAddress(), r.owner, r.name, number)
}
