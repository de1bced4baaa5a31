package program

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/action"
	"github.com/belaybot/belay/bot/advise"
)

// actionSecrets are variables, BELAY_ before them, whose values the runner may
// not know as secrets.
var actionSecrets = []string{"SLACK_TOKEN", "SLACK_WEBHOOK", "NOTIFY_WEBHOOK", "NOTIFY_SECRET", "KUMA_KEY", "PROMETHEUS_TOKEN", "WOODPECKER_TOKEN"}

// hide masks every secret that a run is given.
func hide(masks *action.Hider, in action.Inputs) error {
	masks.Hide(in.Token, in.AdviserKey)
	files := filepath.SplitList(os.Getenv("KUBECONFIG"))
	if isText(in.Kubeconfig) {
		masks.Kubeconfig(in.Kubeconfig)
	} else {
		files = append(files, in.Kubeconfig)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil { //nolint:gosec // the workflow names it; what is wrong with it is said where it is used
			masks.Kubeconfig(string(text))
		}
	}
	for _, name := range secretVariables() {
		value, err := SecretIn(name)
		if err != nil {
			return err
		}
		masks.Hide(value)
	}
	return nil
}

func secretVariables() []string {
	out := slices.Clone(adviserVariables)
	for _, name := range actionSecrets {
		out = append(out, "BELAY_"+name)
	}
	return out
}

// forget takes the secrets out of the environment, once they are read: whatever
// is started after that does not inherit them.
func forget() {
	names := append(secretVariables(), "GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "INPUT_") || slices.Contains(names, name) {
			_ = os.Unsetenv(name) // it fails for names that are none
		}
	}
}

// adviserKeys are the adviser's credentials: the input, and those of the
// environment as they are now.
func adviserKeys(in action.Inputs) []advise.Credential {
	now := func(read func() (string, error)) func() (string, error) {
		value, err := read()
		return func() (string, error) { return value, err }
	}
	var out []advise.Credential
	if in.AdviserKey != "" {
		out = append(out, advise.Credential{Label: "input adviser-key", Read: func() (string, error) { return in.AdviserKey, nil }})
	}
	for _, c := range AdviserCredentials() {
		c.Read, c.Minted, c.Lifetime = now(c.Read), now(c.Minted), now(c.Lifetime)
		out = append(out, c)
	}
	return out
}

// isText reports whether the input kubeconfig is one, and not the name of a file
// with one: that is a single line, and no map of YAML or JSON.
func isText(kubeconfig string) bool {
	return strings.Contains(kubeconfig, "\n") || strings.HasPrefix(kubeconfig, "{")
}

// kubeconfig writes the cluster's credentials where only this process reads them.
func (f *actionFlags) kubeconfig(text, dir string) error {
	if text != "" {
		f.see.named = "input kubeconfig"
	}
	switch {
	case text == "":
		return nil
	case !isText(text):
		f.see.Kubeconfig = text
		return nil
	}
	f.see.Kubeconfig = filepath.Join(dir, "kubeconfig")
	return os.WriteFile(f.see.Kubeconfig, []byte(text), 0o600)
}
