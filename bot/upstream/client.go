package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"
)

// Options set up a Client.
type Options struct {
	CacheDir      string            // "" keeps answers in memory only
	GitHubAPI     string            // "" is https://api.github.com
	GitHubToken   string            // "" asks anonymously
	Offline       bool              // answer from the cache only
	Wait          time.Duration     // how long a rate limit may be waited for
	Sources       map[string]string // configured: image name → owner/repository
	Charts        map[string]string // configured: chart repository → owner/repository
	Builtin       map[string]string // built in: image name → owner/repository
	BuiltinCharts map[string]string // built in: chart repository → owner/repository
	HTTP          http.RoundTripper // nil is http.DefaultTransport
	Notify        func(line string) // told when waiting, "api.github.com: rate limit used up, waiting until 14:03"
	Now           func() time.Time
	Sleep         func(context.Context, time.Duration) error // nil waits for real
}

// Client asks upstream. It may be used by several goroutines.
type Client struct {
	opts   Options
	http   *http.Client
	rt     *transport
	github *github.Client

	registries registries
	webHost    string // "github.com", or that of the Enterprise server

	mu     sync.Mutex
	parsed map[string][]ChartVersion // chart indexes read in this run, by address
	urls   map[string]string         // chart archives, by repository, name and version
}

// New returns a Client. It returns an error for a GitHubAPI that is no URL or a
// cache directory that cannot be made.
func New(opts Options) (*Client, error) {
	if opts.GitHubAPI == "" {
		opts.GitHubAPI = "https://api.github.com"
	}
	api, err := url.Parse(strings.TrimSuffix(opts.GitHubAPI, "/") + "/")
	if err != nil || api.Host == "" {
		return nil, fmt.Errorf("GitHub API %q is not a URL", opts.GitHubAPI)
	}
	if opts.HTTP == nil {
		opts.HTTP = http.DefaultTransport
	}
	if opts.Notify == nil {
		opts.Notify = func(string) {}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Sleep == nil {
		opts.Sleep = sleep
	}
	if opts.CacheDir != "" {
		if err := os.MkdirAll(opts.CacheDir, 0o700); err != nil {
			return nil, fmt.Errorf("cache directory: %w: choose another with --cache", err)
		}
		// An older directory may be open to others. One that belongs to somebody
		// else, such as a cache that CI mounts, stays as it is.
		_ = os.Chmod(opts.CacheDir, 0o700) //nolint:gosec // a directory has to be entered
	}
	c := &Client{opts: opts, parsed: map[string][]ChartVersion{}, urls: map[string]string{}}
	c.rt = &transport{base: opts.HTTP, dir: opts.CacheDir, token: opts.GitHubToken, apiHost: api.Host, offline: opts.Offline,
		wait: opts.Wait, notify: opts.Notify, now: opts.Now, sleep: opts.Sleep}
	c.http = &http.Client{Transport: c.rt, CheckRedirect: follow}
	c.github = github.NewClient(c.http)
	c.github.BaseURL = api
	c.webHost = strings.TrimPrefix(api.Host, "api.")
	return c, nil
}

// follow bounds redirects and refuses to leave TLS.
func follow(req *http.Request, via []*http.Request) error {
	if len(via) > 3 {
		return errors.New("more than 3 redirects")
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirected from https to %s", req.URL.Scheme)
	}
	return nil
}

// get fetches a public file. A 404 is ErrNotFound.
func (c *Client) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.WithValue(ctx, cached{}, true), http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL", plain(address))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, tidy(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, answered(req.URL.Host+req.URL.Path, resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}

// answered is what an HTTP status other than success means at a place.
func answered(place string, status int) error {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusUnavailableForLegalReasons:
		return fmt.Errorf("%s: %w", place, ErrNotFound)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: %w (HTTP %d)", place, ErrRefused, status)
	}
	return fmt.Errorf("%s answers %d", place, status)
}

// plain is an address for people: without the user, the password and the query
// that it may have, whether or not it is a URL.
func plain(address string) string {
	address, _, _ = strings.Cut(address, "?")
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "", address
	} else {
		scheme += "://"
	}
	return scheme + rest[strings.LastIndexByte(rest, '@')+1:]
}

// tidy takes net/http's frame off an error: the text within names host and path.
func tidy(err error) error {
	var frame *url.Error
	if errors.As(err, &frame) && frame.Err != nil {
		return frame.Err
	}
	return err
}

// ask names what GitHub's answer means. A 404 is ErrNotFound.
func ask(err error) error {
	var answer *github.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil {
		place := answer.Response.Request.URL.Host + answer.Response.Request.URL.Path
		switch answer.Response.StatusCode {
		case http.StatusNotFound, http.StatusGone, http.StatusUnavailableForLegalReasons:
			return fmt.Errorf("%s: %w", place, ErrNotFound)
		case http.StatusUnauthorized:
			return fmt.Errorf("%s refuses the token: check GITHUB_TOKEN", place)
		}
		return fmt.Errorf("%s answers %d: %s", place, answer.Response.StatusCode, answer.Message)
	}
	return tidy(err)
}

// remembered returns what f once found out about something that cannot change,
// from the cache where it is there.
func remembered[T any](c *Client, key string, f func() (T, error)) (T, error) {
	var v T
	if c.opts.CacheDir != "" {
		if data, err := os.ReadFile(c.fact(key)); err == nil && json.Unmarshal(data, &v) == nil {
			return v, nil
		}
	}
	v, err := f()
	if err == nil {
		c.keep(key, v)
	}
	return v, err
}

// keep writes what was found out to the cache, where there is one.
func (c *Client) keep(key string, v any) {
	if c.opts.CacheDir == "" {
		return
	}
	if data, err := json.Marshal(v); err == nil {
		writeFile(c.fact(key), data)
	}
}

func (c *Client) fact(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(c.opts.CacheDir, hex.EncodeToString(sum[:])+".fact.json")
}
