package lifecycle

import (
	"fmt"
	"strings"
)

// Doc is docs/lifecycle.md: the states as a diagram and the table in words.
func Doc() string {
	var b strings.Builder
	b.WriteString("# The life of an upgrade\n\n<!-- Generated from rules/lifecycle/table.go by `make golden`. -->\n\n" +
		"Whenever something happens, and at the latest after an hour, belay looks at everything that concerns an upgrade and takes the first rule below that fits.\n" +
		"There is no other memory: after a restart it looks again and goes on.\n\n```mermaid\nstateDiagram-v2\n    [*] --> queued\n")
	seen := map[string]bool{}
	for _, r := range table {
		for _, from := range r.From {
			line := fmt.Sprintf("    %s --> %s\n", node(from), node(r.To))
			if r.To != "" && r.To != from && !seen[line] {
				seen[line] = true
				b.WriteString(line)
			}
		}
	}
	for _, s := range States() {
		if s.Final() {
			fmt.Fprintf(&b, "    %s --> [*]\n", node(s))
		}
	}
	b.WriteString("```\n")
	for _, s := range States() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s, about[s])
		if s.Final() {
			continue
		}
		b.WriteString("\n| if | then | state after | wakes |\n| --- | --- | --- | --- |\n")
		for _, r := range table {
			if !r.in(s) {
				continue
			}
			to := string(r.To)
			if to == "" {
				to = string(s)
			}
			condition := r.If
			if condition == "" {
				condition = "otherwise"
			}
			var on []string
			for _, e := range r.On {
				on = append(on, string(e))
			}
			then := string(r.Do)
			if r.Why != "" {
				then += ": " + r.Why
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", condition, then, to, strings.Join(on, ", "))
		}
	}
	return b.String()
}

func node(s State) string { return strings.ReplaceAll(string(s), " ", "_") }

// about says what each state means and what a person can do.
var about = map[State]string{
	Queued:      "A dispatch asked for it; there is no pull request yet.",
	Open:        "The pull request is there. Each gate that is shut is named in the `belay/verify` check and in `/upgrade status`.",
	BackingUp:   "Everything else is ready: the backup runs.",
	Aborted:     "The backup failed. Nothing was merged; the pull request stays open. `/upgrade retry` tries again.",
	Applying:    "Merged. CI brings the commit to the cluster.",
	Watching:    "Applied. The service's health is watched through the window of its risk.",
	Reverting:   "It could not be applied, or the service is not healthy, or somebody said `/upgrade rollback`. A second pull request undoes it. The version is not tried again until `/upgrade retry` or a newer one.",
	Restoring:   "The workload is stopped and its data put back, so that image and data go back together.",
	Undoing:     "The revert was merged. CI brings it to the cluster.",
	Rewatching:  "The revert was applied. The health of the old version is watched.",
	Critical:    "The revert failed as well. belay leaves the service alone until `/upgrade resume`.",
	Verified:    "The service was healthy through the whole window. `/upgrade rollback` undoes it still. Of a ladder, the next step is begun.",
	Unverified:  "Applied, and nothing that watches its health is configured or was in reach. A ladder goes on when a person says `/upgrade step`.",
	NotDeployed: "Merged and applied, and yet something else runs: Terraform ignores the image, or the workload is suspended. Nothing is reverted. A ladder goes on when a person says `/upgrade step`.",
	Reverted:    "Undone, and the old version runs again. A ladder stops here until `/upgrade retry`.",
	Failed:      "Failed, and left to a person, who closed the revert or said `/upgrade resume`.",
	Closed:      "A person closed the pull request. The version is ignored until there is a newer one.",
	Obsolete:    "The default branch has the version already, or nothing moves any more.",
}
