package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/policy"
)

// Standing is how a repository as a whole stands.
type Standing struct {
	Trouble string // what is wrong with its configuration: nothing is done until that is mended; "" for nothing
	// Warnings are sentences about names in the configuration that nothing in the
	// repository answers to. They stop nothing.
	Warnings []string
	Commit   string // of the default branch, of which this is known; "" when nobody has looked yet

	Limit   int // upgrades that may start in a window
	Window  time.Duration
	Opened  time.Time // the rate limit's window; zero: none is open
	Started int       // in it

	Turn string // id of the upgrade whose merge is on its way to the cluster, "" for none
}

// config is what is kept of a repository's configuration for people to see.
type config struct {
	Commit   string        `json:"commit"`
	Trouble  string        `json:"trouble,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Event    string        `json:"event,omitempty"` // dispatch.event; "" in what an older version kept
	Limit    int           `json:"limit"`
	Window   time.Duration `json:"window"`
}

func configKey(repository string) string { return "config " + strings.ToLower(repository) }

// noteConfig keeps what a commit's configuration says, for Standing: another
// replica may be asked. home.mu is held. What cannot be kept is no reason to stop.
func (r *Reconciler) noteConfig(ctx context.Context, j *job, sha string, p policy.Policy, warnings []string, trouble error) {
	c := config{Commit: sha, Warnings: warnings, Event: p.Dispatch.Event, Limit: p.Dispatch.Limit.Upgrades, Window: p.Dispatch.Limit.Window}
	var err error
	if trouble != nil {
		c.Trouble = trouble.Error()
		// What is sent meanwhile is planned when it is mended.
		if c.Event, err = r.eventKept(ctx, j.u.Repository); err != nil {
			r.opts.Log.Warn("dispatch.event was not kept", "repo", j.u.Repository, "why", err)
		}
	}
	data, err := json.Marshal(c)
	if err != nil || string(data) == j.home.noted {
		return
	}
	if err := r.opts.Store.Put(ctx, configKey(j.u.Repository), string(data)); err != nil {
		r.opts.Log.Warn("the state of the configuration was not kept", "repo", j.u.Repository, "why", err)
		return
	}
	j.home.noted = string(data)
}

// configOf reads what was kept of a repository's configuration, "" for nothing.
func configOf(repository, kept string) (config, error) {
	p := policy.Default()
	c := config{Limit: p.Dispatch.Limit.Upgrades, Window: p.Dispatch.Limit.Window}
	if kept == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(kept), &c); err != nil {
		return c, fmt.Errorf("%s: its configuration as it was kept: %w", repository, err)
	}
	return c, nil
}

// Event is the event_type of repository_dispatch that is a dispatch for a
// repository: dispatch.event of its configuration as it was read last, which is
// now where nobody has read it yet. Where it cannot be read, it is the default.
func (r *Reconciler) Event(ctx context.Context, repository string) (string, error) {
	event, err := r.eventKept(ctx, repository)
	if err != nil || event != "" {
		return event, err
	}
	if _, _, err := r.viewNow(ctx, repository); err != nil {
		r.opts.Log.Warn("dispatch.event could not be read, and is taken for the default", "repo", repository, "why", err)
	}
	event, err = r.eventKept(ctx, repository)
	return firstOf(event, policy.Default().Dispatch.Event), err
}

// eventKept is dispatch.event as it was kept, "" where it was not.
func (r *Reconciler) eventKept(ctx context.Context, repository string) (string, error) {
	value, err := r.opts.Store.Get(ctx, configKey(repository))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	c, err := configOf(repository, value)
	return c.Event, err
}

// Troubles says of some repositories what Standing says of one: what is wrong
// with their configurations, by their names. Those that are right are left out.
func (r *Reconciler) Troubles(ctx context.Context, repositories []string) (map[string]string, error) {
	keys := make([]string, len(repositories))
	for i, name := range repositories {
		keys[i] = configKey(name)
	}
	kept, err := r.opts.Store.GetAll(ctx, keys)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i, name := range repositories {
		c, err := configOf(name, kept[keys[i]])
		if err != nil {
			return nil, err
		}
		if c.Trouble != "" {
			out[name] = c.Trouble
		}
	}
	return out, nil
}

// Standing says how a repository stands, as far as it has been looked at.
func (r *Reconciler) Standing(ctx context.Context, repository string) (Standing, error) {
	value, err := r.opts.Store.Get(ctx, configKey(repository))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Standing{}, err
	}
	c, err := configOf(repository, value)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Trouble: c.Trouble, Warnings: c.Warnings, Commit: c.Commit, Limit: c.Limit, Window: c.Window}
	if s.Opened, err = r.opened(ctx, windowKey(repository)); err != nil {
		return s, err
	}
	if s.Opened.IsZero() || !r.opts.Now().Before(s.Opened.Add(c.Window)) {
		s.Opened = time.Time{}
	} else if s.Started, _, err = r.opts.Store.StartedSince(ctx, repository, s.Opened); err != nil {
		return s, err
	}
	s.Turn, err = r.opts.Store.Holder(ctx, turnKey(repository))
	return s, err
}
