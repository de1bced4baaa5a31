package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/git"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/policy"
)

// configPath is where the configuration lives in a repository. See SPEC section 14.
const configPath = ".github/belay.yml"

// repository are the flags that say what is read.
type repository struct {
	dir, rev, config string
}

func (r *repository) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.dir, "repo", ".", "`directory` of the repository, bare or not, or of a part of it")
	c.Flags().StringVar(&r.rev, "rev", "", "read this `revision` (branch, tag or commit) instead of the files on disk")
	c.Flags().StringVar(&r.config, "config", "", "read the configuration from this `file` instead of the repository's "+configPath)
	_ = c.MarkFlagDirname("repo")
	_ = c.MarkFlagFilename("config", "yml", "yaml")
}

// open returns the tree and its policy.
func (r *repository) open() (terraform.Tree, policy.Policy, error) {
	tree, err := planner.Tree(r.dir, r.rev)
	if errors.Is(err, git.ErrNotRepository) || errors.Is(err, git.ErrUnknownRevision) {
		return nil, policy.Policy{}, program.Usage(err)
	}
	if err != nil {
		return nil, policy.Policy{}, err
	}
	name, data, err := r.readConfig(tree)
	if err != nil || data == nil {
		return tree, policy.Default(), err
	}
	p, err := policy.Parse(name, data)
	if err != nil {
		return nil, p, program.Usage(err)
	}
	return tree, p, nil
}

// readConfig returns the configuration's bytes, nil when the repository has none.
func (r *repository) readConfig(tree terraform.Tree) (string, []byte, error) {
	if r.config != "" {
		data, err := os.ReadFile(r.config)
		if err != nil {
			return "", nil, program.Usage(fmt.Errorf("--config: %w", err))
		}
		return r.config, data, nil
	}
	data, err := tree.ReadFile(configPath)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	return configPath, data, err
}

// warn says on standard error what stops nothing.
func warn(out io.Writer, list []string) {
	for _, s := range list {
		fmt.Fprintf(out, "belay: warning: %s\n", s)
	}
}

// warnOf warns of names in a configuration that nothing in the repository answers to.
func warnOf(out io.Writer, inv *terraform.Inventory, p policy.Policy) {
	for _, s := range planner.Strays(inv, p) {
		warn(out, []string{"the configuration has no effect in a place: " + s})
	}
}

// scan reads the repository's pins.
func (r *repository) scan(ctx context.Context, show *progress) (*terraform.Inventory, policy.Policy, error) {
	tree, p, err := r.open()
	if err != nil {
		return nil, p, err
	}
	defer show.stage("reading " + r.dir)()
	inv, err := terraform.Scan(ctx, tree, terraform.Options{Roots: p.Services.Roots})
	return inv, p, err
}
