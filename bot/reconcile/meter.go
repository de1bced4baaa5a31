package reconcile

import (
	"time"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// Meter counts what happens. *metrics.Metrics is one.
type Meter interface {
	Dispatched(outcome string)
	Moved(from, to string, after time.Duration)
	Merged(byPerson bool)
	Reverting(risk string)
	BackedUp(kind, outcome string, took time.Duration)
	Watched(observer, outcome string)
	Configured(repository string, right bool)
}

// unmetered counts nothing.
type unmetered struct{}

func (unmetered) Dispatched(string)                      {}
func (unmetered) Moved(string, string, time.Duration)    {}
func (unmetered) Merged(bool)                            {}
func (unmetered) Reverting(string)                       {}
func (unmetered) BackedUp(string, string, time.Duration) {}
func (unmetered) Watched(string, string)                 {}
func (unmetered) Configured(string, bool)                {}

// before is what a step began with.
type before struct {
	state   lifecycle.State
	entered time.Time
	backup  backup
}

func (j *job) before() before {
	return before{lifecycle.State(j.u.State), j.rec.Entered, j.rec.Backup}
}

// measure tells the meter what a step has changed, once it is written.
func (r *Reconciler) measure(j *job, was before) {
	now := r.opts.Now()
	to := lifecycle.State(j.u.State)
	if to != was.state {
		r.opts.Meter.Moved(string(was.state), j.u.State, now.Sub(was.entered))
	}
	if to == lifecycle.Applying && was.state != to {
		slug := "" // known by now: the merge was recorded with it
		if r.opts.GitHub != nil {
			slug = r.opts.GitHub.KnownSlug()
		}
		r.opts.Meter.Merged(j.rec.Merge.By != slug)
	}
	if to == lifecycle.Reverting && was.state != to && was.state != lifecycle.Restoring && was.state != lifecycle.Rewatching {
		r.opts.Meter.Reverting(string(j.rec.Risk))
	}
	b := j.rec.Backup
	begun := b.Key != "" && (b.Key != was.backup.Key || was.backup.State == string(lifecycle.Running))
	switch state := lifecycle.Progress(b.State); {
	case begun && (state == lifecycle.Good || state == lifecycle.Bad):
		r.opts.Meter.BackedUp(string(b.Config.Kind), b.State, now.Sub(b.Started))
	case begun && to == lifecycle.Aborted && was.state != to:
		r.opts.Meter.BackedUp(string(b.Config.Kind), "late", now.Sub(b.Started))
	}
}

func (r *Reconciler) countLooks(list []watch.Sample) {
	for _, s := range list {
		r.opts.Meter.Watched(string(s.Kind), string(s.State))
	}
}

func (r *Reconciler) countOutcomes(list []store.Outcome) {
	for _, o := range list {
		switch {
		case o.Stuck == store.GivenUp:
			r.opts.Meter.Dispatched("failed")
		case o.Upgrade == "":
			r.opts.Meter.Dispatched("skipped")
		case o.Reason == "":
			r.opts.Meter.Dispatched("upgrade")
		default:
			r.opts.Meter.Dispatched("joined")
		}
	}
}
