package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

// scene is one dispatch of the demo.
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

func newDemo() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Plan three upgrades on the sample repository",
		Long: `Demo plans three upgrades on the sample repository that comes with belay's
source and shows the text of a pull request. It asks nobody and writes nothing.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for i, s := range scenes {
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				fmt.Fprintf(c.OutOrStdout(), "== %s\n   belay plan --image %s --tag %s\n\n", s.title, s.image, s.tag)
				f := planFlags{
					repository: repository{dir: filepath.Join(dir, "home-ops")},
					asks:       asks{offline: true},
					image:      s.image, tag: s.tag, notes: filepath.Join(dir, "notes", s.notes), format: s.format,
				}
				if err := f.run(c, nil); err != nil && !errors.Is(err, errNothing) {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "testdata", "testdata", "`directory` with the sample repository and its release notes")
	return c
}
