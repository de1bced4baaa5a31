package notes

import (
	"regexp"
	"sync"
)

// expression is a regular expression that is compiled when it is first asked.
// There are more than a hundred, which take megabytes and milliseconds: a belay
// that waits for something to do, and a command that reads no notes, needs none.
type expression struct {
	compiled func() *regexp.Regexp
}

// expressions are all of them, for the test that each can be compiled.
var expressions []expression

// matching is the expression of a pattern, which has to be a valid one.
func matching(pattern string) expression {
	e := expression{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })}
	expressions = append(expressions, e)
	return e
}

// What follows is regexp.Regexp's own.

func (e expression) MatchString(s string) bool { return e.compiled().MatchString(s) }

func (e expression) FindString(s string) string { return e.compiled().FindString(s) }

func (e expression) FindStringIndex(s string) []int { return e.compiled().FindStringIndex(s) }

func (e expression) FindStringSubmatch(s string) []string { return e.compiled().FindStringSubmatch(s) }

func (e expression) FindStringSubmatchIndex(s string) []int {
	return e.compiled().FindStringSubmatchIndex(s)
}

func (e expression) FindAllString(s string, n int) []string { return e.compiled().FindAllString(s, n) }

func (e expression) FindAllStringSubmatch(s string, n int) [][]string {
	return e.compiled().FindAllStringSubmatch(s, n)
}

func (e expression) ReplaceAllString(s, with string) string {
	return e.compiled().ReplaceAllString(s, with)
}

func (e expression) ReplaceAllStringFunc(s string, with func(string) string) string {
	return e.compiled().ReplaceAllStringFunc(s, with)
}
