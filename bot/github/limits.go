package github

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/upstream"
)

// maxKept is how many answers are kept for conditional requests, and
// maxKeptSize how many bytes one may have.
const (
	maxKept     = 2_000
	maxKeptSize = 256 << 10
)

// limiter stands below all clients. It obeys GitHub's rate limits: a request
// that would run into one is not sent. GET requests are made conditional, since
// GitHub does not count answers that say "not modified".
// See https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
type limiter struct {
	base http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	until map[string]time.Time // by credential
	kept  map[string]answer
	order []string // keys of kept, oldest first
}

// answer is a kept answer with its ETag.
type answer struct {
	etag   string
	header http.Header
	body   []byte
}

func newLimiter(base http.RoundTripper, now func() time.Time) *limiter {
	return &limiter{base: base, now: now, until: map[string]time.Time{}, kept: map[string]answer{}}
}

// RoundTrip sends a request unless a limit is known to refuse it.
func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	who := req.Header.Get("Authorization")
	key := ""
	l.mu.Lock()
	until := l.until[who]
	var old answer
	if req.Method == http.MethodGet {
		key = who + " " + req.Header.Get("Accept") + " " + req.URL.String()
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
		l.mu.Lock()
		l.until[who] = until
		l.mu.Unlock()
		return nil, &Limited{Until: until}
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
	if _, ok := l.kept[key]; !ok {
		l.order = append(l.order, key)
	}
	l.kept[key] = answer{etag: etag, header: header, body: head}
	for len(l.order) > maxKept {
		delete(l.kept, l.order[0])
		l.order = l.order[1:]
	}
	return resp, nil
}
