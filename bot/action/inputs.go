package action

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sethvargo/go-githubactions"
)

// Inputs are what a workflow gives the Action under `with`. action.yml says what
// each is for.
type Inputs struct {
	Token      string
	Event      string        // event_type of the dispatches; "" as the configuration says
	TimeLimit  time.Duration // after which a run ends, whatever it waits for
	Wait       time.Duration // how long a run stays with what is not merged
	FailOn     string        // risk at which the check belay/risk fails: "", "caution", "unknown"
	TakeOver   bool
	Scan       bool   // look for new versions when a clock or a person starts the run
	Kubeconfig string // its content, or the name of a file with it
	AdviserKey string // of a language model that may raise the risk; "" for none
	AdviserURL string // of its API; "" is Anthropic's
}

// limits of a run; GitHub ends a job after six hours.
const (
	defaultLimit = 50 * time.Minute
	maxLimit     = 6 * time.Hour
	defaultWait  = 30 * time.Second
)

// ReadInputs reads what the workflow says. Its errors name the input.
func ReadInputs(a *githubactions.Action) (Inputs, error) {
	in := Inputs{Token: a.GetInput("token"), Event: a.GetInput("event-type"), FailOn: a.GetInput("fail-on"), Kubeconfig: a.GetInput("kubeconfig"),
		AdviserKey: a.GetInput("adviser-key"), AdviserURL: a.GetInput("adviser-url")}
	if in.Token == "" {
		return in, errors.New("input token is empty: leave it out for the workflow's own token, or give an App's")
	}
	var err error
	if in.TimeLimit, err = duration(a, "time-limit", defaultLimit, maxLimit); err != nil {
		return in, err
	}
	if in.TimeLimit == 0 {
		return in, errors.New("input time-limit is 0: leave it out, or write a duration such as 45m")
	}
	if in.Wait, err = duration(a, "wait", defaultWait, in.TimeLimit); err != nil {
		return in, err
	}
	if !slices.Contains([]string{"", "never", "caution", "unknown"}, in.FailOn) {
		return in, fmt.Errorf("input fail-on is %q: say never, caution or unknown", in.FailOn)
	}
	if in.TakeOver, err = yes(a, "take-over", false); err != nil {
		return in, err
	}
	in.Scan, err = yes(a, "scan", true)
	return in, err
}

func yes(a *githubactions.Action, name string, otherwise bool) (bool, error) {
	switch text := a.GetInput(name); text {
	case "":
		return otherwise, nil
	case "true", "false":
		return text == "true", nil
	default:
		return false, fmt.Errorf("input %s is %q: say true or false", name, text)
	}
}

func duration(a *githubactions.Action, name string, otherwise, most time.Duration) (time.Duration, error) {
	text := a.GetInput(name)
	if text == "" {
		return min(otherwise, most), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > most {
		return 0, fmt.Errorf("input %s is %q: write a duration such as 30s or 45m, at most %s", name, text, most)
	}
	return d, nil
}
