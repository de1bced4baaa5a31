package server_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/store"
)

// stream is one open page that is kept up to date.
type stream struct {
	t     testing.TB
	lines chan string // of the events; closed at the end of the stream
	stop  context.CancelFunc
}

var liveSince = regexp.MustCompile(`hx-sse:connect="/live\?since=(\d+)"`)

// watch opens the stream of a page.
func (s *scene) watch(c *http.Client, path, last string) *stream {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.web.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := c.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("the stream: %v, %+v", err, resp)
	}
	out := &stream{t: s.t, lines: make(chan string, 100), stop: cancel}
	s.t.Cleanup(cancel)
	go func() {
		defer close(out.lines)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			out.lines <- lines.Text()
		}
	}()
	return out
}

// news waits for an event and returns its id.
func (s *stream) news() string {
	s.t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-s.lines:
			if id, is := strings.CutPrefix(line, "id: "); is {
				return id
			}
			if !ok {
				s.t.Fatal("the stream has ended")
			}
		case <-late:
			s.t.Fatal("nothing is told")
		}
	}
}

// quiet fails when there was an event. Wait first until a later change was told
// to somebody else: it does not wait itself.
func (s *stream) quiet(who string) {
	s.t.Helper()
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Errorf("the stream of %s has ended", who)
				return
			}
			if strings.HasPrefix(line, "event:") {
				s.t.Errorf("%s is told", who)
			}
		default:
			return
		}
	}
}

func (s *scene) change(id string) {
	s.t.Helper()
	u, err := s.store.Upgrade(s.t.Context(), id)
	if err == nil {
		_, err = s.store.SaveUpgrade(s.t.Context(), u, store.Event{At: time.Now(), Who: "belay", What: "command"})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestLive(t *testing.T) {
	s := newScene(t)
	s.fill()
	ana, mallory := s.as("ana"), s.as("mallory")
	all, one, other, hidden := s.watch(ana, "/live", ""), s.watch(ana, "/live?upgrade=uopen", ""), s.watch(ana, "/live?upgrade=uqueued", ""), s.watch(mallory, "/live", "")
	for range 20 { // a burst is told once, or twice
		s.change("uopen")
	}
	all.news()
	id := one.news()
	// Between two events of a stream is some calm: what the first change told to
	// others has arrived when the second one is told.
	s.change("uopen")
	all.news()
	other.quiet("who looks at another upgrade")
	hidden.quiet("who may not see it")

	t.Run("who comes back and missed something is told at once", func(t *testing.T) {
		one.stop()
		s.change("uopen")
		if again := s.watch(ana, "/live?upgrade=uopen", id).news(); again <= id {
			t.Errorf("event %s after %s", again, id)
		}
	})
	t.Run("who comes back and missed nothing is not", func(t *testing.T) {
		first := s.watch(ana, "/live?upgrade=uverified", "")
		s.change("uverified")
		back := s.watch(ana, "/live?upgrade=uverified", first.news())
		later := s.watch(ana, "/live?upgrade=uopen", "1")
		later.news()
		s.change("uopen")
		later.news()
		back.quiet("who missed nothing")
	})
	t.Run("a page that is older than the stream is told", func(t *testing.T) {
		s.watch(ana, "/live?since=1", "").news()
	})
	t.Run("nobody learns when something else changed", func(t *testing.T) {
		attic, err := s.gh.AddRepository("acme", "attic", map[string]string{"README.md": "#"})
		if err != nil {
			t.Fatal(err)
		}
		attic.SetPermission("ana", "none")
		attic.SetPermission("mallory", "none")
		s.put(store.Upgrade{ID: "uother", Repository: "acme/attic", Service: "hidden-service", From: "1", To: "2", State: "open"}, object{})
		page := func(c *http.Client) (since, tag string) {
			resp, err := c.Get(s.web.URL + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			match := liveSince.FindSubmatch(body)
			if err != nil || match == nil {
				t.Fatalf("the page has no stream: %v", err)
			}
			return string(match[1]), resp.Header.Get("ETag")
		}
		bo := s.as("bo") // sees both
		here, there := s.watch(bo, "/live?upgrade=uopen", ""), s.watch(bo, "/live?upgrade=uother", "")
		s.change("uopen")
		here.news()
		u, err := s.store.Upgrade(t.Context(), "uopen")
		if err != nil {
			t.Fatal(err)
		}
		last := strconv.FormatInt(u.Updated.UnixMicro(), 10)
		_, before := page(mallory)
		s.change("uother")
		there.news()
		if since, _ := page(ana); since != last {
			t.Errorf("ana's page knows of %s; what she may see changed at %s", since, last)
		}
		if id := s.watch(ana, "/live?since=1", "").news(); id != last {
			t.Errorf("ana's stream knows of %s; what she may see changed at %s", id, last)
		}
		if since, tag := page(mallory); since != "0" || tag != before {
			t.Errorf("the page of who sees nothing changes: since=%s, %s after %s", since, tag, before)
		}
	})
	t.Run("when belay ends, all streams do", func(t *testing.T) {
		s.srv.Hush()
		late := time.After(30 * time.Second)
		for {
			select {
			case _, ok := <-all.lines:
				if !ok {
					return
				}
			case <-late:
				t.Fatal("the stream goes on")
			}
		}
	})
}
