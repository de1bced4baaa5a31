package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
)

// boardRecord is what the store keeps of a repository's dashboard issue. All of
// it can be found anew on GitHub.
type boardRecord struct {
	Name    string    `json:"name,omitempty"`   // "owner/name" of the repository
	Number  int       `json:"number,omitempty"` // 0: none is known
	Said    string    `json:"said,omitempty"`   // a hash of the text that stands there
	Closed  bool      `json:"closed,omitempty"` // by a person: it is left alone until somebody opens it again
	Off     bool      `json:"off,omitempty"`    // belay has closed it, since the configuration says so
	Touched string    `json:"touched,omitempty"`
	Looked  time.Time `json:"looked,omitzero"` // when the issue was read last
	Seen    int64     `json:"seen,omitempty"`  // the last comment that was read
	Told    string    `json:"told,omitempty"`  // the last answer to a box that was taken over
	Refused time.Time `json:"refused,omitzero"`
	Answers []answer  `json:"answers,omitempty"`
}

const (
	boardLook     = 6 * time.Hour  // how often the issue is read without a word from GitHub
	boardRefused  = 24 * time.Hour // how long a repository without issues is not asked again
	boardEnded    = 14 * 24 * time.Hour
	maxEnded      = 15
	maxLeftOut    = 25
	boardSaid     = 5 // answers that are shown
	boardLabel    = "belay"
	boardCommands = "on this issue, say `/upgrade hold [reason]` or `/upgrade resume`; everything else goes by the boxes, or into the pull requests"
)

func boardName(repository string) string   { return store.BoardFact + strings.ToLower(repository) }
func touchedName(repository string) string { return "touched dashboard " + strings.ToLower(repository) }

// Boards has every dashboard that there is looked at, which costs what is new:
// what GitHub forgot to tell is found out.
func (r *Reconciler) Boards(ctx context.Context) error {
	list, err := r.opts.Store.Facts(ctx, store.BoardFact)
	if err != nil {
		return err
	}
	for _, text := range list {
		var rec boardRecord
		if json.Unmarshal([]byte(text), &rec) == nil && rec.Name != "" {
			err = errors.Join(err, r.showBoard(ctx, rec.Name, false))
		}
	}
	return err
}

// Board brings a repository's dashboard issue up to date: it opens, edits, closes
// or leaves it, and heeds the commands in its comments. One call at a time per
// repository; bot/engine sees to that.
func (r *Reconciler) Board(ctx context.Context, repository string) error {
	repo, err := r.opts.GitHub.Repository(ctx, repository)
	if errors.Is(err, github.ErrNoAccess) {
		return nil // access comes with webhooks that wake every upgrade
	}
	if err != nil {
		return err
	}
	var rec boardRecord
	if err := r.fact(ctx, boardName(repository), &rec); err != nil {
		return err
	}
	if now := r.opts.Now(); now.Before(rec.Refused) {
		return nil
	}
	was := rec
	rec.Name = repository
	err = r.bringBoard(ctx, repo, &rec)
	switch {
	case errors.Is(err, github.ErrNoAccess):
		return nil
	case errors.Is(err, github.ErrNoIssues):
		r.opts.Log.Info("no dashboard: issues are switched off", "repo", repository)
		rec.Refused, err = r.opts.Now().Add(boardRefused), nil
	}
	if boardSame(was, rec) {
		return err
	}
	return errors.Join(err, r.putFact(ctx, boardName(repository), rec))
}

func (r *Reconciler) putFact(ctx context.Context, name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return r.opts.Store.Put(ctx, name, string(data))
}

func boardSame(a, b boardRecord) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// fact reads a stored fact in JSON; what is missing or cannot be read is none.
func (r *Reconciler) fact(ctx context.Context, name string, into any) error {
	text, err := r.opts.Store.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		r.opts.Log.Warn("a fact in the state cannot be read and is made anew", "fact", name, "why", err)
	}
	return nil
}

func (r *Reconciler) bringBoard(ctx context.Context, repo *github.Repository, rec *boardRecord) error {
	p, problem, strays, err := r.boardPolicy(ctx, repo)
	if err != nil {
		return err
	}
	if !p.Dashboard.Issue && problem == "" {
		return r.shutBoard(ctx, repo, rec)
	}
	view, err := r.boardView(ctx, repo.Name)
	if err != nil {
		return err
	}
	empty := len(view.Upgrades) == 0 && problem == "" && view.Frozen == nil
	if rec.Number == 0 && empty {
		return nil
	}
	if rec.Number == 0 { // an earlier life may have opened it
		if err := r.findBoard(ctx, repo, rec); err != nil {
			return err
		}
	}
	if err := r.lookAtBoard(ctx, repo, rec); err != nil || rec.Closed {
		return err
	}
	if view, err = r.boardView(ctx, repo.Name); err != nil { // a comment may have changed it
		return err
	}
	view.Problem, view.Warnings = problem, strays
	if err := r.takeBoxAnswer(ctx, repo.Name, rec); err != nil {
		return err
	}
	for _, a := range rec.Answers {
		view.Answers = append(view.Answers, report.Answer(a))
	}
	return r.writeBoard(ctx, repo, rec, report.Board(view))
}

// boardPolicy reads the configuration as it is now. One that is wrong is shown
// on the dashboard, since nothing else is done then; so are names in it that
// nothing answers to.
func (r *Reconciler) boardPolicy(ctx context.Context, repo *github.Repository) (p policy.Policy, problem string, strays []string, err error) {
	j := &job{u: store.Upgrade{Repository: repo.Name}, home: r.home(repo.Name), repo: repo}
	branch, err := r.branchOf(ctx, j)
	if err != nil {
		return policy.Policy{}, "", nil, err
	}
	v, err := r.today(ctx, j, branch)
	var wrong *policy.PositionError
	if errors.As(err, &wrong) {
		return policy.Default(), wrong.Error(), nil, nil
	}
	if err != nil {
		return policy.Policy{}, "", nil, err
	}
	return v.policy, "", v.strays, nil
}

// shutBoard closes the issue that the configuration switches off, once.
func (r *Reconciler) shutBoard(ctx context.Context, repo *github.Repository, rec *boardRecord) error {
	if rec.Number == 0 || rec.Off || rec.Closed {
		return nil
	}
	err := repo.EditIssue(ctx, rec.Number, github.IssueEdit{Body: report.BoardOff(), State: "closed"})
	if errors.Is(err, github.ErrNotFound) {
		rec.Number, err = 0, nil
	}
	if err == nil {
		rec.Off, rec.Said = true, hash(report.BoardOff())
	}
	return err
}

// lookAtBoard reads the issue where somebody has touched it since the last look,
// or that is long ago: whether it is still there and open, what was commented,
// and whether its text was changed.
func (r *Reconciler) lookAtBoard(ctx context.Context, repo *github.Repository, rec *boardRecord) error {
	touched, err := r.opts.Store.Get(ctx, touchedName(repo.Name))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	now := r.opts.Now()
	if rec.Number == 0 || touched == rec.Touched && now.Sub(rec.Looked) < boardLook {
		rec.Touched = touched
		return nil
	}
	issue, err := repo.Issue(ctx, rec.Number)
	if errors.Is(err, github.ErrNotFound) { // deleted, or moved away
		rec.Number, rec.Said, rec.Closed, rec.Off, rec.Seen = 0, "", false, false, 0
		rec.Touched, rec.Looked = touched, now
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.heedBoard(ctx, repo, rec, issue); err != nil {
		return err
	}
	rec.Said = boardHash(issue.Body)
	rec.Closed = issue.Closed && !rec.Off
	rec.Off = rec.Off && issue.Closed
	rec.Touched, rec.Looked = touched, now
	return nil
}

// boardHash names a text whatever a browser made of the ends of its lines.
func boardHash(body string) string {
	return hash(strings.TrimSpace(strings.ReplaceAll(body, "\r", "")))
}

// findBoard looks for the issue that an earlier life opened: one of the App's
// own with the mark, the oldest that is open before all others.
func (r *Reconciler) findBoard(ctx context.Context, repo *github.Repository, rec *boardRecord) error {
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return err
	}
	list, err := repo.Issues(ctx, boardLabel)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(i github.Issue) bool { return !i.Bot || i.Author != slug || !report.IsBoard(i.Body) })
	at := slices.IndexFunc(list, func(i github.Issue) bool { return !i.Closed })
	if len(list) == 0 {
		return nil
	}
	found := list[max(at, 0)]
	rec.Looked = time.Time{} // its comments are read again: a hold may have been lost with the state
	rec.Number, rec.Said, rec.Off = found.Number, boardHash(found.Body), found.Closed && boardHash(found.Body) == boardHash(report.BoardOff())
	rec.Closed = found.Closed && !rec.Off
	return nil
}

// writeBoard opens or edits the issue where its text is another one now.
func (r *Reconciler) writeBoard(ctx context.Context, repo *github.Repository, rec *boardRecord, text string) error {
	sum := boardHash(text)
	if rec.Number != 0 && rec.Said == sum && !rec.Off {
		return nil
	}
	if rec.Number != 0 {
		edit := github.IssueEdit{Body: text}
		if rec.Off {
			edit.State = "open"
		}
		err := repo.EditIssue(ctx, rec.Number, edit)
		if err == nil {
			rec.Said, rec.Off = sum, false
			return nil
		}
		if !errors.Is(err, github.ErrNotFound) {
			return err
		}
		rec.Number, rec.Seen = 0, 0
	}
	n, err := repo.OpenIssue(ctx, report.BoardTitle, text, boardLabel)
	if err != nil {
		return err
	}
	rec.Number, rec.Said, rec.Off, rec.Closed, rec.Looked = n, sum, false, false, r.opts.Now()
	return nil
}

// boardView is what the dashboard of a repository shows.
func (r *Reconciler) boardView(ctx context.Context, repository string) (report.BoardView, error) {
	var v report.BoardView
	open, err := r.opts.Store.OpenUpgrades(ctx, repository)
	if err != nil {
		return v, err
	}
	ended, err := r.opts.Store.EndedUpgrades(ctx, repository, r.opts.Now().Add(-boardEnded), maxEnded)
	if err != nil {
		return v, err
	}
	for _, u := range append(open, ended...) {
		j := &job{u: u}
		if err := json.Unmarshal(u.Data, &j.rec); err != nil {
			return v, fmt.Errorf("upgrade %s: its record cannot be read: %w", u.ID, err)
		}
		v.Upgrades = append(v.Upgrades, j.onBoard())
	}
	blocks, err := r.opts.Store.Blocks(ctx, repository, "")
	if err != nil {
		return v, err
	}
	slices.Reverse(blocks)
	for _, b := range blocks[:min(len(blocks), maxLeftOut)] {
		v.LeftOut = append(v.LeftOut, report.LeftOut{Service: b.Service, Target: b.Target, Why: b.Why, At: b.At})
	}
	f, err := r.freezeOf(ctx, repository)
	if f != nil {
		v.Frozen = &report.Frozen{Who: f.Who, Reason: f.Reason, Everywhere: f.Repository == "", Since: f.At}
	}
	return v, err
}

// onBoard is an upgrade as the dashboard shows it.
func (j *job) onBoard() report.BoardUpgrade {
	u := report.BoardUpgrade{StatusView: j.status(), ID: j.u.ID, Pull: j.u.Pull, Head: j.rec.head(), Updated: j.u.Updated}
	if lifecycle.State(j.u.State).Merged() {
		u.Head = j.rec.Undo.Head
	}
	u.Undo = j.u.Undo
	if a := j.rec.LastAsked; a != nil {
		said := report.Answer(*a)
		u.Asked = &said
	}
	u.Offered = j.offers()
	return u
}
