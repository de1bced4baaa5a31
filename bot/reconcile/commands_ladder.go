package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/version"
)

// commandStep carries out /upgrade step on an upgrade that is not over: it
// agrees to this step, or to all of them, or chooses which versions are steps
// from here on.
func (j *job) commandStep(by *said, args string) (string, bool) {
	l, merged := j.rec.Ladder, lifecycle.State(j.u.State).Merged()
	if l.Top() == "" {
		l = nil // it was asked to become one, and has not been drawn yet
	}
	switch args = strings.ToLower(args); {
	case args == "" && merged:
		return "this step is merged; " + j.following(), true
	case args == "" && j.pull == nil:
		return "there is no pull request yet", false
	case args == "":
		j.rec.Approved = by
		return fmt.Sprintf("approved %s: it goes to %s", short(by.Head), j.u.To), true
	case args == "all" && l == nil && (merged || j.pull == nil):
		return "it goes there in one step", false
	case args == "all" && l == nil:
		j.rec.Approved = by
		return fmt.Sprintf("approved %s: it goes to %s in one step", short(by.Head), j.u.To), true
	case args == "all":
		j.climbs(func(l *ladder.Ladder) { l.All = &ladder.Agreed{Login: by.Login, To: l.Top(), At: by.At} })
		return fmt.Sprintf("agreed to every step up to %s; the first one that fails, or that nobody can see, stops it", l.Top()), true
	case l == nil && merged:
		return "it goes there in one step, and is merged already", false
	}
	j.climbs(func(l *ladder.Ladder) { l.Rule, l.Chosen, l.Anew = version.Steps(args), true, true })
	if !merged {
		j.rec.Redo = true
	}
	return ruleSays[version.Steps(args)] + ", from here on", true
}

// ruleSays says what is a step.
var ruleSays = map[version.Steps]string{
	version.StepsEvery: "every release is a step", version.StepsMinor: "the last patch of every minor is a step",
	version.StepsMajor: "the last release of every major is a step", version.StepsDirect: "it goes in one step",
}

// climbs changes the ladder in the record.
func (j *job) climbs(f func(*ladder.Ladder)) {
	l := ladder.Ladder{}
	if j.rec.Ladder != nil {
		l = *j.rec.Ladder
	}
	f(&l)
	j.rec.Ladder = &l
}

// following says what comes after this step.
func (j *job) following() string {
	if ahead := j.rec.Ladder.Ahead(); len(ahead) > 0 {
		return "the next, to " + ahead[0] + ", begins when it is verified"
	}
	return "there is none after it"
}

// commandTo gives an upgrade another end: a version on the way, or a newer one
// that is known. The way to it stays one of steps.
func (r *Reconciler) commandTo(ctx context.Context, j *job, tag string) (string, bool, error) {
	if !lifecycle.State(j.u.State).Merged() {
		if why, err := r.keptOff(ctx, j.pull, j.rec.Head); err != nil || why != "" {
			return why, false, err
		}
	}
	t := j.rec.Target
	if t.Tag != tag {
		t.Tag, t.Digest = tag, ""
	}
	end, why := r.known(ctx, j, t)
	if end == "" {
		return why, false, ctx.Err()
	}
	if !lifecycle.State(j.u.State).Merged() {
		j.rec.Newer = &t
		j.reclimbs(func(l *ladder.Ladder) { l.Anew = true })
		return "goes to " + tag + ", where that is newer than what is pinned", true, nil
	}
	if j.rec.Ladder == nil {
		return fmt.Sprintf("it is merged already and %s: `/upgrade rollback` undoes it", j.u.State), false, nil
	}
	if !version.Newer(end, j.u.To) && end != j.u.To {
		return fmt.Sprintf("%s is merged already, and %s is older", j.u.To, end), false, nil
	}
	j.rec.Target, j.rec.Ladder = t, j.rec.Ladder.Retop(end)
	if end == j.u.To {
		return "the ladder ends here, at " + end, true, nil
	}
	return "the ladder ends at " + end, true, nil
}

// reclimbs is climbs where there is a ladder.
func (j *job) reclimbs(f func(*ladder.Ladder)) {
	if j.rec.Ladder != nil {
		j.climbs(f)
	}
}

// known is the version as it would be pinned, "" with the reason where it cannot
// be gone to: it has to be on the way, or have release notes, or an image.
func (r *Reconciler) known(ctx context.Context, j *job, t target) (end, why string) {
	if l := j.rec.Ladder; l != nil && t.Chart == "" {
		for _, v := range append([]string{l.To()}, l.Ahead()...) {
			if v == t.Tag {
				return v, ""
			}
		}
	}
	d, err := t.dispatch()
	if err != nil {
		return "", err.Error()
	}
	result, err := j.view.planner.Plan(ctx, j.view.inventory, d)
	if err = planner.About(err, j.u.Service); err != nil {
		return "", fmt.Sprintf("%s could not be looked at now: %v; say it again later", t.Tag, err)
	}
	for _, u := range result.Upgrades {
		if !j.moves(u) {
			continue
		}
		if u.Chart == "" && !released(u, t.Tag) {
			if why := r.noImage(ctx, j, d.Image, t.Tag); why != "" {
				return "", why
			}
		}
		return u.To, ""
	}
	return "", firstOf(result.Why(j.u.Service), "nothing in the service's files would move")
}

// released reports whether the notes that were read have a release of a version.
func released(u plan.Upgrade, tag string) bool {
	want, err := version.Parse(tag)
	for _, r := range u.Releases {
		// The project may write v2.0.0 for what its image calls 2.0.0-alpine.
		if has, bad := version.Parse(r.Tag); r.Tag == tag || err == nil && bad == nil && version.CompareReleases(has, want) == 0 {
			return true
		}
	}
	return false
}

// noImage asks the registry for a version that has no release notes, and says
// why it cannot be gone to.
func (r *Reconciler) noImage(ctx context.Context, j *job, ref image.Ref, tag string) string {
	up, err := r.opts.Upstream(j.policy)
	if err == nil {
		_, err = up.Digest(ctx, ref, tag)
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, upstream.ErrNotFound):
		return fmt.Sprintf("no release %s is known, and the registry has no image of it", tag)
	}
	return fmt.Sprintf("no release %s is known, and the registry could not be asked for it: %v", tag, err)
}

// commandLadderAfter carries out what is said about the ladder on a step that is
// over: it is handed to the step after it, which is begun where a person has to
// say so.
func (r *Reconciler) commandLadderAfter(ctx context.Context, j *job, by *said, cmd command.Command) (string, bool, error) {
	l, state := j.rec.Ladder, lifecycle.State(j.u.State)
	args := strings.ToLower(cmd.Args)
	if l == nil {
		return "this upgrade is over: it is " + j.u.State, false, nil
	}
	if l.Next != "" {
		return r.handOn(ctx, j, by, cmd)
	}
	f := l.After(state, true)
	switch {
	case cmd.Verb == command.To:
		return "say `/upgrade step` first: " + firstOf(l.Stopped, "the ladder has ended"), false, nil
	case f.Stop != "":
		return f.Stop, false, nil
	case !f.Go:
		return "there is no step after this one", false, nil
	}
	j.climbs(func(l *ladder.Ladder) {
		switch args {
		case "":
		case "all":
			l.All = &ladder.Agreed{Login: by.Login, To: l.Top(), At: by.At}
		default:
			l.Rule, l.Chosen, l.Anew = version.Steps(args), true, true
		}
	})
	if err := r.followUp(j, true); err != nil {
		return "", false, err
	}
	return fmt.Sprintf("goes on with step %d of %d", l.Place+1, len(l.Rungs)), true, nil
}

// handOn gives what is said on a step that is over to the one after it.
func (r *Reconciler) handOn(ctx context.Context, j *job, by *said, cmd command.Command) (string, bool, error) {
	next, err := r.opts.Store.Upgrade(ctx, j.rec.Ladder.Next)
	if err != nil {
		return "", false, err
	}
	where := fmt.Sprintf("step %d, to %s", next.Place, next.To)
	if next.Pull != 0 {
		where += fmt.Sprintf(", is #%d", next.Pull)
	}
	switch {
	case next.Final:
		return fmt.Sprintf("%s and is %s: say it there", where, next.State), false, nil
	case cmd.Verb == command.Step && cmd.Args == "":
		return where + ": approve it there", false, nil
	}
	err = r.Ask(ctx, next.ID, Asked{Login: by.Login, Command: "/upgrade " + string(cmd.Verb) + " " + cmd.Args, From: fmt.Sprintf("#%d", j.u.Pull), At: by.At})
	if errors.Is(err, ErrTooMany) {
		return where + ": " + ErrTooMany.Error(), false, nil
	}
	return "handed on: " + where, err == nil, err
}
