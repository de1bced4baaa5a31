package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// quota is what an installation, or the App itself, may still ask for. GitHub
// counts REST ("core") and GraphQL ("graphql") apart.
// See https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api.
type quota struct {
	remaining int
	reset     time.Time
}

// usual is what a GitHub App may ask for in an hour.
const usual = 5000

// pause is a secondary limit.
type pause struct {
	until  time.Time
	header bool // say so in Retry-After
}

// SetLimit has an owner's installation ("" is the App itself) have some requests
// left until the window's end; resource is "core" or "graphql". Before the first
// call there is no end to them.
func (g *GitHub) SetLimit(owner, resource string, remaining int, reset time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.quotas[owner+" "+resource] = &quota{remaining, reset}
}

// SlowDown puts an owner's installation under a secondary limit for some time.
// GitHub says for how long in Retry-After, but not always.
func (g *GitHub) SlowDown(owner string, d time.Duration, header bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pauses[owner] = pause{g.opts.Now().Add(d), header}
}

// spend counts one request against the limits and writes the headers that say
// so. The problem is the answer where a limit is used up: GraphQL gives its
// own, and asks with status 0.
func (g *GitHub) spend(h http.Header, owner, resource string) *problem {
	now := g.opts.Now()
	if p := g.pauses[owner]; now.Before(p.until) {
		if p.header {
			h.Set("Retry-After", strconv.Itoa(int(p.until.Sub(now).Round(time.Second).Seconds())))
		}
		return &problem{http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
	}
	q := g.quotas[owner+" "+resource]
	if q == nil || !now.Before(q.reset) {
		delete(g.quotas, owner+" "+resource)
		q = &quota{usual, now.Add(time.Hour)}
	}
	var refused *problem
	if q.remaining == 0 {
		who := "the App"
		if in := g.installations[owner]; in != nil {
			who = fmt.Sprintf("installation ID %d", in.id)
		}
		refused = &problem{http.StatusForbidden, "API rate limit exceeded for " + who + "."}
	} else {
		q.remaining--
	}
	g.rateHeaders(h, q, resource)
	return refused
}

// refund gives a request back that GitHub does not count: an answer that
// nothing changed.
func (g *GitHub) refund(h http.Header, owner, resource string) {
	if q := g.quotas[owner+" "+resource]; q != nil {
		q.remaining++
		g.rateHeaders(h, q, resource)
	}
}

func (g *GitHub) rateHeaders(h http.Header, q *quota, resource string) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(usual))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(q.remaining))
	h.Set("X-RateLimit-Used", strconv.Itoa(usual-q.remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(q.reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", resource)
}
