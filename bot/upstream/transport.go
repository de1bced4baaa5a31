package upstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxResponse is the largest response in bytes that is read.
const maxResponse = 32 << 20

// attempts is how often a request is made that meets a broken connection or a
// server's error.
const attempts = 4

// transport asks on behalf of the client: it adds the token for the API's host
// and no other, answers from the cache where the server says that nothing has
// changed, waits for rate limits, and retries what may pass.
type transport struct {
	base    http.RoundTripper
	dir     string // of the cache; "" keeps none
	token   string
	apiHost string
	offline bool
	wait    time.Duration
	notify  func(string)
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error

	mu   sync.Mutex
	left map[string]time.Time // until when a host wants to be left alone
}

// entry is a cached response.
type entry struct {
	Status int
	Header http.Header
	Body   []byte
}

// kept are the headers of a response that a cached one needs: nothing that
// could be a secret.
var kept = []string{"Etag", "Last-Modified", "Content-Type", "Link", "Docker-Content-Digest"}

// moved reports whether an answer leads elsewhere by an address that may be
// kept, so that a renamed repository is found offline too. Addresses with a
// query may be signed, and are secrets.
func moved(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		to, err := resp.Location()
		return err == nil && to.RawQuery == "" && to.User == nil
	}
	return false
}

// RoundTrip answers one request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	key := t.key(req)
	var old *entry
	if key != "" {
		old = t.load(key)
	}
	place := req.URL.Host + req.URL.Path
	if t.offline {
		if old == nil {
			return nil, fmt.Errorf("%s: %w", place, ErrOffline)
		}
		return old.response(req), nil
	}
	if old != nil && immutable(req) {
		return old.response(req), nil
	}
	deadline := t.now().Add(t.wait)
	for attempt := 1; ; attempt++ {
		// What one request was told holds for all that come after it.
		if until := t.leave(req.URL.Host, time.Time{}); until.After(t.now()) {
			if until.After(deadline) {
				return nil, &RateLimited{Until: until, Host: req.URL.Host}
			}
			if err := t.sleep(req.Context(), until.Sub(t.now())); err != nil {
				return nil, err
			}
		}
		resp, err := t.base.RoundTrip(t.prepared(req, old))
		if err != nil {
			if req.Context().Err() != nil || attempt == attempts {
				return nil, fmt.Errorf("%s: %w", place, err)
			}
			if err := t.sleep(req.Context(), backoff(attempt)); err != nil {
				return nil, err
			}
			continue
		}
		if until, limited := LimitedUntil(resp, t.now()); limited {
			drop(resp)
			t.leave(req.URL.Host, until)
			if until.After(deadline) {
				return nil, &RateLimited{Until: until, Host: req.URL.Host}
			}
			t.notify(fmt.Sprintf("%s: rate limit used up, waiting until %s", req.URL.Host, until.Local().Format("15:04:05")))
			if err := t.sleep(req.Context(), until.Sub(t.now())); err != nil {
				return nil, err
			}
			attempt = 0
			continue
		}
		if resp.StatusCode >= 500 && attempt < attempts {
			drop(resp)
			if err := t.sleep(req.Context(), backoff(attempt)); err != nil {
				return nil, err
			}
			continue
		}
		return t.finish(req, resp, key, old)
	}
}

// leave notes until when a host wants to be left alone, and returns the latest
// that was said.
func (t *transport) leave(host string, until time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == nil {
		t.left = map[string]time.Time{}
	}
	if until.After(t.left[host]) {
		t.left[host] = until
	}
	return t.left[host]
}

// prepared is the request as it is sent. The original is left alone, as
// http.RoundTripper asks.
func (t *transport) prepared(req *http.Request, old *entry) *http.Request {
	out := req.Clone(req.Context())
	if t.token != "" && req.URL.Host == t.apiHost && out.Header.Get("Authorization") == "" {
		out.Header.Set("Authorization", "Bearer "+t.token)
	}
	if old != nil {
		if tag := old.Header.Get("Etag"); tag != "" {
			out.Header.Set("If-None-Match", tag)
		} else if date := old.Header.Get("Last-Modified"); date != "" {
			out.Header.Set("If-Modified-Since", date)
		}
	}
	return out
}

// LimitedUntil says until when a server asks to be left alone: GitHub's rate
// limits, primary and secondary, and Retry-After of anybody. It may read the
// response's body, and leaves it to be read again.
// See https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api.
func LimitedUntil(resp *http.Response, now time.Time) (time.Time, bool) {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusTooManyRequests {
		return time.Time{}, false
	}
	after := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil {
		return now.Add(time.Duration(seconds) * time.Second), true
	}
	if date, err := http.ParseTime(after); err == nil {
		return date.Add(time.Second), true
	}
	if resp.Header.Get("X-Ratelimit-Remaining") == "0" {
		if unix, err := strconv.ParseInt(resp.Header.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
			return time.Unix(unix, 0).Add(time.Second), true
		}
	}
	if resp.StatusCode == http.StatusTooManyRequests || secondary(resp) {
		return now.Add(time.Minute), true
	}
	return time.Time{}, false
}

// secondary reports whether a refusal is GitHub's secondary limit, which may
// come without a header and is then known by its message alone.
func secondary(resp *http.Response) bool {
	if resp.Body == nil {
		return false
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	return err == nil && bytes.Contains(bytes.ToLower(head), []byte("secondary rate limit"))
}

func (t *transport) finish(req *http.Request, resp *http.Response, key string, old *entry) (*http.Response, error) {
	if resp.StatusCode == http.StatusNotModified && old != nil {
		drop(resp)
		return old.response(req), nil
	}
	if resp.Body == nil || req.Method == http.MethodHead {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	_ = resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("%s%s: the answer broke off: %w", req.URL.Host, req.URL.Path, err)
	}
	if len(body) > maxResponse {
		return nil, fmt.Errorf("%s%s: the answer is larger than %d MB", req.URL.Host, req.URL.Path, maxResponse>>20)
	}
	e := &entry{Status: resp.StatusCode, Header: http.Header{}, Body: body}
	for _, h := range kept {
		if v := resp.Header.Values(h); len(v) > 0 {
			e.Header[h] = v
		}
	}
	if moved(resp) {
		e.Header.Set("Location", resp.Header.Get("Location"))
	}
	if key != "" && (moved(resp) || resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNotFound && req.URL.Host == t.apiHost) {
		t.store(key, e)
	}
	// go-github would refuse to ask again by itself; waiting is done here.
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-Ratelimit") {
			delete(resp.Header, name)
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// key names the cache's file of a request, "" where it is not cached: answers
// with secrets in them, such as registries' tokens, never are.
func (t *transport) key(req *http.Request) string {
	registry := strings.HasPrefix(req.URL.Path, "/v2/") && req.URL.Path != "/v2/"
	if t.dir == "" || req.Method != http.MethodGet || req.URL.Host != t.apiHost && !registry && req.Context().Value(cached{}) == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(req.URL.String() + "\n" + req.Header.Get("Accept")))
	return hex.EncodeToString(sum[:])
}

// cached marks requests for public files that may be kept.
type cached struct{}

// immutable reports whether an answer can never change: content by its digest.
func immutable(req *http.Request) bool {
	return strings.Contains(req.URL.Path, "/blobs/sha256:") || strings.Contains(req.URL.Path, "/manifests/sha256:")
}

func (t *transport) load(key string) *entry {
	data, err := os.ReadFile(filepath.Join(t.dir, key+".json"))
	if err != nil {
		return nil
	}
	var e entry
	if json.Unmarshal(data, &e) != nil || e.Status == 0 {
		return nil // half-written by something else, or of an older version: asked again
	}
	return &e
}

// store keeps an answer. A cache that cannot be written slows belay down and
// stops nothing.
func (t *transport) store(key string, e *entry) {
	data, err := json.Marshal(e)
	if err == nil {
		writeFile(filepath.Join(t.dir, key+".json"), data)
	}
}

// writeFile writes whole files only, also beside other processes.
func writeFile(name string, data []byte) {
	f, err := os.CreateTemp(filepath.Dir(name), "new-*")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}

func (e *entry) response(req *http.Request) *http.Response {
	return &http.Response{
		Status: http.StatusText(e.Status), StatusCode: e.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: e.Header.Clone(), Body: io.NopCloser(bytes.NewReader(e.Body)), ContentLength: int64(len(e.Body)), Request: req,
	}
}

func drop(resp *http.Response) {
	if resp.Body != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 1<<16)
		_ = resp.Body.Close()
	}
}

// backoff is 0.25 s, 0.5 s, 1 s, …, spread so that many do not ask at once.
func backoff(attempt int) time.Duration {
	d := 250 * time.Millisecond << (attempt - 1)
	return d/2 + rand.N(d)
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
