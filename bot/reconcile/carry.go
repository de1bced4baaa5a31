package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/watch"
)

// The Action has no state that lasts. It keeps the record of an upgrade in the
// status comment of its pull request: a run takes up what is there, goes on, and
// leaves it to the next run. The comment is believed where belay itself wrote it
// and nobody has changed it since; otherwise the marker says what there is.

// ErrOtherRun means that another run of the Action has gone on with an upgrade
// since this one took it up.
var ErrOtherRun = errors.New("another run carries on with it")

// kept is the form in which a record stands in a comment.
type kept struct {
	Run     string          `json:"run"` // that wrote it
	Count   int             `json:"n"`   // how often it was written
	Upgrade store.Upgrade   `json:"upgrade"`
	Record  json.RawMessage `json:"record"`
}

// carried are the comments that this process writes, by upgrade.
type carried struct {
	mu sync.Mutex
	at map[string]carry
}

// carry is what is known of one of them.
type carry struct {
	run     string // that wrote it last
	count   int
	said    string // hash of what stands there, but for what every look of a watch changes
	written time.Time
}

// carryEvery is how often the looks of a watch are written down.
const carryEvery = time.Minute

// applyAtMost is how long a merge that an earlier run made keeps others waiting;
// the configuration's own time-out ends it sooner.
const applyAtMost = 15 * time.Minute

// maxCarried is how long a status comment may be in characters; GitHub takes 65,536.
const maxCarried = 60_000

// keep writes the record into the status comment, where it changed.
func (r *Reconciler) keep(ctx context.Context, j *job, s report.StatusView) error {
	body, err := r.marked(ctx, j)
	if err != nil {
		return err
	}
	r.carried.mu.Lock()
	c := r.carried.at[j.u.ID]
	r.carried.mu.Unlock()
	rec := j.rec
	rec.Comment, rec.Said, rec.Checks, rec.Traces = 0, "", nil, nil
	fixed := rec
	fixed.Watched, fixed.Parts, fixed.Health, fixed.Gates, fixed.Base, fixed.Files = watch.Summary{}, nil, "", nil, "", nil
	data, err := json.Marshal(fixed)
	if err != nil {
		return err
	}
	now := r.opts.Now()
	said := hash(report.Status(s), j.u.State, string(data))
	stands := c.said == said && (now.Sub(c.written) < carryEvery || !lifecycle.State(j.u.State).Merged())
	if stands && body == "" {
		return nil
	}
	if err := r.aloneAt(ctx, j, c); err != nil { // before anything is written: another run may be further
		return err
	}
	if err := r.mark(ctx, j, body); err != nil || stands {
		return err
	}
	rec.Checks = j.rec.Checks
	c = carry{run: r.opts.Carry, count: c.count + 1, said: said, written: now}
	text, err := remembered(s, j.u, rec, c)
	if err != nil {
		return err
	}
	j.rec.Said = ""
	if err := r.comment(ctx, j, j.u.Pull, j.pull, &j.rec.Comment, &j.rec.Said, text); err != nil {
		return err
	}
	r.carried.mu.Lock()
	defer r.carried.mu.Unlock()
	r.carried.at[j.u.ID] = c
	return nil
}

// remembered is the status comment with the record in it. What only serves to be
// looked at goes first where it would be too long.
func remembered(s report.StatusView, u store.Upgrade, rec record, c carry) (string, error) {
	u.Data, u.Version = nil, 0
	for _, shorten := range []func(){func() {}, func() { rec.Evidence, rec.Parts = nil, nil }, func() { rec.Failure.Log, rec.Failure.Last, rec.Watched = "", "", watch.Summary{} }, func() { s.Log, s.Answers = "", nil }} {
		shorten()
		data, err := json.Marshal(rec)
		if err != nil {
			return "", err
		}
		if data, err = json.Marshal(kept{Run: c.run, Count: c.count, Upgrade: u, Record: data}); err != nil {
			return "", err
		}
		if text := report.WithMemory(s, data); len(text) < maxCarried {
			return text, nil
		}
	}
	return "", fmt.Errorf("upgrade %s: its record is too long for a comment", u.ID)
}

// aloneAt makes sure that no other run has written the comment since this one
// read or wrote it.
func (r *Reconciler) aloneAt(ctx context.Context, j *job, c carry) error {
	if j.rec.Comment == 0 {
		return nil
	}
	body, err := j.repo.CommentBody(ctx, j.rec.Comment)
	if errors.Is(err, github.ErrNotFound) {
		return nil // it is written anew
	}
	if err != nil {
		return err
	}
	k, err := parseKept(body)
	if err != nil || k.Run == c.run && k.Count == c.count {
		return nil //nolint:nilerr // what cannot be read is nobody's
	}
	if k.Run == r.opts.Carry && k.Count <= c.count+1 { // the answer to the last write was lost
		return nil
	}
	return fmt.Errorf("%s#%d: %w", j.u.Repository, j.u.Pull, ErrOtherRun)
}

func parseKept(body string) (kept, error) {
	var k kept
	m, err := report.ParseMemory(body)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(m, &k); err != nil {
		return k, err
	}
	if k.Upgrade.ID == "" {
		return k, report.ErrNoMemory
	}
	return k, nil
}

// markerOf is the marker of an upgrade's pull request, with whoever acts on it.
func (r *Reconciler) markerOf(u plan.Upgrade, branch string) report.Marker {
	m := report.MarkerOf(u)
	m.Branch, m.Owner, m.Moves, m.Data = branch, r.opts.Owner, u.Moves, u.Risk.Migration
	return m
}

// marked is the pull request's body with a marker that says who acts on it, and
// how it ended: lists show that without a further question. "" where it stands.
func (r *Reconciler) marked(ctx context.Context, j *job) (body string, err error) {
	if j.pull == nil {
		return "", nil
	}
	m, err := report.MarkerIn(j.pull.Body, j.pull.Branch)
	if err != nil {
		return "", nil //nolint:nilerr // a person took it away; while the pull request is open it is written again
	}
	was := m.String()
	m.Owner, m.Over, m.Why, m.Ignores = r.opts.Owner, "", "", nil
	if m.Ladder != nil {
		m.Ladder.Stopped = ""
	}
	if j.u.Final {
		m.Over, m.Why = j.u.State, report.MarkerWhy(j.rec.Failure.Why)
		if l := j.rec.Ladder; l != nil && m.Ladder != nil {
			m.Ladder = report.MarkerLadder(l) // with where it stands, and what was found on the way
		}
		if m.Ignores, err = r.ignored(ctx, j); err != nil {
			return "", err
		}
	}
	if m.String() == was {
		return "", nil
	}
	return report.Remark(j.pull.Body, m), nil
}

// mark writes such a body; "" is none.
func (r *Reconciler) mark(ctx context.Context, j *job, body string) error {
	if body == "" {
		return nil
	}
	m, err := report.ParseMarker(body)
	if err != nil {
		return err
	}
	j.pull.Body, j.rec.Marker = body, m.String()
	return j.repo.EditPull(ctx, j.u.Pull, github.Draft{Title: j.pull.Title, Body: j.pull.Body})
}

// ignored are the kinds of bump that a person has taken out for the service.
func (r *Reconciler) ignored(ctx context.Context, j *job) ([]string, error) {
	blocks, err := r.opts.Store.Blocks(ctx, j.u.Repository, j.u.Service)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, b := range blocks {
		if b.Image == j.u.Lane && slices.Contains(command.Ignorable(), b.Target) && !slices.Contains(out, b.Target) {
			out = append(out, b.Target)
		}
	}
	slices.Sort(out)
	return out, nil
}

// takeUp makes the record of a pull request's upgrade from what stands in it, and
// reports its id; "" for one that is none of belay's.
func (r *Reconciler) takeUp(ctx context.Context, repo *github.Repository, number int) (string, error) {
	if u, err := r.opts.Store.UpgradeByPull(ctx, repo.Name, number); err == nil {
		return u.ID, nil
	} else if !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return "", err
	}
	p, err := repo.Pull(ctx, number)
	if err != nil {
		return "", err
	}
	m, err := report.MarkerIn(p.Body, p.Branch)
	if err != nil || p.Author != slug || m.Owner != r.opts.Owner && !r.opts.TakeOver {
		return "", nil //nolint:nilerr // none of ours
	}
	if m.Undoes != 0 && m.Undoes != number {
		id, err := r.takeUp(ctx, repo, m.Undoes)
		if err != nil || id != "" {
			return id, err
		}
	}
	u, c, err := r.recall(ctx, repo, p, m, slug)
	if err != nil {
		return "", err
	}
	created, isNew, err := r.opts.Store.CreateUpgrade(ctx, u)
	if err != nil || !isNew {
		return created.ID, err
	}
	r.carried.mu.Lock()
	r.carried.at[u.ID] = c
	r.carried.mu.Unlock()
	switch lifecycle.State(u.State) {
	case lifecycle.Applying, lifecycle.Undoing, lifecycle.Restoring: // nothing else is merged meanwhile
		_, err = r.opts.Store.Claim(ctx, turnKey(repo.Name), u.ID, r.opts.Now().Add(applyAtMost+10*time.Minute))
	default:
	}
	return u.ID, err
}

// recall reads an upgrade from belay's own comment, or what is left of it from
// the marker.
func (r *Reconciler) recall(ctx context.Context, repo *github.Repository, p github.Pull, m report.Marker, slug string) (store.Upgrade, carry, error) {
	for _, c := range p.Comments {
		if c.Login != slug || c.Editor != "" && c.Editor != slug || !report.IsStatus(c.Body) {
			continue
		}
		k, err := parseKept(c.Body)
		var rec record
		if err != nil || json.Unmarshal(k.Record, &rec) != nil || k.Upgrade.Pull != p.Number || k.Upgrade.Repository != repo.Name {
			r.opts.Log.Warn("the record in the comment cannot be used: what the marker says is taken up", "repo", repo.Name, "pull", p.Number, "why", err)
			break
		}
		rec.Comment = c.ID
		rec.Redo = rec.Redo || m.Owner != r.opts.Owner // it was somebody else's until now
		data, err := json.Marshal(rec)
		if err != nil {
			return k.Upgrade, carry{}, err
		}
		k.Upgrade.Data = data
		return k.Upgrade, carry{run: k.Run, count: k.Count}, nil
	}
	u, rec, err := r.recovered(ctx, repo, repo.Name, p, m)
	if err != nil {
		return u, carry{}, err
	}
	if o := (ours{p, m}); m.Undoes == 0 && p.State != "OPEN" && lifecycle.State(m.Over).Final() { // it is not begun again
		o.ended(&u, &rec)
	}
	u.Data, err = json.Marshal(rec)
	return u, carry{}, err
}
