package doctor

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/belaybot/belay/bot/git"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/policy"
)

// strays holds the services that a configuration names to those that the
// repository has. It reads the default branch as belay does, into a directory
// that is gone afterwards; a configuration without names costs nothing.
func (d *doctor) strays(ctx context.Context, say *report, repo *github.Repository, branch string, p policy.Policy) {
	if len(p.Strays(policy.Found{})) == 0 {
		return
	}
	list, err := straysOf(ctx, repo, branch, p)
	if err != nil {
		say.note(fmt.Sprintf("whether %s has the services that its configuration names was not seen: %s", repo.Name, oneLine(err.Error())), "belay config check --repo DIRECTORY says it of a clone")
		return
	}
	for _, s := range list {
		say.note(fmt.Sprintf("%s on %s has no effect in a place: %s", configPath, branch, s), "correct the name in "+repo.Name)
	}
	if len(list) == 0 {
		say.ok("%s has every service that its configuration names", repo.Name)
	}
}

func straysOf(ctx context.Context, repo *github.Repository, branch string, p policy.Policy) ([]string, error) {
	dir, err := os.MkdirTemp("", "belay-doctor-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m, err := git.OpenShallow(filepath.Join(dir, "mirror.git"), git.Remote{URL: repo.URL(), Token: repo.Token})
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
	tree, err := m.Tree(sha)
	if err != nil {
		return nil, err
	}
	inv, err := terraform.Scan(ctx, planner.Lend(tree), terraform.Options{Roots: p.Services.Roots, Repository: path.Base(repo.Name)})
	if err != nil {
		return nil, err
	}
	return planner.Strays(inv, p), nil
}
