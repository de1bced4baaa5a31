// Package notify tells people how an upgrade goes: in Slack, as one message per
// upgrade that is updated and answered in its thread, and by a JSON webhook. All
// steps of a ladder are told in one thread.
//
// In goes the id of an upgrade; what there is to say is derived from the store,
// against what each place was told before. So a lost or repeated job, a crash
// and an outage are the same case: look again. Nothing here holds up an
// upgrade: places that do not answer are left alone for a while, what cannot
// succeed is given up, and what is older than three days is not told any more.
//
// An event is told to a place once. Only where belay is killed, or the answer
// is lost, between a place's taking a message and belay's recording it, may it
// be told again: Slack is then asked first whether the message is there, where
// the bot may read the channel; webhooks carry an id by which to know it again.
// See SPEC section 13.
package notify

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/store"
)

// State is what is read of upgrades, and where is kept what was told.
// *store.Store is one.
type State interface {
	Upgrade(ctx context.Context, id string) (store.Upgrade, error)
	Ladder(ctx context.Context, id string) ([]store.Upgrade, error)
	Events(ctx context.Context, upgrade string) ([]store.Event, error)
	AllEvents(ctx context.Context, after int64, limit int) ([]store.Event, error)
	LastEvent(ctx context.Context) (int64, error)
	Get(ctx context.Context, name string) (string, error)
	Put(ctx context.Context, name, value string) error
	Claim(ctx context.Context, name, owner string, until time.Time) (bool, error)
	Release(ctx context.Context, name, owner string) error
}

// Options say where people are told. Secrets are functions, so that they may be
// changed without a restart; nil is none.
type Options struct {
	State         State
	GitHub        string        // URL for people: https://github.com
	SlackAPI      string        // URL of Slack's Web API; "" is Slack's own
	SlackChannel  string        // id (C0123456789) or name (#upgrades) for the bot
	SlackToken    func() string // of the bot
	SlackWebhook  func() string // URL of an incoming webhook, in place of a bot
	Webhook       func() string // URL that gets every event as JSON
	WebhookSecret func() string // signs them; "" does not
	Shared        bool          // other processes work on the same state
	Now           func() time.Time
	Log           *slog.Logger
	Count         func(place, outcome string) // of attempts; nil: nobody counts
}

// Notifier tells people. Use New to make one.
type Notifier struct {
	opts  Options
	sinks []*place

	// ladders is held while a step is told of: the jobs of two steps may run at
	// once, and what the slower one has read is not to be told last.
	ladders sync.Mutex
}

// sink is one kind of place where people are told.
type sink interface {
	// tell brings a place up to date with a story. It calls save whenever t has
	// changed in a way that must survive.
	tell(ctx context.Context, s story, t *told, save func() error) error
}

// place is a sink with how it fares.
type place struct {
	sink
	name string
	from int64 // events up to this one happened before the place was configured

	mu       sync.Mutex
	failures int
	until    time.Time // left alone until then
}

// told is what a place was told about one upgrade.
type told struct {
	Last    int64     `json:"last"`              // id of the last event that was told, or left out
	Channel string    `json:"channel,omitempty"` // as configured when the message was posted
	Room    string    `json:"room,omitempty"`    // the channel's id, as Slack answered
	TS      string    `json:"ts,omitempty"`      // Slack's name of the message
	Hash    string    `json:"hash,omitempty"`    // of the message's text
	Intent  string    `json:"intent,omitempty"`  // what was about to be posted
	Meant   time.Time `json:"meant,omitzero"`    // when
}

// tooOld is the age from which on an event is not told any more.
const tooOld = 72 * time.Hour

// claimFor bounds one round through all places; requests have a time-out of
// their own.
const claimFor = 5 * time.Minute

// New makes a Notifier, nil when no place is configured. Events that happened
// before a place was configured first are not told there.
func New(ctx context.Context, opts Options) (*Notifier, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	n := &Notifier{opts: opts}
	client := &http.Client{Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a secret is for the address that was configured
	}}
	if opts.SlackToken != nil {
		n.sinks = append(n.sinks, &place{name: "slack", sink: &slackBot{opts: opts, client: client}})
	}
	if opts.SlackWebhook != nil {
		n.sinks = append(n.sinks, &place{name: "slack-webhook", sink: &slackHook{opts: opts, client: client}})
	}
	if opts.Webhook != nil {
		n.sinks = append(n.sinks, &place{name: "webhook", sink: &webhook{opts: opts, client: client}})
	}
	if len(n.sinks) == 0 {
		return nil, nil
	}
	for _, p := range n.sinks {
		var err error
		if p.from, err = n.beginning(ctx, p.name); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// beginning is the newest event as it was when a place was configured first.
func (n *Notifier) beginning(ctx context.Context, name string) (int64, error) {
	key := "told from " + name
	value, err := n.opts.State.Get(ctx, key)
	var id int64
	if err == nil {
		if _, err := fmt.Sscan(value, &id); err == nil {
			return id, nil
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	if id, err = n.opts.State.LastEvent(ctx); err != nil {
		return 0, err
	}
	return id, n.opts.State.Put(ctx, key, fmt.Sprint(id))
}

func toldKey(place, upgrade string) string { return "told " + place + " " + upgrade }

// Tell brings every place up to date with an upgrade. An error carries RetryAt,
// the moment from which on it is worth trying again.
func (n *Notifier) Tell(ctx context.Context, upgrade string) error {
	u, err := n.opts.State.Upgrade(ctx, upgrade)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if n.opts.Shared {
		key, owner := "tell "+keyOf(u), rand.Text()
		got, err := n.opts.State.Claim(ctx, key, owner, n.opts.Now().Add(claimFor))
		if err != nil {
			return err
		}
		if !got {
			return &later{at: n.opts.Now().Add(2 * time.Second), why: "another process tells of it"}
		}
		defer func() { _ = n.opts.State.Release(context.WithoutCancel(ctx), key, owner) }()
	}
	if u.Ladder != "" {
		n.ladders.Lock()
		defer n.ladders.Unlock()
	}
	s, err := n.story(ctx, upgrade)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var wait *later
	for _, p := range n.sinks { // one that fails does not hold up the next
		err := n.tellPlace(ctx, p, s)
		var l *later
		switch {
		case errors.As(err, &l):
			if wait == nil || l.at.Before(wait.at) {
				wait = l
			}
		case err != nil:
			return err
		}
	}
	if wait != nil {
		return wait
	}
	return nil
}

// outcomeOf is how an attempt to tell people ended: told, failed, refused.
func outcomeOf(err error) string {
	var never *permanent
	switch {
	case err == nil:
		return "told"
	case errors.As(err, &never):
		return "refused"
	}
	return "failed"
}

// tellPlace brings one place up to date. What comes back is *later, or an error
// of the state.
func (n *Notifier) tellPlace(ctx context.Context, p *place, s story) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := toldKey(p.name, s.key)
	t := told{Last: p.from}
	value, err := n.opts.State.Get(ctx, key)
	if err == nil {
		err = json.Unmarshal([]byte(value), &t)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	before := t
	save := func() error {
		data, err := json.Marshal(t)
		if err != nil {
			return err
		}
		before = t
		// What was sent is recorded even while belay ends.
		if err := n.opts.State.Put(context.WithoutCancel(ctx), key, string(data)); err != nil {
			return &stateError{err}
		}
		return nil
	}
	s.news = n.news(s, t.Last)
	last := s.last()
	if now := n.opts.Now(); now.Before(p.until) {
		if len(s.news) == 0 && t.TS == "" {
			return nil // nothing to say there
		}
		return &later{at: p.until, why: p.name + " is left alone until then"}
	}
	news := len(s.news)
	err = p.tell(ctx, s, &t, save)
	if n.opts.Count != nil && ctx.Err() == nil && (news > 0 || err != nil) {
		n.opts.Count(p.name, outcomeOf(err))
	}
	var broken *stateError
	var never *permanent
	switch {
	case errors.As(err, &broken):
		return broken
	case errors.As(err, &never):
		n.opts.Log.Warn("not told: trying again would not help", "place", p.name, "upgrade", s.u.ID, "service", s.u.Service, "events", len(s.news), "why", never)
		t.Intent, t.Meant = "", time.Time{}
	case ctx.Err() != nil: // belay ends: not the place's fault
		return &later{at: n.opts.Now(), why: ctx.Err().Error()}
	case err != nil:
		return n.leaveAlone(p, err)
	}
	if p.failures > 0 {
		n.opts.Log.Info("people can be told again", "place", p.name)
		p.failures = 0
	}
	t.Last = max(t.Last, last)
	if t == before {
		return nil
	}
	return save()
}

// leaveAlone gives a place that failed time: as long as it asked for, or longer
// with every failure, up to five minutes.
func (n *Notifier) leaveAlone(p *place, err error) error {
	p.failures++
	pause := min(time.Second<<min(p.failures-1, 10), 5*time.Minute)
	var limit *limited
	if errors.As(err, &limit) {
		pause = min(max(limit.after, time.Second), time.Hour)
	}
	p.until = n.opts.Now().Add(pause)
	level := slog.LevelWarn
	if p.failures == 8 { // some minutes: a person should know, once
		level = slog.LevelError
	} else if p.failures > 8 {
		level = slog.LevelDebug
	}
	n.opts.Log.Log(context.Background(), level, "people cannot be told; upgrades go on", "place", p.name, "failures", p.failures, "until", p.until, "why", err)
	return &later{at: p.until, why: p.name + ": " + err.Error()}
}

// news are the events after one that people are told of and that are not too old.
func (n *Notifier) news(s story, after int64) []happening {
	var out []happening
	old := 0
	for _, h := range s.all {
		switch {
		case h.event.ID <= after:
		case n.opts.Now().Sub(h.event.At) > tooOld:
			old++
		default:
			out = append(out, h)
		}
	}
	if old > 0 {
		n.opts.Log.Warn("not told: too old", "upgrade", s.u.ID, "service", s.u.Service, "events", old)
	}
	return out
}

// sweepKey holds the event up to which CatchUp has looked.
const sweepKey = "told sweep"

// CatchUp has every upgrade told of that has news: the job of a crashed process
// may be lost. It is cheap when there is nothing.
func (n *Notifier) CatchUp(ctx context.Context, tell func(ctx context.Context, upgrade string) error) error {
	after := n.sinks[0].from
	for _, p := range n.sinks {
		after = min(after, p.from)
	}
	if value, err := n.opts.State.Get(ctx, sweepKey); err == nil {
		_, _ = fmt.Sscan(value, &after)
	}
	const page = 500
	for {
		events, err := n.opts.State.AllEvents(ctx, after, page)
		if err != nil || len(events) == 0 {
			return err
		}
		newest := map[string]int64{}
		for _, e := range events {
			newest[e.Upgrade], after = e.ID, e.ID
		}
		for id, event := range newest {
			if up, err := n.upToDate(ctx, id, event); err != nil || up {
				if err != nil {
					return err
				}
				continue
			}
			if err := tell(ctx, id); err != nil {
				return err
			}
		}
		if err := n.opts.State.Put(ctx, sweepKey, fmt.Sprint(after)); err != nil {
			return err
		}
		if len(events) < page {
			return nil
		}
	}
}

// upToDate reports whether every place has been told of an upgrade up to an event.
func (n *Notifier) upToDate(ctx context.Context, upgrade string, event int64) (bool, error) {
	u, err := n.opts.State.Upgrade(ctx, upgrade)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	for _, p := range n.sinks {
		value, err := n.opts.State.Get(ctx, toldKey(p.name, cmp.Or(keyOf(u), upgrade)))
		if errors.Is(err, store.ErrNotFound) {
			return event <= p.from, nil
		}
		if err != nil {
			return false, err
		}
		var t told
		if err := json.Unmarshal([]byte(value), &t); err != nil || t.Last < event {
			return false, nil //nolint:nilerr // what cannot be read is told anew
		}
	}
	return true, nil
}
