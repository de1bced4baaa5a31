package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// UnknownRepositoryError means that a name is none of the repositories on
// which the App is installed.
type UnknownRepositoryError struct {
	Name      string
	Installed []string
}

// Error lists those that there are.
func (e *UnknownRepositoryError) Error() string {
	if len(e.Installed) == 0 {
		return fmt.Sprintf("%q: the App is installed on no repository", e.Name)
	}
	return fmt.Sprintf("%q is no repository on which the App is installed: there are %s", e.Name, strings.Join(e.Installed, ", "))
}

// Freeze stops all opening and merging in a repository, in every one when
// repository is "", until Thaw. Reverts and watches go on. who is a login or
// another name for a person, reason may be "". Freezing again replaces who and
// why. It returns *UnknownRepositoryError for a repository that belay does not serve.
func (r *Reconciler) Freeze(ctx context.Context, repository, who, reason string) error {
	repository, err := r.served(ctx, repository)
	if err != nil {
		return err
	}
	if err := r.opts.Store.Freeze(ctx, store.Freeze{Repository: repository, Who: who, Reason: reason, At: r.opts.Now()}); err != nil {
		return err
	}
	r.opts.Log.Info("frozen", "repo", repository, "who", who, "why", reason)
	return r.wakeRepository(ctx, repository)
}

// Thaw ends a freeze, and reports whether there was one. That of every
// repository is ended by repository "" alone.
func (r *Reconciler) Thaw(ctx context.Context, repository, who string) (bool, error) {
	repository, err := r.served(ctx, repository)
	if err != nil {
		return false, err
	}
	was, err := r.opts.Store.Thaw(ctx, repository, who)
	if err != nil || !was {
		return was, err
	}
	r.opts.Log.Info("thawed", "repo", repository, "who", who)
	return true, r.wakeRepository(ctx, repository)
}

// served is a repository's name as GitHub spells it. Where GitHub cannot be
// asked, the name is taken as it is: that is no time to refuse a freeze.
func (r *Reconciler) served(ctx context.Context, repository string) (string, error) {
	if repository == "" {
		return "", nil
	}
	names, err := r.opts.GitHub.Installed(ctx)
	if err != nil {
		r.opts.Log.Warn("GitHub does not say which repositories there are", "repo", repository, "why", err)
		return repository, nil
	}
	i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, repository) })
	if i < 0 {
		return "", &UnknownRepositoryError{Name: repository, Installed: names}
	}
	return names[i], nil
}

// wakeRepository has the open upgrades of a repository looked at, of all when
// it is "", and what the dashboard says of it shown.
func (r *Reconciler) wakeRepository(ctx context.Context, repository string) error {
	open, err := r.opts.Store.OpenUpgrades(ctx, repository)
	if err != nil {
		return err
	}
	boards := map[string]bool{repository: true}
	for _, u := range open {
		boards[u.Repository] = true
		if err := r.opts.Wake(ctx, u.ID); err != nil {
			return err
		}
	}
	delete(boards, "")
	for _, name := range slices.Sorted(maps.Keys(boards)) {
		if err := r.showBoard(ctx, name, true); err != nil {
			return err
		}
	}
	if repository == "" {
		return r.Boards(ctx)
	}
	return r.showBoard(ctx, repository, true)
}

// freezeOf is the freeze that a repository is under, nil when there is none.
func (r *Reconciler) freezeOf(ctx context.Context, repository string) (*store.Freeze, error) {
	f, err := r.opts.Store.FreezeOf(ctx, repository)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &f, nil
}

// observeFreeze says whether the repository is frozen, and by whom.
func (r *Reconciler) observeFreeze(ctx context.Context, j *job, o *lifecycle.Observed) error {
	f, err := r.freezeOf(ctx, j.u.Repository)
	if err != nil || f == nil {
		return err
	}
	o.Frozen, o.FrozenBy = true, "by "+f.Who
	if f.Reason != "" {
		o.FrozenBy += ", " + f.Reason
	}
	return nil
}
