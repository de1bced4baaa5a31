package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// broadcast tells those who look at the page that something has changed. One
// goroutine looks at the state for all of them, and only while there are any.
// What it tells is that it is worth fetching the page anew, so a viewer who
// missed ten changes is told once.
type broadcast struct {
	look func(ctx context.Context) ([]row, time.Time, error)
	poll time.Duration
	log  *slog.Logger

	mu      sync.Mutex
	viewers map[*watcher]bool
	stop    context.CancelFunc // of the goroutine; nil: it does not run
	over    chan struct{}      // closed when belay ends
	ended   bool
}

// watcher is one open page.
type watcher struct {
	wants func(row) bool
	ring  chan struct{} // of one: told, and not yet heard
	since time.Time     // the newest change that the viewer may know of: it is told; broadcast.mu guards it
	seen  time.Time     // changes up to then were looked at, others' as well: it is not; broadcast.mu guards it
}

// maxViewers is how many pages are kept up to date at once; more are whole, but
// have to be reloaded by hand.
const maxViewers = 2000

func newBroadcast(look func(context.Context) ([]row, time.Time, error), poll time.Duration, log *slog.Logger) *broadcast {
	if poll <= 0 {
		poll = time.Second
	}
	return &broadcast{look: look, poll: poll, log: log, viewers: map[*watcher]bool{}, over: make(chan struct{})}
}

// join adds a viewer; nil when there are too many, or belay ends.
func (b *broadcast) join(since time.Time, wants func(row) bool) *watcher {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || len(b.viewers) >= maxViewers {
		return nil
	}
	w := &watcher{wants: wants, ring: make(chan struct{}, 1), since: since, seen: since}
	b.viewers[w] = true
	if b.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		b.stop = stop
		go b.run(ctx)
	}
	return w
}

// leave takes a viewer away; with the last one, the looking ends.
func (b *broadcast) leave(w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.viewers, w)
	if len(b.viewers) == 0 && b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// end sends all viewers away: belay ends, and they come back to the next one.
func (b *broadcast) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended = true
	close(b.over)
}

func (b *broadcast) run(ctx context.Context) {
	tick := time.NewTicker(b.poll)
	defer tick.Stop()
	for {
		rows, high, err := b.look(ctx)
		if err == nil {
			b.tell(rows, high)
		} else if ctx.Err() == nil {
			b.log.Warn("the page is not kept up to date now", "why", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tell rings whom a change concerns. Whoever has not heard the last ring yet
// need not be rung again.
func (b *broadcast) tell(rows []row, high time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.viewers {
		if !high.After(w.seen) {
			continue
		}
		news := false
		for i := range rows {
			if rows[i].api.Updated.After(w.seen) && w.wants(rows[i]) {
				news = true
				if rows[i].api.Updated.After(w.since) {
					w.since = rows[i].api.Updated
				}
			}
		}
		w.seen = high
		if !news {
			continue
		}
		select {
		case w.ring <- struct{}{}:
		default:
		}
	}
}

// heard is the moment of the newest change that a viewer was rung for. It says
// nothing of changes that are none of the viewer's business.
func (b *broadcast) heard(w *watcher) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return w.since
}

// cursor is a moment as the stream's ids have it; "0" is before all changes.
func cursor(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

func momentOf(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, false
	}
	return time.UnixMicro(n).UTC(), true
}

const (
	beat    = 25 * time.Second // a line that says nothing, so that proxies keep the connection
	patient = 10 * time.Second // a reader who takes longer for a line is dropped
	calm    = 2 * time.Second  // two changes are at least so far apart
	recheck = reachFor         // whether the viewer may still see it is asked again
)

// stream is GET /live: server-sent events, each saying that the page has
// changed. Its ids are moments: who comes back with Last-Event-ID is told when
// something has changed since.
func (d *dashboard) stream(w http.ResponseWriter, req *http.Request, v viewer) {
	since, ok := momentOf(req.Header.Get("Last-Event-ID"))
	if !ok {
		if since, ok = momentOf(req.URL.Query().Get("since")); !ok {
			since = d.now()
		}
	}
	topic := req.URL.Query().Get("upgrade")
	watcher := d.live.join(since, func(r row) bool { return v.reads(r.Repository) && (topic == "" || r.ID == topic) })
	if watcher == nil {
		w.Header().Set("Retry-After", "60")
		plainText(w, http.StatusServiceUnavailable, "too many look on; reload the page from time to time")
		return
	}
	defer d.live.leave(watcher)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // the server's is for requests, and this one does not end
	write := func(text string) bool {
		_ = c.SetWriteDeadline(time.Now().Add(patient))
		_, err := io.WriteString(w, text) //nolint:gosec // an event stream of belay's own words and numbers
		return err == nil && c.Flush() == nil
	}
	if !write("retry: 3000\n\n") {
		return
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	again := time.NewTicker(recheck)
	defer again.Stop()
	for {
		select {
		case <-req.Context().Done():
			return
		case <-d.live.over:
			return
		case <-again.C: // the browser comes back, and is asked who it is
			if d.opts.Auth == AuthGitHub {
				return
			}
		case <-tick.C:
			if !write(": \n\n") {
				return
			}
		case <-watcher.ring:
			if !write("event: news\nid: " + cursor(d.live.heard(watcher)) + "\ndata: {}\n\n") {
				return
			}
			if !pause(req.Context(), calm) {
				return
			}
		}
	}
}

// pause waits, and reports false when the viewer has gone.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
