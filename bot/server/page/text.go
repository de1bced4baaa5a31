package page

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	template "github.com/DataDog/datadog-agent/pkg/template/html"

	"github.com/belaybot/belay/rules/lifecycle"
)

// Spans shows belay's own sentences, in which commands stand between backticks.
// Everything in them is escaped.
func Spans(s string) template.HTML {
	parts := strings.Split(s, "`")
	var b strings.Builder
	for i, part := range parts {
		text := template.HTMLEscapeString(part)
		switch {
		case i%2 == 1 && i < len(parts)-1:
			b.WriteString("<code>" + text + "</code>")
		case i%2 == 1:
			b.WriteString("`" + text)
		default:
			b.WriteString(text)
		}
	}
	return template.HTML(b.String()) // escaped above
}

// Ago is how long something has been: "now", "5 min", "3 h", "2 days".
func Ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return ""
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// Lasts is a duration for people: "4 s", "2 min 30 s", "3 h 5 min", "2 days 4 h".
func Lasts(d time.Duration) string {
	d = max(d, 0)
	two := func(a int, unit string, b int, lesser string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, unit)
		}
		return fmt.Sprintf("%d %s %d %s", a, unit, b, lesser)
	}
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return two(int(d.Minutes()), "min", int(d.Seconds())%60, "s")
	case d < 48*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	}
	return two(int(d.Hours()/24), "days", int(d.Hours())%24, "h")
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func clock(t time.Time) string { return t.UTC().Format("2 Jan 15:04") }

// Tone is how a state looks: bad, ask, busy, wait, good or off. What it says is
// always there in words as well.
func Tone(state string, group lifecycle.Group) string {
	switch lifecycle.State(state) {
	case lifecycle.Critical, lifecycle.Aborted, lifecycle.Reverting, lifecycle.Restoring, lifecycle.Failed:
		return "bad"
	case lifecycle.Undoing, lifecycle.Rewatching:
		return "busy"
	case lifecycle.Verified:
		return "good"
	case lifecycle.Reverted, lifecycle.NotDeployed, lifecycle.Unverified:
		return "ask"
	case lifecycle.Closed, lifecycle.Obsolete:
		return "off"
	case lifecycle.Queued, lifecycle.Open, lifecycle.BackingUp, lifecycle.Applying, lifecycle.Watching:
	}
	switch group {
	case lifecycle.NeedsYou:
		return "ask"
	case lifecycle.InFlight:
		return "busy"
	case lifecycle.Waiting, lifecycle.Done:
	}
	return "wait"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// safeURL is an address that may be a link: https or http with a host; "" else.
// Addresses in release notes are upstream's.
func safeURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

func pullURL(github, repository string, number int) string {
	return fmt.Sprintf("%s/%s/pull/%d", github, repository, number)
}

func commitURL(github, repository, sha string) string {
	return fmt.Sprintf("%s/%s/commit/%s", github, repository, url.PathEscape(sha))
}

func short(sha string) string {
	if len(sha) > 7 {
		return sha[:7]
	}
	return sha
}

// title begins a sentence or name with a capital letter.
func title(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}
