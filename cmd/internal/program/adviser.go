package program

import (
	"cmp"
	"errors"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/advise"
	"github.com/belaybot/belay/bot/credentials"
)

// AdviserFlags say which language model may be asked, and for how much.
type AdviserFlags struct {
	url, model    string
	tokens, daily int
}

// Flags adds them to a command.
func (f *AdviserFlags) Flags(c *cobra.Command) {
	c.Flags().StringVar(&f.url, "adviser-url", cmp.Or(os.Getenv("BELAY_ADVISER_URL"), advise.DefaultURL), "`URL` of the adviser's API [$BELAY_ADVISER_URL]")
	c.Flags().StringVar(&f.model, "adviser-model", cmp.Or(os.Getenv("BELAY_ADVISER_MODEL"), advise.DefaultModel), "`name` of the adviser's model [$BELAY_ADVISER_MODEL]")
	c.Flags().IntVar(&f.tokens, "adviser-tokens", advise.DefaultPerUpgrade, "how many `tokens` the adviser may use for one upgrade")
	c.Flags().IntVar(&f.daily, "adviser-daily-tokens", advise.DefaultPerDay, "how many `tokens` the adviser may use in a day")
}

// Open makes the adviser, with the credentials that it may use. Without a key it
// is off, and goes on as soon as one is there.
func (f *AdviserFlags) Open(memory advise.Memory, eye *credentials.Registry, keys []advise.Credential, log *slog.Logger) (*advise.Adviser, error) {
	a, err := advise.New(advise.Options{URL: f.url, Model: f.model, PerUpgrade: f.tokens, PerDay: f.daily, Retries: 1,
		Credentials: keys, Memory: memory, Eye: eye, Log: log})
	if err != nil {
		return nil, Usage(err)
	}
	return a, nil
}

// adviserVariables hold the adviser's keys and tokens.
var adviserVariables = []string{"BELAY_ADVISER_KEY", "BELAY_ADVISER_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "BELAY_ADVISER_SPARE_KEY", "BELAY_ADVISER_SPARE_TOKEN"}

// AdviserCredentials are the adviser's keys and tokens in the order in which
// they are tried. What other programs call them is understood too.
func AdviserCredentials() []advise.Credential {
	var out []advise.Credential
	for _, name := range adviserVariables {
		from := func(variable string) func() (string, error) {
			return func() (string, error) { return SecretIn(variable) }
		}
		out = append(out, advise.Credential{Label: strings.ToLower(strings.TrimPrefix(name, "BELAY_")), Read: from(name), Token: strings.HasSuffix(name, "_TOKEN"),
			Minted: from(name + "_MINTED"), Lifetime: from(name + "_LIFETIME"), Spare: strings.Contains(name, "_SPARE_")})
	}
	return out
}

// ErrNoAdviser is for who asks for an adviser that is not there.
var ErrNoAdviser = Usage(errors.New("--adviser needs a key: set BELAY_ADVISER_KEY, ANTHROPIC_API_KEY or another of those in docs/adviser.md"))
