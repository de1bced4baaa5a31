package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

// obey reads the comments that were written since the last look and does what
// people ask for. Commands are part of what is observed, so a lost webhook
// loses none.
// pull is the upgrade's pull request or the revert's, nil when there is none;
// seen is the last comment of it that was read.
func (r *Reconciler) obey(ctx context.Context, j *job, pull *github.Pull, seen *int64) error {
	if pull == nil {
		return nil
	}
	for _, c := range pull.Comments {
		if c.ID <= *seen {
			continue
		}
		commands := command.Parse(c.Body)
		old := !c.At.After(j.rec.Lost)
		if c.Bot || c.Edited || c.Login == "" || len(commands) == 0 || old {
			*seen = c.ID
			continue
		}
		if err := r.obeyComment(ctx, j, pull, c, commands); err != nil {
			return err
		}
		*seen = c.ID
		if err := r.save(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) obeyComment(ctx context.Context, j *job, pull *github.Pull, c github.Comment, commands []command.Command) error {
	if err := j.repo.React(ctx, c.ID, "eyes"); err != nil {
		return err
	}
	may, err := r.mayWrite(ctx, j, c.Login)
	if err != nil {
		return err
	}
	all := true
	if !may {
		all = false
		refusal := answer{Login: c.Login, Command: "upgrade", Text: "commands are for people with write permission in this repository"}
		for _, old := range j.rec.Answers {
			if old == refusal {
				refusal.Text = ""
			}
		}
		if refusal.Text != "" { // once per person
			j.rec.answer(refusal)
		}
	} else {
		for _, cmd := range commands {
			text, ok, err := r.command(ctx, j, &said{Login: c.Login, Reason: cmd.Args, Head: pull.Head, At: c.At}, cmd)
			if err != nil {
				return err
			}
			all = all && ok
			j.rec.answer(answer{Login: c.Login, Command: strings.TrimSpace(cmd.Written + " " + cmd.Args), Text: text, OK: ok})
			if ok {
				j.event(c.Login, "command", strings.TrimSpace(cmd.Written+" "+cmd.Args), map[string]string{"comment": fmt.Sprint(c.ID)})
			}
		}
	}
	reaction := "rocket"
	if !all {
		reaction = "confused"
	}
	return j.repo.React(ctx, c.ID, reaction)
}

// lasting are the commands that are taken up again after the record was rebuilt
// from a marker. Others were meant for a head, or for a moment, that is gone: an
// approval, a rollback, a restore.
var lasting = []command.Verb{command.Help, command.Status, command.Hold, command.Resume}

// command carries out one command and returns the answer, and whether it could
// be done.
func (r *Reconciler) command(ctx context.Context, j *job, by *said, cmd command.Command) (string, bool, error) {
	if cmd.Verb == "" {
		if cmd.Nearest != "" {
			return fmt.Sprintf("there is no such command; did you mean `/upgrade %s`?", cmd.Nearest), false, nil
		}
		return "there is no such command; `/upgrade help` lists them", false, nil
	}
	if cmd.Problem != "" {
		return cmd.Problem, false, nil
	}
	if j.rec.Recovering && !slices.Contains(lasting, cmd.Verb) {
		return "belay's record was lost since then: say it again, for things as they are now", false, nil
	}
	if j.u.Final {
		return r.commandAfter(ctx, j, by, cmd)
	}
	if lifecycle.State(j.u.State).Merged() {
		return r.commandMerged(ctx, j, by, cmd)
	}
	switch cmd.Verb {
	case command.Help:
		return report.Help(), true, nil
	case command.Status:
		return j.status().Headline(), true, nil
	case command.Approve:
		j.rec.Approved = by
		return "approved " + short(by.Head), true, nil
	case command.Hold:
		j.rec.Held = by
		return "held until `/upgrade resume`", true, nil
	case command.Resume:
		if j.rec.Held == nil {
			return "nothing was held", true, nil
		}
		j.rec.Held = nil
		return "goes on", true, nil
	case command.Retry:
		j.rec.Retry = true
		return "tries again", true, nil
	case command.Plan, command.Rebase:
		if why, err := r.keptOff(ctx, j.pull, j.rec.Head); err != nil || why != "" {
			return why, false, err
		}
		j.rec.Redo = true
		return "planned again on today's default branch", true, nil
	case command.To:
		return r.commandTo(ctx, j, cmd.Args)
	case command.Ignore:
		return r.commandIgnore(ctx, j, by, cmd.Args)
	case command.Backup:
		b, _, ok := j.backup()
		switch {
		case !ok || b.Kind == policy.BackupNone:
			return "no backup is configured for " + j.u.Service + " (`databases` in belay.yml)", false, nil
		case r.opts.Backups == nil:
			return "belay has no access to a cluster in which it could take the backup", false, nil
		case lifecycle.State(j.u.State) == lifecycle.BackingUp:
			return "it runs already", true, nil
		}
		if err := r.startBackup(ctx, j); err != nil {
			return "", false, err
		}
		return "the backup runs: the check belay/backup shows how it ends. It stands in for the one before the merge if nothing but that was missing when it began", true, nil
	case command.Step:
		if args := strings.ToLower(cmd.Args); args != "" && args != "all" { // that builds it again
			if why, err := r.keptOff(ctx, j.pull, j.rec.Head); err != nil || why != "" {
				return why, false, err
			}
		}
		text, ok := j.commandStep(by, cmd.Args)
		return text, ok, nil
	case command.Rollback, command.Restore, command.Fix:
		return "nothing is merged yet that could be undone: close the pull request instead", false, nil
	}
	return "", false, fmt.Errorf("no effect is known for %q", cmd.Verb)
}

// commandIgnore closes the pull request and leaves out its version, and a kind
// of bump where one is named.
func (r *Reconciler) commandIgnore(ctx context.Context, j *job, by *said, what string) (string, bool, error) {
	kind := slices.Contains(command.Ignorable(), what)
	if what != "" && !kind && !sameVersion(what, j.u.To) {
		return fmt.Sprintf("this pull request goes to %s, not to %s: `/upgrade ignore` closes it and leaves %s out", j.u.To, what, j.u.To), false, nil
	}
	why, text := "/upgrade ignore by "+by.Login, fmt.Sprintf("closed, and %s is left out from now on", j.u.To)
	if err := r.block(ctx, j, why); err != nil {
		return "", false, err
	}
	if kind {
		if err := r.opts.Store.AddBlock(ctx, store.Block{Repository: j.u.Repository, Service: j.u.Service, Image: j.u.Lane, Target: what, Why: why, At: r.opts.Now()}); err != nil {
			return "", false, err
		}
		text = fmt.Sprintf("closed; %s and every other %s upgrade of %s are left out from now on", j.u.To, what, j.u.Service)
	}
	if err := j.repo.ClosePull(ctx, j.u.Pull); err != nil {
		return "", false, err
	}
	j.pull.State = "CLOSED"
	return text, true, nil
}

// sameVersion reports whether two tags are of one version: "v2.0.0" and "2.0.0".
func sameVersion(a, b string) bool {
	x, bad := version.Parse(a)
	y, wrong := version.Parse(b)
	return a == b || bad == nil && wrong == nil && version.CompareReleases(x, y) == 0
}

func short(sha string) string {
	if len(sha) > 7 {
		return sha[:7]
	}
	return sha
}
