package notes

import (
	"regexp"
	"strings"
)

var (
	// withdrawnTitle matches "[1.2.0] - 2024-01-02 [YANKED]", "v3.1 (withdrawn)", "2.0.0 (unreleased)"; not "1.2.0".
	withdrawnTitle = regexp.MustCompile(`(?i)\b(?:yanked|withdrawn|retracted|unreleased|not released|do not use)\b`)
	// withdrawnBody matches "**YANKED**: it loses data", "This release was withdrawn", "Do not use this version", "> [!CAUTION] do not upgrade to this release";
	// not "Yanked dependencies are refused", "- withdrawn items are hidden".
	withdrawnBody = regexp.MustCompile(`(?i)^(?:\W*yanked\b\W*(?:$|[:.!—–-])|.*\b(?:release|version)\b.{0,20}\b(?:has been|was|is|were)\s+(?:yanked|withdrawn|retracted|pulled)\b|\W*(?:(?:caution|warning|important)\W+)?(?:please\s+)?(?:do not|don't)\s+(?:use|install|upgrade to|update to)\s+(?:this|it)\b)`)
)

// Withdrawn reports whether a release is not to be used, as its own notes say
// in the title or the first words: yanked, withdrawn, or not released at all.
func Withdrawn(r Release) bool {
	if withdrawnTitle.MatchString(r.Name) {
		return true
	}
	for line := range strings.Lines(r.Body) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "> [!") {
			return withdrawnBody.MatchString(line)
		}
	}
	return false
}
