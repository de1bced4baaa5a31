package notes

import (
	"strings"
)

// advisory matches "CVE-2024-12345", "cve-2021-44228", "GHSA-7g45-4rm6-3mq3"; not "CVE-24-1".
var advisory = matching(`(?i)\bCVE-\d{4}-\d{4,19}\b|\bGHSA(?:-[23456789cfghjmpqrvwx]{4}){3}\b`)

// Security returns the CVE and GHSA ids of the text, upper case, each once, in
// order. It does not matter whether they stand in text, links or code.
func Security(text string) []string {
	var out []string
	seen := map[string]bool{}
	for _, id := range advisory.FindAllString(text, -1) {
		if id = strings.ToUpper(id); !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}
