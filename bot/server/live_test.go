package server_test

import (
	"bufio"
	"context"
	"net/http"
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

// quiet fails when there was an event until a later change was told elsewhere.
func (s *stream) quiet(who string) {
	s.t.Helper()
	for {
		select {
		case line := <-s.lines:
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
		s.change("uopen")
		s.watch(ana, "/live?upgrade=uopen", "1").news()
		back.quiet("who missed nothing")
	})
	t.Run("a page that is older than the stream is told", func(t *testing.T) {
		s.watch(ana, "/live?since=1", "").news()
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
