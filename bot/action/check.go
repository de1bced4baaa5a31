package action

import (
	"context"
	"errors"
	"fmt"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/risk"
)

// assess judges somebody's pull request and writes the check belay/risk. It runs
// nothing of it, and reads the configuration from the default branch.
func (r *Run) assess(ctx context.Context, todo Todo) error {
	name := r.opts.Event.Repository
	found, err := r.rec.Assess(ctx, reconcile.Proposed{Repository: name, Pull: todo.Pull, Head: todo.Head})
	if err != nil {
		return fmt.Errorf("#%d: %w", todo.Pull, err)
	}
	level := found.Level()
	if level == "" {
		r.out.Nothing = fmt.Sprintf("#%d changes no version", todo.Pull)
		return nil
	}
	r.out.Assessed = &found
	repo, err := r.opts.GitHub.Repository(ctx, name)
	if err != nil {
		return err
	}
	_, err = repo.SetCheckRun(ctx, 0, github.CheckRun{Name: "belay/risk", Head: todo.Head, Key: fmt.Sprintf("pull %d", todo.Pull), Conclusion: r.conclusion(level),
		Title: report.AssessmentTitle(found.Upgrades, len(found.Unjudged), level), Summary: report.Assessment(found.Upgrades, found.Unjudged), URL: repo.PullURL(todo.Pull), At: r.opts.Now()})
	if errors.Is(err, github.ErrNoAccess) { // a fork's run may only read: the summary has it all
		r.out.Unwritten = "this run's token may not write checks, as is usual for pull requests from forks"
		return nil
	}
	return err
}

// conclusion is what the check belay/risk ends with.
func (r *Run) conclusion(level risk.Level) string {
	switch {
	case level == risk.Safe:
		return "success"
	case r.opts.Inputs.FailOn == "unknown", r.opts.Inputs.FailOn == "caution" && level == risk.Caution:
		return "failure"
	}
	return "neutral"
}
