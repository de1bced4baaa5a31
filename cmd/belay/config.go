package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/cmd/internal/program"
	"github.com/belaybot/belay/rules/policy"
)

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check the configuration, print its schema, import an older one",
	}
	program.NoCommand(c)
	c.AddCommand(newConfigCheck(), newConfigSchema(), newConfigImport())
	return c
}

// argument reads the file that a command's argument names, "-" being standard input.
func argument(c *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.InOrStdin())
	}
	data, err := os.ReadFile(name)
	return data, unread(name, err)
}

// unread is why a file that somebody named was not read.
func unread(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return program.Usage(fmt.Errorf("%s: no such file", name))
	case err != nil:
		return program.Usage(err)
	}
	return nil
}

func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return program.Usage(fmt.Errorf("%s takes at most %d file (see %s --help)", c.CommandPath(), n, c.CommandPath()))
		}
		return nil
	}
}

func newConfigCheck() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether a configuration is right",
		Long: "Check reads a configuration, " + configPath + ` unless told otherwise, and names every
problem with its line and column. With the repository at hand it warns of
services that the configuration names and the repository does not have. That is
the directory that --repo names, or this one for ` + configPath + `.`,
		Example: `  belay config check
  belay config check --repo ~/home-ops
  belay config check - --repo ~/home-ops < draft.yml`,
		Args: atMost(1),
		RunE: func(c *cobra.Command, args []string) error {
			name := configPath
			if dir != "" {
				name = filepath.Join(dir, configPath)
			}
			if len(args) > 0 {
				name = args[0]
			}
			data, err := argument(c, name)
			if err != nil {
				return err
			}
			shown := name
			if name == "-" {
				shown = "standard input"
			}
			p, err := policy.Parse(shown, data)
			if err != nil {
				return program.Usage(err)
			}
			if err := warnOfStrays(c, dir, name, p); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", shown)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "repo", "", "`directory` of the repository, to hold the names of services to it")
	_ = c.MarkFlagDirname("repo")
	return c
}

// warnOfStrays holds the names of a configuration to the repository that it is
// of, where that is known: dir, or this directory for a file at its place in it.
func warnOfStrays(c *cobra.Command, dir, name string, p policy.Policy) error {
	told := dir != ""
	if !told && name != configPath {
		return nil
	}
	if !told {
		dir = "."
	}
	tree, err := planner.Tree(dir, "")
	var inv *terraform.Inventory
	if err == nil {
		inv, err = terraform.Scan(c.Context(), tree, terraform.Options{Roots: p.Services.Roots})
	}
	switch {
	case err != nil && told:
		return program.Usage(fmt.Errorf("--repo %s: the names of services were not held to it: %w", dir, err))
	case err != nil:
		warn(c.ErrOrStderr(), []string{fmt.Sprintf("the names of services were not held to the repository: %v", err)})
		return nil
	}
	if !told && len(inv.Services) == 0 && len(inv.Pins) == 0 { // no repository with services, but a place to keep the file
		return nil
	}
	warnOf(c.ErrOrStderr(), inv, p)
	return nil
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Args:  program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(policy.Schema())
			return err
		},
	}
}

func newConfigImport() *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Turn an upgrade-config.json into belay.yml",
		Long: `Import prints the configuration that an upgrade-config.json comes to. What it
could not carry over and what it corrected is said on standard error.`,
		Example: `  belay config import upgrade-config.json > .github/belay.yml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return program.Usage(errors.New("name the file to import, \"-\" for standard input"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			data, err := argument(c, args[0])
			if err != nil {
				return err
			}
			out, report, err := policy.Import(data)
			if err != nil {
				return program.Usage(fmt.Errorf("%s: %w", args[0], err))
			}
			for _, line := range report {
				fmt.Fprintln(c.ErrOrStderr(), "import: "+line)
			}
			_, err = c.OutOrStdout().Write(out)
			return err
		},
	}
}
