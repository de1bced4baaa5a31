package reconcile

import (
	"context"
	"fmt"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/lifecycle"
)

// others are people's commits on the branch of an upgrade. belay does not edit
// a branch that holds some. See SPEC section 9.
type others struct {
	By   string `json:"by,omitempty"`   // who wrote the first of them; "" when there are none
	Head string `json:"head,omitempty"` // the branch's head with them
}

// somebody stands for an author whom GitHub does not know.
const somebody = "somebody else"

// othersOn says whose commits are on the branch of a pull request besides
// belay's: a login, or somebody; "" when all are belay's. Commits are looked at
// where the head is not what belay pushed last: after the base was rewritten, its
// old commits count as the pull request's.
func (r *Reconciler) othersOn(ctx context.Context, p *github.Pull, pushed string) (string, error) {
	if p == nil || p.Head == pushed {
		return "", nil
	}
	slug, err := r.opts.GitHub.Slug(ctx)
	if err != nil {
		return "", err
	}
	_, email, err := r.opts.GitHub.Signature(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range p.Commits {
		if c.Email != email && (r.opts.GitHub.Person() || c.Login != slug) {
			return firstOf(c.Login, somebody), nil
		}
	}
	return "", nil
}

// noteOthers keeps whose commits are on the branch of the pull request as it was
// read, and says on it what that means.
func (r *Reconciler) noteOthers(ctx context.Context, j *job) error {
	by, err := r.othersOn(ctx, j.pull, j.rec.Head)
	if err != nil {
		return err
	}
	was := j.rec.Others
	j.rec.Others = others{}
	if by != "" {
		j.rec.Others = others{By: by, Head: j.pull.Head}
	}
	switch by {
	case was.By:
	case "":
		j.rec.Updates = append(j.rec.Updates, fmt.Sprintf("The commits by %s are off the branch: belay edits it again.", was.By))
	default:
		j.rec.Updates = append(j.rec.Updates, fmt.Sprintf("Commits by %s are on the branch since %s: belay does not edit it any more, and has not judged them. It is merged as it is once a person agrees, by an approving review or /upgrade approve; a newer version gets a pull request of its own after that.", by, short(j.pull.Head)))
	}
	return nil
}

// keptOff says why a branch is not built again where it holds somebody else's
// commits, "" where it holds none. pushed is what belay pushed there last.
func (r *Reconciler) keptOff(ctx context.Context, p *github.Pull, pushed string) (string, error) {
	by, err := r.othersOn(ctx, p, pushed)
	if err != nil || by == "" {
		return "", err
	}
	return fmt.Sprintf("commits by %s are on the branch, and belay does not overwrite them. Agree to it as it is with `/upgrade approve`, or take them off the branch and say this again", by), nil
}

// head is the commit on which the checks of an upgrade stand: what belay pushed
// last, or what people made of it.
func (rec *record) head() string { return firstOf(rec.Others.Head, rec.Head) }

// checkOthers writes belay/risk onto a head with somebody else's commits, so that
// a rule of the branch that asks for it is met. It claims no more than was judged.
func (r *Reconciler) checkOthers(ctx context.Context, j *job) error {
	if j.rec.Others.Head == "" || lifecycle.State(j.u.State).Merged() || j.u.Final {
		return nil
	}
	return r.check(ctx, j, github.CheckRun{Name: "belay/risk", Head: j.rec.Others.Head, Conclusion: "neutral", Title: "Commits by " + j.rec.Others.By + " are not judged",
		Summary: report.OthersCheck(report.OthersView{By: j.rec.Others.By, Service: j.u.Service, From: j.u.From, To: j.u.To, Risk: j.rec.Risk, Judged: j.rec.Head})})
}
