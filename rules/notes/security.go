package notes

import (
	"regexp"
	"slices"
	"strings"
)

var advisory = regexp.MustCompile(`(?i)\b(?:CVE-\d{4}-\d{4,7}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3})\b`)

// Security returns the CVE and GHSA ids of the text, upper case, each once, in order.
func Security(text string) []string {
	var out []string
	for _, id := range advisory.FindAllString(text, 1000) {
		if id = strings.ToUpper(id); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}
