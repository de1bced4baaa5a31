package github

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/upstream"
)

// How many answers are kept for conditional requests, how many bytes one may
// have, and all of them together.
const (
	maxKept      = 2_000
	maxKeptSize  = 256 << 10
	maxKeptTotal = 32 << 20
)

// limiter stands below all clients. It obeys GitHub's rate limits: a request
// that would run into one is not sent. GET requests are made conditional, since
// GitHub does not count answers that say "not modified".
// See https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
type limiter struct {
	base http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	until map[bucket]time.Time
	kept  map[string]answer
	order []string // keys of kept, oldest first
	size  int      // bytes of kept
}

// bucket is what GitHub counts apart: REST and GraphQL, for each installation.
type bucket struct {
	who     string // credential
	graphql bool
}

// answer is a kept answer with its ETag.
type answer struct {
	etag   string
	header http.Header
	body   []byte
}

func newLimiter(base http.RoundTripper, now func() time.Time) *limiter {
	return &limiter{base: base, now: now, until: map[bucket]time.Time{}, kept: map[string]answer{}}
}

// theApp stands for the App's own credential, which is another one every time.
const theApp = "the App"

// bucketOf says which limit a request counts against. Installation tokens are
// sent as "token …", the App's own as "Bearer …".
func bucketOf(req *http.Request) bucket {
	who := req.Header.Get("Authorization")
	if strings.HasPrefix(who, "Bearer ") {
		who = theApp
	}
	return bucket{who, strings.HasSuffix(req.URL.Path, "/graphql")}
}

// RoundTrip sends a request unless a limit is known to refuse it.
func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	b := bucketOf(req)
	key := ""
	l.mu.Lock()
	until := l.until[b]
	var old answer
	if req.Method == http.MethodGet && b.who != theApp { // GitHub's ETags hold for one credential
		key = b.who + " " + req.Header.Get("Accept") + " " + req.URL.String()
		old = l.kept[key]
	}
	l.mu.Unlock()
	if until.After(l.now()) {
		return nil, &Limited{Until: until}
	}
	if old.etag != "" {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", old.etag)
	}
	resp, err := l.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if until, limited := upstream.LimitedUntil(resp, l.now()); limited {
		_ = resp.Body.Close()
		if resp.Header.Get("X-Ratelimit-Remaining") == "0" {
			l.wait(until, b)
		} else { // a secondary limit is for everything that the credential asks for
			l.wait(until, bucket{b.who, false}, bucket{b.who, true})
		}
		return nil, &Limited{Until: until}
	}
	if until, last := usedUp(resp); last {
		l.wait(until, b)
	}
	if resp.StatusCode == http.StatusNotModified && old.etag != "" {
		_ = resp.Body.Close()
		header := old.header.Clone()
		return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
			Header: header, Body: io.NopCloser(bytes.NewReader(old.body)), ContentLength: int64(len(old.body)), Request: req}, nil
	}
	if etag := resp.Header.Get("Etag"); key != "" && etag != "" && resp.StatusCode == http.StatusOK {
		return l.keep(key, etag, resp)
	}
	return resp, nil
}

// usedUp reports whether an answer was the last one of its window, and when
// the next begins.
func usedUp(resp *http.Response) (time.Time, bool) {
	if resp.Header.Get("X-Ratelimit-Remaining") != "0" {
		return time.Time{}, false
	}
	unix, err := strconv.ParseInt(resp.Header.Get("X-Ratelimit-Reset"), 10, 64)
	return time.Unix(unix, 0).Add(time.Second), err == nil
}

// wait has nothing sent until a moment that some limits end at.
func (l *limiter) wait(until time.Time, buckets ...bucket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for old, at := range l.until { // of tokens that ended long ago
		if at.Before(l.now()) {
			delete(l.until, old)
		}
	}
	for _, b := range buckets {
		l.until[b] = until
	}
}

// keep stores an answer and gives it back to be read.
func (l *limiter) keep(key, etag string, resp *http.Response) (*http.Response, error) {
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxKeptSize+1))
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	if len(head) > maxKeptSize {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
		return resp, nil
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(head))
	header := http.Header{}
	for _, h := range []string{"Content-Type", "Link", "Etag"} {
		if v := resp.Header.Values(h); len(v) > 0 {
			header[h] = v
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old, ok := l.kept[key]
	if !ok {
		l.order = append(l.order, key)
	}
	l.kept[key] = answer{etag: etag, header: header, body: head}
	l.size += len(head) - len(old.body)
	for len(l.order) > maxKept || l.size > maxKeptTotal {
		l.size -= len(l.kept[l.order[0]].body)
		delete(l.kept, l.order[0])
		l.order = l.order[1:]
	}
	return resp, nil
}
