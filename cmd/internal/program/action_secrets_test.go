package program

import (
	"os"
	"testing"
)

// TestForget: what a run has read of its secrets, no program that is started
// after that inherits.
func TestForget(t *testing.T) {
	secrets := []string{"INPUT_TOKEN", "INPUT_ADVISER-KEY", "INPUT_KUBECONFIG", "BELAY_KUMA_KEY", "BELAY_SLACK_TOKEN", "BELAY_ADVISER_KEY", "ANTHROPIC_API_KEY", "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN"}
	for _, name := range append(secrets, "BELAY_KUMA_URL") {
		t.Setenv(name, "something")
	}
	last := Rotating("KUMA_KEY")
	forget()
	for _, name := range secrets {
		if _, ok := os.LookupEnv(name); ok {
			t.Errorf("%s is still there", name)
		}
	}
	if os.Getenv("BELAY_KUMA_URL") != "something" || last() != "something" {
		t.Error("what is no secret, or what was read of one, is gone")
	}
}
