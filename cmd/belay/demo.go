package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/testdata"
)

// scene is one dispatch of which the plan is shown.
type scene struct {
	title, image, tag, notes, format string
}

// scenes are a SAFE upgrade, one that asks for a review, and one that is not
// followed, on the sample repository.
var scenes = []scene{
	{"A SAFE upgrade: 23 releases, none of them breaking, a database to back up first", "linkwarden/linkwarden", "v2.14.0", "linkwarden.md", "text"},
	{"A CAUTION upgrade: a major version that removes a setting", "shlinkio/shlink", "5.0.2", "shlink.md", "text"},
	{"Not followed: the tag names no version", "ghcr.io/linkwarden/linkwarden", "latest", "linkwarden.md", "text"},
	{"The pull request that belay would open for the CAUTION one", "shlinkio/shlink", "5.0.2", "shlink.md", "markdown"},
}

type demoFlags struct {
	plan, keep, verbose, offline, kube bool
	repo, listen                       string
}

func newDemo() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole life of some upgrades, on this machine alone",
		Long: `Demo plays the life of some upgrades on a sample repository that belay carries
with it. belay serve runs as it would at home; what it talks to is on this
machine: a stand-in for GitHub with real git behind it, and a simulated
cluster in which time runs fast. Nothing has to be set up, nothing outside is
asked, and nothing is left behind.

It first shows what belay plan says, then tells of one upgrade that is merged
by itself, one that goes up step by step as a person agrees, one that fails and
is undone, and one whose backup fails. It ends by itself; its exit status is 1 when an upgrade
did not end as it should have.

With --kube the cluster is a real one: etcd, the API server and the controllers
of Kubernetes on this machine, with a node that plays scripts in place of
running containers. hack/setup kube builds them once, from belay's source.

With --repo it takes a copy of your own repository instead, and waits for
dispatches: each is answered with the pull request that belay would open.
Release notes are then looked up on GitHub, as belay plan does.`,
		Example: `  belay demo
  belay demo --plan     only what belay plan says; nothing is started
  belay demo --keep     leave it running, to look around
  belay demo --kube     the same on a real Kubernetes control plane
  belay demo --repo ~/home-ops`,
		Args: program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().BoolVar(&f.plan, "plan", false, "show plans only, and the whole text of a pull request")
	c.Flags().BoolVar(&f.keep, "keep", false, "leave everything running at the end, until Ctrl-C")
	c.Flags().BoolVar(&f.verbose, "verbose", false, "print belay's own log on standard error")
	c.Flags().BoolVar(&f.kube, "kube", false, "play on a real Kubernetes control plane, which make kube or hack/setup kube builds once")
	c.Flags().StringVar(&f.repo, "repo", "", "play on a copy of the repository in this `directory`")
	c.Flags().BoolVar(&f.offline, "offline", false, "with --repo: ask nobody for release notes, use cached answers only")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` at which belay serve listens")
	_ = c.MarkFlagDirname("repo")
	return c
}

// contradiction is the error of flags that cannot be meant together.
func (f *demoFlags) contradiction() error {
	switch {
	case f.repo != "" && f.plan:
		return program.Usage(errors.New("--repo and --plan cannot be meant together: --repo waits for dispatches, and belay plan --repo says what one would do"))
	case f.repo != "" && f.keep:
		return program.Usage(errors.New("--repo and --keep cannot be meant together: with --repo it stays until Ctrl-C anyway"))
	case f.repo != "" && f.kube:
		return program.Usage(errors.New("--repo and --kube cannot be meant together: with --repo nothing is brought to a cluster"))
	case f.plan && (f.keep || f.kube):
		return program.Usage(errors.New("--plan starts nothing: leave --keep and --kube out, or --plan"))
	}
	return nil
}

func (f *demoFlags) run(c *cobra.Command) (err error) {
	if err := f.contradiction(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "belay-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.RemoveAll(dir); err == nil && gone != nil {
			err = fmt.Errorf("the demo's files are left in %s: %w", dir, gone)
		}
	}()
	out := newTimeline(c.OutOrStdout())
	log := io.Discard
	if f.verbose {
		log = c.ErrOrStderr()
	}
	if f.repo != "" {
		return f.ownRepository(c, dir, out, log)
	}
	if err := os.CopyFS(dir, testdata.Files); err != nil {
		return err
	}
	show := scenes
	if !f.plan {
		show = scenes[:3] // the story shows the pull request itself
	}
	if err := showPlans(c, dir, show); err != nil || f.plan {
		return err
	}
	s, err := setStage(c.Context(), dir, f.listen, f.kube, out, log)
	if err != nil {
		return err
	}
	err = s.story(c.Context())
	if f.keep && err == nil {
		s.addresses()
		<-c.Context().Done()
	}
	return errors.Join(err, s.close())
}

// showPlans prints what belay plan says of some dispatches.
func showPlans(c *cobra.Command, dir string, list []scene) error {
	for i, s := range list {
		if i > 0 {
			fmt.Fprintln(c.OutOrStdout())
		}
		fmt.Fprintf(c.OutOrStdout(), "== %s\n   belay plan --image %s --tag %s\n\n", s.title, s.image, s.tag)
		f := planFlags{
			repository: repository{dir: filepath.Join(dir, "home-ops")},
			asks:       asks{offline: true},
			image:      s.image, tag: s.tag, notes: filepath.Join(dir, "notes", s.notes), format: s.format,
		}
		if err := f.run(c, nil); err != nil && !errors.Is(err, program.ErrNothing) {
			return err
		}
	}
	return nil
}
