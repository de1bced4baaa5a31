package image

import "strings"

// Match runs skip patterns over the image's name and returns the deciding
// pattern and whether the image is matched. Patterns are globs: "*" stands for
// any text, slashes included, and "?" for one character; case does not count.
// Each is tried on the familiar and on the fully qualified name, without tag.
// Later patterns win over earlier ones and "!pattern" takes a match back. See
// SPEC section 3.
func Match(patterns []string, r Ref) (pattern string, matched bool) {
	familiar, full := strings.ToLower(r.Familiar()), strings.ToLower(r.Name())
	for _, p := range patterns {
		glob, back := strings.CutPrefix(strings.ToLower(p), "!")
		if glob == "" || !globMatch(glob, familiar) && !globMatch(glob, full) {
			continue
		}
		pattern, matched = p, !back
	}
	if !matched {
		return "", false
	}
	return pattern, true
}

// globMatch matches in linear space and at most len(glob)*len(s) steps: on a
// mismatch it returns to the last star only.
func globMatch(glob, s string) bool {
	g, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, mark = g, i
			g++
		case g < len(glob) && (glob[g] == '?' || glob[g] == s[i]):
			g++
			i++
		case star >= 0:
			mark++
			g, i = star+1, mark
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}
