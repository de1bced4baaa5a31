package notes

import (
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// GitHub's Markdown as far as notes need it. Bare addresses are found where
// text is written out, which is cheaper than the parser's extension.
var (
	markdown = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList)).Parser()
	blocks   = parser.NewParser(parser.WithBlockParsers(parser.DefaultBlockParsers()...))
)

// parse reads Markdown that bound has made fit.
func parse(source []byte) ast.Node { return markdown.Parse(text.NewReader(source)) }

// parseBlocks reads the blocks only: headings, lists, code; much faster.
func parseBlocks(source []byte) ast.Node { return blocks.Parse(text.NewReader(source)) }

// inlineText is a line of Markdown as people read it, and the first address it links to.
func inlineText(raw string) (plain, link string) {
	source := []byte(raw)
	var b strings.Builder
	_ = ast.Walk(parse(source), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if n.Type() == ast.TypeBlock {
				b.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			if link == "" {
				link = string(n.Destination)
			}
		case *ast.Image:
			return ast.WalkSkipChildren, nil
		case *ast.AutoLink:
			b.Write(n.Label(source))
		default:
			if s, ok := textOf(n, source); ok {
				b.WriteString(s)
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.TrimSpace(b.String()), link
}

// textOf is the text of a leaf as people read it: escapes and entities
// resolved, a line break as a space, raw HTML as nothing.
func textOf(n ast.Node, source []byte) (string, bool) {
	switch n := n.(type) {
	case *ast.Text:
		s := decode(n.Value(source), n.IsRaw())
		if n.SoftLineBreak() || n.HardLineBreak() {
			s += " "
		}
		return s, true
	case *ast.String:
		return decode(n.Value, n.IsRaw() || n.IsCode()), true
	}
	return "", false
}

// decode resolves backslash escapes and character references in one pass, as
// CommonMark says, and cleans what comes out. Raw text has neither.
func decode(value []byte, raw bool) string {
	s := string(value)
	if raw || !strings.ContainsAny(s, `\&`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && util.IsPunct(s[i+1]):
			i++
			b.WriteByte(s[i])
		case s[i] == '&':
			if r, n := reference(s[i:]); n > 0 {
				b.WriteString(r)
				i += n - 1
				continue
			}
			b.WriteByte('&')
		default:
			b.WriteByte(s[i])
		}
	}
	return strings.ReplaceAll(clean(b.String()), "\n", " ")
}

// reference resolves a character reference at the beginning of s ("&amp;",
// "&#64;", "&#x40;") and says how long it is; 0 when there is none.
func reference(s string) (string, int) {
	end := strings.IndexByte(s[:min(len(s), 34)], ';')
	if end < 2 {
		return "", 0
	}
	if s[1] == '#' {
		var code rune
		digits, base := s[2:end], rune(10)
		if len(digits) > 0 && (digits[0] == 'x' || digits[0] == 'X') {
			digits, base = digits[1:], 16
		}
		if digits == "" || len(digits) > 7 {
			return "", 0
		}
		for _, c := range digits {
			v := rune(strings.IndexRune("0123456789abcdef", c|0x20))
			if c >= '0' && c <= '9' {
				v = c - '0'
			}
			if v < 0 || v >= base {
				return "", 0
			}
			code = code*base + v
		}
		if code == 0 || code > 0x10ffff || code >= 0xd800 && code < 0xe000 {
			code = 0xfffd
		}
		return string(code), end + 1
	}
	if e, ok := util.LookUpHTML5EntityByName(s[1:end]); ok {
		return string(e.Characters), end + 1
	}
	return "", 0
}
