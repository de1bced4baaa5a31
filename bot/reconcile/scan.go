package reconcile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/scan"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"

	"github.com/belaybot/belay/bot/upstream"
)

// Registries asks registries and chart repositories. *upstream.Client is one,
// so that what Options.Upstream makes need not be another.
type Registries interface {
	Tags(ctx context.Context, ref image.Ref) ([]string, error)
	ChartVersions(ctx context.Context, chart pin.Chart) ([]upstream.ChartVersion, error)
}

// ScanCounts is what came of the scans since the start.
type ScanCounts struct {
	Scans, Failed       int64 // of a repository; failed: it could not be read
	Asked               int64 // pins whose registry answered
	Unreached           int64 // pins whose registry did not
	Outdated            int64 // pins that are behind
	Dispatched          int64 // dispatches that were stored and planned
	LastSeconds, LastAt float64
}

func scanKey(repository string) string { return "scan " + strings.ToLower(repository) }

// Scan asks the registries about every repository whose scan is due
// (scan.every), and takes what is found as dispatches. When each was begun last is
// kept, so that a restart scans nothing too early. It is called from time to
// time by one process.
func (r *Reconciler) Scan(ctx context.Context) error {
	names, err := r.opts.GitHub.Installed(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, name := range names {
		if err := r.scanIfDue(ctx, name); err != nil && !errors.Is(err, github.ErrNoAccess) {
			r.count(func(c *ScanCounts) { c.Failed++ })
			failures = append(failures, fmt.Errorf("scan of %s: %w", name, err))
		}
	}
	return errors.Join(failures...)
}

// Due says when a repository is to be scanned next: a little later than every
// so often, by its name, so that many repositories do not ask at once. It is
// zero where nothing is to be scanned.
func Due(repository string, last time.Time, every time.Duration) time.Time {
	if every <= 0 || last.IsZero() {
		return last
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(repository)))
	return last.Add(every + time.Duration(h.Sum32()%1000)*every/10_000)
}

// configFor is how long the configuration that was read is believed, as far as
// it says when to scan: a repository is not fetched every minute for that.
const configFor = 10 * time.Minute

func (r *Reconciler) scanIfDue(ctx context.Context, name string) error {
	now, h := r.opts.Now(), r.home(name)
	last, err := r.opened(ctx, scanKey(name))
	if err != nil {
		return err
	}
	due := func(every time.Duration) bool { return every > 0 && !now.Before(Due(name, last, every)) }
	h.mu.Lock()
	known, read := h.view, h.scanRead
	h.mu.Unlock()
	if known != nil && now.Sub(read) < configFor && !due(known.policy.Scan.Every) {
		return nil
	}
	_, v, err := r.viewNow(ctx, name)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.scanRead = now
	h.mu.Unlock()
	if !due(v.policy.Scan.Every) {
		return nil
	}
	// Written before the first request: what a crash cuts short is left to the next scan.
	if err := r.opts.Store.Put(ctx, scanKey(name), now.UTC().Format(timeForm)); err != nil {
		return err
	}
	return r.scanNow(ctx, name, v)
}

// ScanNow asks the registries about one repository, whenever it was asked last:
// the Action is started by a clock of its own.
func (r *Reconciler) ScanNow(ctx context.Context, name string) error {
	_, v, err := r.viewNow(ctx, name)
	if err != nil {
		return err
	}
	return r.scanNow(ctx, name, v)
}

// scanNow looks for new versions of what a view pins, and has them dispatched.
func (r *Reconciler) scanNow(ctx context.Context, name string, v *view) error {
	now := r.opts.Now()
	registries, ok := v.planner.Upstream.(Registries)
	if !ok || r.opts.Enqueue == nil {
		return errors.New("registries cannot be asked here")
	}
	rows, lookErr := scan.Look(ctx, v.inventory.Pins, v.policy, registries, scan.Options{})
	// What was found before the time was over counts all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	taken := 0
	for _, d := range scan.Dispatches(rows) {
		s := Stored(d, "scan", name)
		s.Received = now
		got, err := r.opts.Store.TakeDispatch(ctx, s, true, r.opts.Enqueue)
		if err != nil {
			return err
		}
		if got.New || got.Again {
			taken++
		}
	}
	asked, unreached, outdated := tally(rows)
	took := r.opts.Now().Sub(now)
	r.count(func(c *ScanCounts) {
		c.Scans++
		c.Asked, c.Unreached, c.Outdated, c.Dispatched = c.Asked+asked, c.Unreached+unreached, c.Outdated+outdated, c.Dispatched+int64(taken)
		c.LastSeconds, c.LastAt = took.Seconds(), float64(now.Unix())
	})
	r.opts.Log.Info("scanned", "repo", name, "asked", asked, "unreached", unreached, "outdated", outdated, "dispatches", taken, "took", took.Round(time.Millisecond))
	for _, row := range rows {
		if row.Err != nil {
			r.opts.Log.Warn("a registry could not be asked", "repo", name, "image", scan.Name(row.Pin), "why", row.Err)
		}
	}
	return lookErr
}

func tally(rows []scan.Row) (asked, unreached, outdated int64) {
	for _, row := range rows {
		switch {
		case row.Err != nil:
			unreached++
		case row.To != "":
			outdated++
			asked++
		case row.Why == "":
			asked++
		}
	}
	return asked, unreached, outdated
}

func (r *Reconciler) count(f func(*ScanCounts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.scans)
}

// Scans is what came of the scans since the start.
func (r *Reconciler) Scans() ScanCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.scans
}

// Enqueue has a dispatch planned, if the transaction is committed.
type Enqueue func(ctx context.Context, tx *sql.Tx, id string) error

// TakeBulk stores a dispatch that somebody wants to know the outcome of now, or
// finds it; run is that of a limit of its own, "" for none. See store.TakeDispatch.
func (r *Reconciler) TakeBulk(ctx context.Context, d store.Dispatch, again bool) (store.Taken, error) {
	if r.opts.Enqueue == nil {
		return store.Taken{}, errors.New("dispatches are not planned here")
	}
	got, err := r.opts.Store.TakeDispatch(ctx, d, again, r.opts.Enqueue)
	if err != nil {
		return got, err
	}
	for _, id := range got.Moved {
		if err := r.opts.Wake(ctx, id); err != nil {
			return got, err
		}
	}
	return got, nil
}
