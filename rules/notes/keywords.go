package notes

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// keywordMatcher finds the configured keywords in any case, as whole words with
// their inflections.
type keywordMatcher struct {
	pattern *regexp.Regexp
	stems   []string // one of which a text that matches holds
}

// defaultMatcher spares making the same expression for every release.
var defaultMatcher = sync.OnceValue(func() keywordMatcher { return compile(DefaultKeywords) })

func newKeywordMatcher(keywords []string) keywordMatcher {
	if slices.Equal(keywords, DefaultKeywords) {
		return defaultMatcher()
	}
	return compile(keywords)
}

func compile(keywords []string) keywordMatcher {
	var m keywordMatcher
	var parts []string
	for _, k := range keywords {
		var ws []string
		for _, w := range strings.Fields(strings.ToLower(k)) {
			ws = append(ws, inflected(w))
		}
		if len(ws) == 0 {
			continue
		}
		parts = append(parts, strings.Join(ws, `[\s-]+`))
		m.stems = append(m.stems, stem(strings.Fields(strings.ToLower(k))[0]))
	}
	if len(parts) > 0 {
		// QuoteMeta leaves nothing that could fail to compile.
		m.pattern = regexp.MustCompile(`(?i)\b(?:` + strings.Join(parts, "|") + `)\b`)
	}
	return m
}

func (m keywordMatcher) match(s, lower string) bool {
	return m.pattern != nil && has(lower, m.stems...) && m.pattern.MatchString(s)
}

// stem is a word without the ending that inflected varies.
func stem(w string) string {
	for _, suffix := range []string{"ing", "ed", "ible"} {
		if s, ok := strings.CutSuffix(w, suffix); ok && len(s) >= 3 {
			return s
		}
	}
	return w
}

func inflected(w string) string {
	for _, suffix := range []string{"ing", "ed", "ible"} {
		if s, ok := strings.CutSuffix(w, suffix); !ok || len(s) < 3 {
			continue
		}
		if suffix == "ible" {
			return regexp.QuoteMeta(stem(w)) + `(?:ible|ibly|ibilit(?:y|ies))`
		}
		return regexp.QuoteMeta(stem(w)) + `(?:e|es|s|ed|ing|al|als|ation|ations)?`
	}
	return regexp.QuoteMeta(w) + `s?`
}
