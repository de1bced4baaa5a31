package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/cmd/internal/program"
)

// freezing are the flags of freeze and unfreeze.
type freezing struct {
	remote
	repository, who, reason string
	all                     bool
}

func (f *freezing) flags(c *cobra.Command) {
	f.remote.flags(c)
	c.Flags().StringVar(&f.repository, "repository", "", "`OWNER/NAME` of the repository")
	c.Flags().BoolVar(&f.all, "all", false, "every repository, those to come as well")
	c.Flags().StringVar(&f.who, "as", whoami(), "your `name`, for those who ask who it was")
}

// whoami is the name of whoever types.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return os.Getenv("USER")
}

func (f *freezing) send(c *cobra.Command, path string) (server.Frozen, error) {
	var out server.Frozen
	switch {
	case f.all && f.repository != "":
		return out, program.Usage(errors.New("give --repository or --all, not both"))
	case !f.all && f.repository == "":
		return out, program.Usage(errors.New("--repository OWNER/NAME is missing, or --all for every repository"))
	case f.who == "":
		return out, program.Usage(errors.New("--as is missing: say who you are"))
	}
	body, err := json.Marshal(server.FreezeRequest{Repository: f.repository, Who: f.who, Reason: f.reason})
	if err != nil {
		return out, err
	}
	code, data, err := f.do(c.Context(), http.MethodPost, path, body)
	if err != nil {
		return out, err
	}
	if code != http.StatusOK {
		return out, refused(code, data)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return out, fmt.Errorf("the answer is not belay's: %w", err)
	}
	return out, nil
}

func newFreeze() *cobra.Command {
	var f freezing
	c := &cobra.Command{
		Use:   "freeze (--repository OWNER/NAME | --all)",
		Short: "Have a running belay open and merge nothing until unfreeze",
		Long: `Freeze stops all opening and merging of upgrades in a repository. What is merged
already is still applied, watched and, where it fails, undone. Dispatches are
taken, and wait.`,
		Example: `  belay freeze --repository acme/home-ops --reason "the database moves tonight"
  belay unfreeze --repository acme/home-ops`,
		Args: program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			got, err := f.send(c, "/api/freeze")
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "%s: frozen by %s%s\n", everywhere(got.Repository), f.who, because(f.reason))
			}
			return err
		},
	}
	f.flags(c)
	c.Flags().StringVar(&f.reason, "reason", "", "why, in a few `words`")
	return c
}

func newUnfreeze() *cobra.Command {
	var f freezing
	c := &cobra.Command{
		Use:   "unfreeze (--repository OWNER/NAME | --all)",
		Short: "Let a running belay open and merge again",
		Long: `Unfreeze ends a freeze; what waited goes on. A freeze of every repository is
ended by --all alone.

Exit status 3: it was not frozen.`,
		Args: program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			got, err := f.send(c, "/api/thaw")
			if err != nil {
				return err
			}
			if !got.Was {
				fmt.Fprintf(c.OutOrStdout(), "%s: was not frozen\n", everywhere(got.Repository))
				return program.ErrNothing
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: goes on\n", everywhere(got.Repository))
			return nil
		},
	}
	f.flags(c)
	return c
}

func everywhere(repository string) string {
	if repository == "" {
		return "every repository"
	}
	return repository
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
