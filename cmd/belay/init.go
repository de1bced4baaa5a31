package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/git"
	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/starter"
)

type initFlags struct {
	dir, rev string
	write    bool
}

func newInit() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a first belay.yml from what a repository shows",
		Long: `Init reads a repository and prints a first ` + configPath + `: where services are,
what belay does not follow, databases and backups guessed from the Terraform,
and which of CI's checks applies a merge. Only what is certain is set; a guess
is commented out, with the place that led to it.`,
		Example: `  belay init
  belay init --write
  belay init --repo ~/home-ops | belay config check -`,
		Args: program.NoArgs,
		RunE: f.run,
	}
	c.Flags().StringVar(&f.dir, "repo", ".", "`directory` of the repository, bare or not")
	c.Flags().StringVar(&f.rev, "rev", "", "read this `revision` instead of the files on disk")
	c.Flags().BoolVar(&f.write, "write", false, "write it to "+configPath+"; a file that is there is never overwritten")
	_ = c.MarkFlagDirname("repo")
	return c
}

func (f *initFlags) run(c *cobra.Command, _ []string) error {
	if f.write && f.rev != "" {
		return program.Usage(errors.New("--write goes with the files on disk: leave out --rev"))
	}
	ctx := c.Context()
	tree, err := planner.Tree(f.dir, f.rev)
	if errors.Is(err, git.ErrNotRepository) || errors.Is(err, git.ErrUnknownRevision) {
		return program.Usage(err)
	}
	if err != nil {
		return err
	}
	done := newProgress(c.ErrOrStderr()).stage("reading " + f.dir)
	found, err := survey(ctx, tree)
	if err == nil {
		found.Owner = git.Owner(f.dir)
		err = taken(ctx, f.dir, f.rev, &found)
	}
	done()
	if err != nil {
		return err
	}
	config := starter.Configuration(found.Found)
	if _, err := policy.Parse(configPath, config); err != nil {
		return fmt.Errorf("what was found does not make a right configuration; please report this: %w", err)
	}
	if !f.write {
		_, err := c.OutOrStdout().Write(config)
		return err
	}
	return writeNew(c, filepath.Join(f.dir, filepath.FromSlash(configPath)), config)
}

// writeNew writes a file that is not there yet.
func writeNew(c *cobra.Command, name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a file of the repository, for everybody who works in it
	if errors.Is(err, fs.ErrExist) {
		return program.Usage(fmt.Errorf("%s is there already and is not overwritten: leave out --write to see what it would be", name))
	}
	if err != nil {
		return err
	}
	if _, err := out.Write(data); err != nil {
		_ = out.Close()
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s is written: look through it, then commit it\n", name)
	return out.Close()
}

// surveyed is what was found, with the directory of every service.
type surveyed struct {
	starter.Found
	dirs map[string]string // service → directory
}

// survey reads a tree.
func survey(ctx context.Context, tree terraform.Tree) (surveyed, error) {
	var out surveyed
	inv, err := terraform.Scan(ctx, tree, terraform.Options{})
	if err != nil {
		return out, err
	}
	if roots := parents(inv); len(roots) > 0 {
		narrow, err := terraform.Scan(ctx, tree, terraform.Options{Roots: roots})
		if err != nil {
			return out, err
		}
		// Certain is what changes nothing.
		if reflect.DeepEqual(places(inv), places(narrow)) {
			out.Roots = roots
		}
	}
	out.count(inv)
	out.services(inv)
	files, err := tree.Files(ctx)
	if err != nil {
		return out, err
	}
	for _, f := range files {
		if f.Link != "" || !starter.IsPipeline(f.Path) {
			continue
		}
		if src, err := tree.ReadFile(f.Path); err == nil {
			out.Pipelines = append(out.Pipelines, starter.Pipelines(f.Path, src)...)
		}
	}
	return out, nil
}

// parents are globs of the directories that hold the services, none when a
// service stands alone or at the top.
func parents(inv *terraform.Inventory) []string {
	n := map[string]int{}
	for _, s := range inv.Services {
		n[path.Dir(s.Directory)]++
	}
	var out []string
	for dir, count := range n {
		if dir == "." || count < 2 {
			return nil
		}
		out = append(out, dir+"/*")
	}
	slices.Sort(out)
	return out
}

// places are the pins of an inventory with the service they belong to.
func places(inv *terraform.Inventory) []string {
	var out []string
	for _, p := range inv.Pins {
		at := located(p)
		out = append(out, fmt.Sprintf("%s %s:%d %s %s", p.Service, at.Path, at.Line, p.Version, p.Reason))
	}
	for _, s := range inv.Services {
		out = append(out, s.Name+" "+s.Directory)
	}
	slices.Sort(out)
	return out
}

func (out *surveyed) count(inv *terraform.Inventory) {
	out.Pins = len(inv.Pins)
	reasons := map[string]int{}
	for _, p := range inv.Pins {
		why := whyNot(p, policy.Default())
		if why == "" {
			out.Followed++
			continue
		}
		why, _, _ = strings.Cut(why, ":")
		reasons[why]++
	}
	for why, n := range reasons {
		out.Unfollowed = append(out.Unfollowed, starter.Count{Reason: why, N: n})
	}
	slices.SortFunc(out.Unfollowed, func(a, b starter.Count) int {
		if a.N != b.N {
			return b.N - a.N
		}
		return strings.Compare(a.Reason, b.Reason)
	})
}

func (out *surveyed) services(inv *terraform.Inventory) {
	out.dirs = map[string]string{}
	kept := inv.Keeps()
	at := func(l pin.Location) string { return fmt.Sprintf("%s:%d", l.Path, l.Line) }
	for _, s := range inv.Services {
		one := starter.Service{Name: s.Name, URLs: inv.Where(s.Name).URLs}
		out.dirs[s.Name] = s.Directory
		for _, p := range inv.Pins {
			if p.Service != s.Name || p.Image.Repository == "" {
				if p.Service == s.Name && p.Chart.Name != "" && !slices.Contains(one.Images, p.Chart.Name) {
					one.Images = append(one.Images, p.Chart.Name)
				}
				continue
			}
			if name := p.Image.Familiar(); !slices.Contains(one.Images, name) {
				one.Images = append(one.Images, name)
			}
			if name := p.Image.Familiar(); !slices.Contains(out.Images, name) {
				out.Images = append(out.Images, name)
			}
		}
		if k := kept[s.Name]; k != nil {
			for _, v := range k.Settings {
				one.Settings = append(one.Settings, starter.Setting{Name: v.Name, Value: v.Value, At: at(v.At)})
			}
			for _, v := range k.Claims {
				one.Claims = append(one.Claims, starter.Claim{Namespace: v.Namespace, Name: v.Name, Path: v.Path, At: at(v.At)})
			}
			for _, v := range k.CronJobs {
				one.CronJobs = append(one.CronJobs, starter.CronJob{Namespace: v.Namespace, Name: v.Name, Text: v.Text, At: at(v.At)})
			}
		}
		out.Services = append(out.Services, one)
	}
}

// taken adds the commits that took something back, from the repository's history.
func taken(ctx context.Context, dir, rev string, out *surveyed) error {
	reverts, err := git.Reverts(ctx, dir, rev)
	if err != nil {
		return err
	}
	for i := range out.Services {
		s := &out.Services[i]
		prefix := out.dirs[s.Name] + "/"
		for _, c := range reverts {
			subject, _, _ := strings.Cut(c.Message, "\n")
			if prefix != "./" && slices.ContainsFunc(c.Files, func(f string) bool { return strings.HasPrefix(f, prefix) }) {
				s.Reverts = append(s.Reverts, fmt.Sprintf("%s (%s)", subject, c.SHA[:8]))
			}
		}
	}
	return nil
}
