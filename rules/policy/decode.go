package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/belaybot/belay/rules/version"
)

// parseDuration reads Go's durations and days: "15m", "6h", "2d", "1d12h". Zero
// and negative ones are none.
func parseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	var d time.Duration
	if ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", s, err)
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		rest = s
	}
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil {
			return 0, err
		}
		d += more
	}
	if d <= 0 {
		return 0, fmt.Errorf("%q: not above zero", s)
	}
	return d, nil
}

// at finds a value by its path of keys, nil when it is absent or null.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		if n = resolve(n); n.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				next = n.Content[i+1]
			}
		}
		if next == nil {
			return nil
		}
		n = next
	}
	if n = resolve(n); n.Tag == "!!null" {
		return nil
	}
	return n
}

// take sets what a value of the document overrides.
func take[T any](root *yaml.Node, into *T, read func(*yaml.Node) T, path ...string) {
	if n := at(root, path...); n != nil {
		*into = read(n)
	}
}

func str(n *yaml.Node) string { return resolve(n).Value }

func boolean(n *yaml.Node) bool { return str(n) == "true" }

func integer(n *yaml.Node) int { i, _ := strconv.Atoi(str(n)); return i }

func duration(n *yaml.Node) time.Duration { d, _ := parseDuration(str(n)); return d }

func list(n *yaml.Node) []string {
	out := []string{}
	for _, e := range resolve(n).Content {
		out = append(out, str(e))
	}
	return out
}

// entries calls f for every key of a mapping.
func entries(n *yaml.Node, f func(name string, val *yaml.Node)) {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i].Value, n.Content[i+1])
	}
}

// decode fills the policy from a document that check has passed.
func (r *reader) decode(root *yaml.Node) {
	p := r.policy
	take(root, &p.Services.Roots, list, "services", "roots")
	take(root, &p.Services.Ignore, list, "services", "ignore")
	take(root, &p.Dispatch.Event, str, "dispatch", "event")
	take(root, &p.Dispatch.Statuses, list, "dispatch", "statuses")
	if n := at(root, "dispatch", "skip"); n != nil {
		p.Dispatch.Skip = append(p.Dispatch.Skip, list(n)...)
	}
	take(root, &p.Dispatch.Limit.Upgrades, integer, "dispatch", "limit", "upgrades")
	take(root, &p.Dispatch.Limit.Window, duration, "dispatch", "limit", "window")
	take(root, &p.Dispatch.Limit.Service, integer, "dispatch", "limit", "service")
	if n := at(root, "dispatch", "limit", "services"); n != nil {
		entries(n, func(name string, val *yaml.Node) { p.Dispatch.Limit.Services[name] = integer(val) })
	}
	r.scan(at(root, "scan", "every"))
	if n := at(root, "sources"); n != nil {
		entries(n, func(name string, val *yaml.Node) { r.source(name, val) })
	}
	if n := at(root, "charts"); n != nil {
		entries(n, func(name string, val *yaml.Node) { p.Charts[name] = str(val) })
	}
	take(root, &p.Risk.Keywords, list, "risk", "keywords")
	take(root, &p.Risk.AlwaysStep, list, "risk", "always_step")
	take(root, &p.Risk.Automerge, list, "risk", "automerge")
	take(root, &p.Risk.Strict, boolean, "risk", "strict")
	take(root, &p.Risk.ZeroMajor, boolean, "risk", "zero_major")
	take(root, &p.Risk.SecurityFirst, boolean, "risk", "security_first")
	r.steps(at(root, "steps"))
	r.backups(root)
	r.watch(root)
	take(root, &p.Revert.Automerge, boolean, "revert", "automerge")
	take(root, &p.Revert.OnMigration, str, "revert", "on_migration")
	take(root, &p.Schedule.Timezone, str, "schedule", "timezone")
	take(root, &p.Schedule.Merge, str, "schedule", "merge")
	take(root, &p.Schedule.Open, str, "schedule", "open")
	take(root, &p.Dashboard.Issue, boolean, "dashboard", "issue")
	take(root, &p.Adviser.Enabled, boolean, "adviser", "enabled")
	take(root, &p.Adviser.Ignore, list, "adviser", "ignore")
	take(root, &p.Adviser.Settings, boolean, "adviser", "settings")
}

// MinScan is how often registries are asked at most: they count requests.
const MinScan = 10 * time.Minute

func (r *reader) scan(n *yaml.Node) {
	if n == nil {
		return
	}
	if r.policy.Scan.Every = duration(n); r.policy.Scan.Every < MinScan {
		r.fail(n, "scan.every: %q is too often for the registries: 10m at least", n.Value)
	}
}

func (r *reader) steps(n *yaml.Node) {
	step := func(n *yaml.Node) version.Steps { return version.Steps(str(n)) }
	if n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode {
		r.policy.Steps = step(n)
		return
	}
	take(n, &r.policy.Steps, step, "default")
	if s := at(n, "services"); s != nil {
		entries(s, func(name string, val *yaml.Node) { r.policy.StepsFor[name] = step(val) })
	}
}
