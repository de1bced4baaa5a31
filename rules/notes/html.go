package notes

import (
	"strings"
)

var (
	// block matches the tags that begin or end a line in HTML notes: "<li>", "</p>", "<br/>", "<h3 class='x'>".
	block = matching(`(?i)[ \t]*<(/?)(h[1-6]|li|p|ul|ol|tr|br|div|table|section|dt|dd|details|summary)\b[^<>]{0,500}>[ \t]*`)
	// codeTag matches "<code>", "</code>", "<tt>".
	codeTag = matching(`(?i)</?(?:code|tt|kbd)\b[^<>]{0,500}>`)
	// inlineTag matches the tags that only dress words: "<strong>", "<a href='x'>".
	inlineTag = matching(`(?i)</?(?:a|b|strong|i|em|u|span|small|sub|sup|td|th|tbody|thead)\b[^<>]{0,500}>`)
)

// htmlAsLines gives notes that are written as HTML lists the lines that the
// same lists have in Markdown. Text without such lists stays as it is.
func htmlAsLines(s string) string {
	if !hasList(s) {
		return s
	}
	s = codeTag.ReplaceAllString(s, "`")
	s = block.ReplaceAllStringFunc(s, func(tag string) string {
		tag = strings.ToLower(strings.Trim(tag, " \t<>"))
		switch {
		case strings.HasPrefix(tag, "li"), strings.HasPrefix(tag, "dd"):
			return "\n- "
		case tag[0] == 'h' && tag[1] >= '1' && tag[1] <= '6':
			return "\n" + strings.Repeat("#", int(tag[1]-'0')) + " "
		}
		return "\n"
	})
	return inlineTag.ReplaceAllString(s, "")
}

// hasList is a quick look for "<li".
func hasList(s string) bool {
	for i := strings.IndexByte(s, '<'); i >= 0 && i+3 < len(s); {
		if strings.EqualFold(s[i+1:i+3], "li") && (s[i+3] == '>' || s[i+3] == ' ') {
			return true
		}
		next := strings.IndexByte(s[i+1:], '<')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}
