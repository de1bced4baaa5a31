package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/policy"
)

// viewNow is a repository's default branch as it is now, for what concerns no
// upgrade yet.
func (r *Reconciler) viewNow(ctx context.Context, name string) (*job, *view, error) {
	j := &job{u: store.Upgrade{Repository: name}, home: r.home(name)}
	var err error
	if j.repo, err = r.opts.GitHub.Repository(ctx, name); err != nil {
		return nil, nil, err
	}
	branch, err := r.branchOf(ctx, j)
	if err != nil {
		return nil, nil, err
	}
	v, err := r.today(ctx, j, branch)
	return j, v, err
}

// today is the default branch as it is now: fetched, read and parsed once per commit.
func (r *Reconciler) today(ctx context.Context, j *job, branch string) (*view, error) {
	m, err := r.mirrorOf(j)
	if err != nil {
		return nil, err
	}
	if err := m.Fetch(ctx); err != nil {
		return nil, err
	}
	sha, err := m.Resolve(branch)
	if err != nil {
		return nil, err
	}
	return r.at(ctx, j, sha)
}

// at is the default branch at a commit that has been fetched.
func (r *Reconciler) at(ctx context.Context, j *job, sha string) (*view, error) {
	j.home.mu.Lock()
	defer j.home.mu.Unlock()
	if v := j.home.view; v != nil && v.sha == sha {
		return v, nil
	}
	tree, err := j.home.mirror.Tree(sha)
	if err != nil {
		return nil, err
	}
	p := policy.Default()
	data, err := tree.ReadFile(ConfigPath)
	switch {
	case err == nil:
		p, err = policy.Parse(ConfigPath, data)
		r.opts.Meter.Configured(j.u.Repository, err == nil)
		if err != nil {
			r.noteConfig(ctx, j, sha, policy.Default(), nil, err)
			return nil, fmt.Errorf("the configuration on the default branch is wrong, so nothing is done until it is mended: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		r.opts.Meter.Configured(j.u.Repository, true)
	}
	inv, err := terraform.Scan(ctx, planner.Lend(tree), terraform.Options{Roots: p.Services.Roots, Repository: path.Base(j.u.Repository)})
	if err != nil {
		r.noteConfig(ctx, j, sha, p, nil, nil)
		return nil, err
	}
	v := &view{sha: sha, policy: p, inventory: inv, strays: planner.Strays(inv, p)}
	r.noteConfig(ctx, j, sha, p, v.strays, nil)
	if old := j.home.view; old == nil || !slices.Equal(old.strays, v.strays) {
		for _, s := range v.strays {
			r.opts.Log.Warn("the configuration has no effect in a place", "repo", j.u.Repository, "commit", short(sha), "what", s)
		}
	}
	up, err := r.opts.Upstream(p)
	if err != nil {
		return nil, err
	}
	v.planner = &planner.Planner{Policy: p, Upstream: up, Adviser: r.opts.Adviser}
	j.home.view = v
	return v, nil
}

// branchOf is the name of the default branch. A pull request's answer has it;
// otherwise it is asked for from time to time.
func (r *Reconciler) branchOf(ctx context.Context, j *job) (string, error) {
	if j.pull != nil && j.pull.BaseName != "" {
		return j.pull.BaseName, nil
	}
	j.home.mu.Lock()
	known, named := j.home.branch, j.home.named
	j.home.mu.Unlock()
	if known != "" && r.opts.Now().Sub(named) < rulesFor {
		return known, nil
	}
	name, err := j.repo.DefaultBranch(ctx)
	if err != nil {
		return "", err
	}
	j.home.mu.Lock()
	defer j.home.mu.Unlock()
	j.home.branch, j.home.named = name, r.opts.Now()
	return name, nil
}
