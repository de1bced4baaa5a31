package watch

import (
	"regexp"
	"slices"
	"strings"
)

// absence matches how programs say that a variable is missing: "KeyError:
// 'SECRET_KEY'", "X is required", "X must be set", "X is not set", "missing
// environment variable X", "undefined variable X", "could not find X"; not
// "using X", "X is set".
var absence = regexp.MustCompile(`(?i)\b(missing|required|requires|must be|not set|unset|isn'?t set|undefined|not defined|not found|could not find|no value|keyerror|not provided|is empty|cannot be empty|please (set|provide|define)|expected)\b`)

// variable matches an environment variable's name: "SECRET_KEY_BASE", "DB2_HOST"; not "URL", "Error".
var variable = regexp.MustCompile(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)

// Missing are the environment variables that a failing container's log says
// are missing and that the release notes name too, in the log's order. Only
// both together make it likely that the new version needs them.
func Missing(log string, notes []string) []string {
	var out []string
	for _, line := range strings.Split(log, "\n") {
		if !absence.MatchString(line) {
			continue
		}
		for _, name := range variable.FindAllString(line, -1) {
			if slices.Contains(notes, name) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}
