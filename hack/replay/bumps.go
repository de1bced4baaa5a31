package main

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/belaybot/belay/rules/version"
)

// bump is a line that a commit changed in nothing but a version.
type bump struct {
	path          string
	line          int // in the parent
	before, after string
	from, to      string
	digest        string // of the new line, where it has one
}

var (
	// hunkHead matches "@@ -12,2 +12,2 @@", "@@ -5 +5 @@ resource"; not "@@@ -1 -1 +1 @@@".
	hunkHead = regexp.MustCompile(`^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@`)
	// speaks matches lines that may pin an image or a chart: "image = …", "tag: 1.2", `version = "1.0"`, `"acme/web:1.2"`;
	// not "address = 10.0.0.1".
	speaks = regexp.MustCompile(`(?i)image|tag|version|chart|[a-z0-9]/[a-z0-9._-]+:v?\d`)
	// digestIn matches "@sha256:…" with its 64 digits.
	digestIn = regexp.MustCompile(`@(sha256:[0-9a-f]{64})`)
)

// findBumps reads a diff without context for lines that differ in a version only.
func findBumps(diff string) []bump {
	var out []bump
	path := ""
	lines := strings.Split(diff, "\n")
	for i := 0; i < len(lines); i++ {
		if p, ok := strings.CutPrefix(lines[i], "--- a/"); ok {
			path = p
			continue
		}
		m := hunkHead.FindStringSubmatch(lines[i])
		if m == nil || path == "" {
			continue
		}
		if strings.HasSuffix(path, ".terraform.lock.hcl") {
			continue
		}
		start, _ := strconv.Atoi(m[1])
		var before, after []string
		for i+1 < len(lines) && lines[i+1] != "" && (lines[i+1][0] == '-' || lines[i+1][0] == '+' || lines[i+1][0] == '\\') && !strings.HasPrefix(lines[i+1], "--- a/") {
			i++
			switch lines[i][0] {
			case '-':
				before = append(before, lines[i][1:])
			case '+':
				after = append(after, lines[i][1:])
			}
		}
		if len(before) != len(after) {
			continue
		}
		for k := range before {
			if b, ok := bumpOf(before[k], after[k]); ok {
				b.path, b.line = path, start+k
				out = append(out, b)
			}
		}
	}
	return out
}

// bumpOf reports whether two lines differ in one version only, digests aside.
func bumpOf(before, after string) (bump, bool) {
	before, after = strings.TrimSuffix(before, "\r"), strings.TrimSuffix(after, "\r")
	b := bump{before: before, after: after}
	if m := digestIn.FindStringSubmatch(after); m != nil {
		b.digest = m[1]
	}
	x, y := digestIn.ReplaceAllString(before, ""), digestIn.ReplaceAllString(after, "")
	if x == y || commented(x) || !speaks.MatchString(x) {
		return b, false
	}
	i := 0
	for i < len(x) && i < len(y) && x[i] == y[i] {
		i++
	}
	j := 0
	for j < len(x)-i && j < len(y)-i && x[len(x)-1-j] == y[len(y)-1-j] {
		j++
	}
	for i > 0 && versionByte(x[i-1]) {
		i--
	}
	for j > 0 && versionByte(x[len(x)-j]) {
		j--
	}
	b.from, b.to = x[i:len(x)-j], y[i:len(y)-j]
	from, err1 := version.Parse(b.from)
	to, err2 := version.Parse(b.to)
	return b, err1 == nil && err2 == nil && len(from.Numbers()) > 1 && len(to.Numbers()) > 1
}

func commented(line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, "#") || strings.HasPrefix(line, "//")
}

func versionByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("._-+", c) >= 0
}
