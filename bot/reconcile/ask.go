package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
)

// Asked is a command that somebody gave elsewhere than in a comment on the pull
// request: by a box of the dashboard issue, or on the page.
type Asked struct {
	Login   string    `json:"login"`
	Command string    `json:"command"`        // as it would stand in a comment: "/upgrade approve"
	Head    string    `json:"head,omitempty"` // the commit that was on show, where that matters; an approval of another one is refused
	From    string    `json:"from"`           // for the audit trail: "dashboard issue", "page"
	At      time.Time `json:"at"`
}

// maxAsked bounds the commands that wait for a look at an upgrade.
const maxAsked = 50

// ErrTooMany means that so many commands wait for an upgrade to be looked at that
// no more are taken.
var ErrTooMany = fmt.Errorf("%d commands wait for belay to look at this upgrade: say it again when they are carried out", maxAsked)

// Ask has a command carried out as if it stood in a comment on the upgrade's
// pull request. When it has returned, the command is sure to be heeded, whatever
// dies; whether its author may give it is asked of GitHub then. ErrTooMany means
// that it was not taken.
func (r *Reconciler) Ask(ctx context.Context, id string, a Asked) error {
	if a.At.IsZero() {
		a.At = r.opts.Now()
	}
	for {
		j, err := r.load(ctx, id)
		if err != nil {
			return err
		}
		if len(j.rec.Asked) >= maxAsked {
			return errors.Join(ErrTooMany, r.opts.Wake(ctx, id))
		}
		j.rec.Asked = append(j.rec.Asked, a)
		err = r.save(ctx, j)
		var conflict *store.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return err
		}
		return r.opts.Wake(ctx, id)
	}
}

// obeyAsked does what was asked for elsewhere than in comments since the last look.
func (r *Reconciler) obeyAsked(ctx context.Context, j *job) error {
	for len(j.rec.Asked) > 0 {
		a := j.rec.Asked[0]
		if err := r.obeyOne(ctx, j, a); err != nil {
			return err
		}
		j.rec.Asked = slices.Delete(j.rec.Asked, 0, 1)
		if err := r.save(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) obeyOne(ctx context.Context, j *job, a Asked) error {
	may, err := r.mayWrite(ctx, j, a.Login)
	if err != nil {
		return err
	}
	for _, cmd := range command.Parse(a.Command) {
		out := answer{Login: a.Login, Command: strings.TrimSpace(cmd.Written + " " + cmd.Args)}
		by := &said{Login: a.Login, Reason: cmd.Args, At: a.At}
		if pull := j.shown(); pull != nil {
			by.Head = pull.Head
		}
		switch {
		case !may:
			out.Text = "commands are for people with write permission in this repository"
		case cmd.Verb == command.Approve && a.Head != "" && by.Head != a.Head:
			out.Text = "not approved: the pull request has changed since that was shown; look again"
		case j.pull == nil && !slices.Contains(early, cmd.Verb):
			out.Text = "there is no pull request yet"
		default:
			if out.Text, out.OK, err = r.command(ctx, j, by, cmd); err != nil {
				return err
			}
		}
		j.rec.LastAsked = &out
		if may && j.pull != nil {
			j.rec.answer(out)
		}
		if out.OK {
			j.event(a.Login, "command", out.Command, map[string]string{"from": a.From})
		}
	}
	return nil
}

// shown is the pull request that a person looks at: the upgrade's, or once that
// is merged, the one that undoes it. nil when there is none.
func (j *job) shown() *github.Pull {
	if lifecycle.State(j.u.State).Merged() {
		return j.undo
	}
	return j.pull
}

// early are the commands that mean something before there is a pull request.
var early = []command.Verb{command.Help, command.Status, command.Hold, command.Resume, command.To, command.Step}
