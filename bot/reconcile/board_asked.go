package reconcile

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
)

// BoardIssue is an issue to which something happened, as a webhook tells it.
type BoardIssue struct {
	Repository string
	Number     int
	Author     string // "belay[bot]"
	Body       string // as it is now
}

// BoardEdit is what a webhook tells of an edit of an issue's body.
type BoardEdit struct {
	BoardIssue
	Login  string // who edited it
	Bot    bool   // which is no person
	Before string // the body
}

// BoardEdited heeds the boxes that a person ticked on the dashboard issue, and
// has its text written anew. Edits of bots, belay's own among them, ask for
// nothing; nor do those of other issues.
func (r *Reconciler) BoardEdited(ctx context.Context, e BoardEdit) error {
	mine, err := r.isBoard(ctx, e.BoardIssue)
	if err != nil || !mine || e.Bot || e.Login == "" {
		return err
	}
	for _, box := range report.Ticked(e.Before, e.Body) {
		if err := r.ticked(ctx, e, box); err != nil {
			return err
		}
	}
	return r.BoardTouched(ctx, e.BoardIssue)
}

func (r *Reconciler) ticked(ctx context.Context, e BoardEdit, box report.Box) error {
	if box.Upgrade == "" {
		return r.tickedAll(ctx, e, box)
	}
	u, err := r.opts.Store.Upgrade(ctx, box.Upgrade)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !strings.EqualFold(u.Repository, e.Repository) { // a box that somebody made up
		r.opts.Log.Warn("a box of another repository's upgrade was ticked", "repo", e.Repository, "upgrade", box.Upgrade, "who", e.Login)
		return nil
	}
	err = r.Ask(ctx, u.ID, Asked{Login: e.Login, Command: box.Command(), Head: box.Head, From: "dashboard issue"})
	if errors.Is(err, ErrTooMany) { // the other boxes count all the same
		a := answer{Login: e.Login, Command: strings.TrimPrefix(box.Command(), "/upgrade ") + " of " + u.Service, Text: ErrTooMany.Error()}
		return r.putFact(ctx, boxAnswerName(e.Repository), boxAnswer{ID: rand.Text(), Answer: a})
	}
	return err
}

// tickedAll heeds a box that concerns the whole repository.
func (r *Reconciler) tickedAll(ctx context.Context, e BoardEdit, box report.Box) error {
	repo, err := r.opts.GitHub.Repository(ctx, e.Repository)
	if err != nil {
		return err
	}
	a, err := r.commandAll(ctx, repo, e.Login, command.Command{Verb: box.Verb, Written: string(box.Verb)})
	if err != nil {
		return err
	}
	return r.putFact(ctx, boxAnswerName(e.Repository), boxAnswer{ID: rand.Text(), Answer: a})
}

// boxAnswer is the answer to a box of the whole repository, on its way to the
// dashboard: the record itself is written by one at a time.
type boxAnswer struct {
	ID     string `json:"id"`
	Answer answer `json:"answer"`
}

func boxAnswerName(repository string) string {
	return "answer on dashboard " + strings.ToLower(repository)
}

func (r *Reconciler) takeBoxAnswer(ctx context.Context, repository string, rec *boardRecord) error {
	var a boxAnswer
	if err := r.fact(ctx, boxAnswerName(repository), &a); err != nil || a.ID == rec.Told {
		return err
	}
	rec.answer(a.Answer)
	rec.Told = a.ID
	return nil
}

// BoardTouched has the dashboard issue looked at: somebody commented on it,
// edited, closed, opened or deleted it. Other issues are none of belay's.
func (r *Reconciler) BoardTouched(ctx context.Context, issue BoardIssue) error {
	mine, err := r.isBoard(ctx, issue)
	if err != nil || !mine {
		return err
	}
	if err := r.opts.Store.Put(ctx, touchedName(issue.Repository), rand.Text()); err != nil {
		return err
	}
	return r.showBoard(ctx, issue.Repository, true)
}

// BoardMoved has a dashboard that is there follow the default branch, on which
// the configuration stands.
func (r *Reconciler) BoardMoved(ctx context.Context, repository string) error {
	var rec boardRecord
	if err := r.fact(ctx, boardName(repository), &rec); err != nil || rec.Number == 0 {
		return err
	}
	return r.showBoard(ctx, repository, false)
}

// isBoard reports whether an issue is the repository's dashboard. Before the
// record of a new one is written, or when it was lost, its mark tells.
func (r *Reconciler) isBoard(ctx context.Context, issue BoardIssue) (bool, error) {
	var rec boardRecord
	if err := r.fact(ctx, boardName(issue.Repository), &rec); err != nil || rec.Number != 0 {
		return err == nil && rec.Number == issue.Number, err
	}
	slug, err := r.opts.GitHub.Slug(ctx)
	return err == nil && issue.Author == slug+"[bot]" && report.IsBoard(issue.Body), err
}

// showBoard has a repository's dashboard brought up to date.
func (r *Reconciler) showBoard(ctx context.Context, repository string, now bool) error {
	if r.opts.Board == nil {
		return nil
	}
	return r.opts.Board(ctx, repository, now)
}

// heedBoard does what was asked for in comments on the dashboard issue since
// the last look.
func (r *Reconciler) heedBoard(ctx context.Context, repo *github.Repository, rec *boardRecord, issue github.Issue) error {
	for _, c := range issue.Comments {
		if c.ID <= rec.Seen {
			continue
		}
		commands := command.Parse(c.Body)
		if c.Bot || c.Edited || c.Login == "" || len(commands) == 0 {
			rec.Seen = c.ID
			continue
		}
		if err := repo.React(ctx, c.ID, "eyes"); err != nil {
			return err
		}
		reaction := "rocket"
		for _, cmd := range commands {
			a, err := r.commandAll(ctx, repo, c.Login, cmd)
			if err != nil {
				return err
			}
			if !a.OK {
				reaction = "confused"
			}
			rec.answer(a)
		}
		if err := repo.React(ctx, c.ID, reaction); err != nil {
			return err
		}
		rec.Seen = c.ID
		if err := r.putFact(ctx, boardName(repo.Name), *rec); err != nil { // it is not heeded twice
			return err
		}
	}
	return nil
}

// answer keeps the newest answers for the dashboard.
func (rec *boardRecord) answer(a answer) {
	rec.Answers = append(rec.Answers, a)
	if len(rec.Answers) > boardSaid {
		rec.Answers = rec.Answers[len(rec.Answers)-boardSaid:]
	}
}

// commandAll carries out a command for a whole repository.
func (r *Reconciler) commandAll(ctx context.Context, repo *github.Repository, login string, cmd command.Command) (answer, error) {
	a := answer{Login: login, Command: strings.TrimSpace(cmd.Written + " " + cmd.Args)}
	may, err := r.mayWrite(ctx, &job{u: store.Upgrade{Repository: repo.Name}, repo: repo}, login)
	switch {
	case err != nil:
		return a, err
	case !may:
		a.Text = "commands are for people with write permission in this repository"
		return a, nil
	}
	switch cmd.Verb {
	case command.Hold:
		a.OK, a.Text = true, "everything is held until `/upgrade resume`"
		return a, r.Freeze(ctx, repo.Name, login, cmd.Args)
	case command.Resume:
		was, err := r.Thaw(ctx, repo.Name, login)
		if a.OK, a.Text = was, "goes on"; !was {
			a.Text = "nothing was held"
		}
		return a, err
	case command.Status:
		a.OK, a.Text = true, "this issue shows it"
		return a, nil
	default:
		a.Text = boardCommands
		return a, nil
	}
}
