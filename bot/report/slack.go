package report

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/belaybot/belay/rules/lifecycle"
)

// Slack is a message in Slack's mrkdwn. Everything in it that belay did not
// write is escaped: it can call nobody, link nowhere and pose as nothing else.
type Slack struct {
	Text    string // what notifications show, and clients without blocks
	Body    string // the section, at most 3,000 characters
	Context string // the small line below it, "" for none
}

// maxSlack is the longest text of a section block in characters that Slack takes.
const maxSlack = 3000

// SlackUpgrade is the one message about an upgrade, as it stands now.
func SlackUpgrade(v UpgradeView) Slack {
	headline := mrkdwn(v.Headline())
	title := fmt.Sprintf("*%s* %s → %s", mrkdwn(v.Service), mrkdwn(v.From), mrkdwn(v.To))
	if v.Risk != "" {
		title += " · " + mrkdwn(strings.ToUpper(v.Risk))
	}
	if steps(v.Ladder) {
		title += fmt.Sprintf(" · step %d/%d to %s", v.Ladder.Place, len(v.Ladder.Rungs), mrkdwn(v.Ladder.Top()))
		if v.Ladder.Stopped != "" {
			headline += "\n" + mrkdwn(sentence(v.Ladder.Stopped))
		}
	}
	var small []string
	if v.URL != "" {
		small = append(small, slackLink(v.URL, fmt.Sprintf("%s#%d", v.Repository, v.Pull)))
	} else {
		small = append(small, mrkdwn(v.Repository))
	}
	if v.UndoURL != "" {
		what := "undone by "
		if v.Fix {
			what = "mended by "
		}
		small = append(small, what+slackLink(v.UndoURL, fmt.Sprintf("#%d", v.Undo)))
	}
	if len(v.Security) > 0 {
		small = append(small, "fixes "+mrkdwn(strings.Join(v.Security, ", ")))
	}
	if v.Migration {
		small = append(small, "rollback may need a restore")
	}
	return Slack{
		Text:    fmt.Sprintf("%s %s → %s: %s", mrkdwn(v.Service), mrkdwn(v.From), mrkdwn(v.To), headline),
		Body:    fit(sign(v.State) + " " + title + "\n" + headline),
		Context: fit(strings.Join(small, " · ")),
	}
}

// sign is the one sign of a message: whether all is well, or somebody must act.
func sign(s lifecycle.State) string {
	switch s {
	case lifecycle.Verified, lifecycle.Unverified:
		return ":white_check_mark:"
	case lifecycle.Aborted, lifecycle.Failed, lifecycle.NotDeployed:
		return ":x:"
	case lifecycle.Reverting, lifecycle.Restoring, lifecycle.Undoing, lifecycle.Rewatching, lifecycle.Reverted:
		return ":rewind:"
	case lifecycle.Critical:
		return ":rotating_light:"
	case lifecycle.Closed, lifecycle.Obsolete:
		return ":heavy_minus_sign:"
	default:
		return ":hourglass_flowing_sand:"
	}
}

// SlackReply tells of one event in the thread of its upgrade.
func SlackReply(a Announcement) Slack {
	text := mrkdwn(a.Text)
	body := text
	if a.Detail != "" {
		body += "\n```\n" + slackEscape(strings.ReplaceAll(a.Detail, "```", "'''")) + "\n```"
	}
	return Slack{Text: text, Body: fit(body)}
}

// SlackAlone tells of one event where there is no message to answer to: all
// that has to be known stands in it.
func SlackAlone(v UpgradeView, a Announcement) Slack {
	up, reply := SlackUpgrade(v), SlackReply(a)
	title, _, _ := strings.Cut(up.Body, "\n")
	return Slack{Text: fmt.Sprintf("%s %s → %s: %s", mrkdwn(v.Service), mrkdwn(v.From), mrkdwn(v.To), reply.Text), Body: fit(title + "\n" + reply.Body), Context: up.Context}
}

// calls matches what a client may take for a call to people: "@here", "@ana".
var calls = regexp.MustCompile(`@(\S)`)

// slackEscape is Slack's own escaping, so that what is left cannot open a link, a
// mention or a date; and an @ calls nobody.
func slackEscape(s string) string {
	s = calls.ReplaceAllString(s, "@\u2060$1")
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// mrkdwn makes one line of text that belay did not write safe within mrkdwn:
// escaped, and without code spans.
func mrkdwn(s string) string { return slackEscape(strings.ReplaceAll(oneLine(s), "`", "'")) }

// slackLink is a link that belay made; text that would end it is escaped.
func slackLink(address, text string) string {
	if !webAddress.MatchString(address) || strings.ContainsAny(address, "|<>") {
		return mrkdwn(text)
	}
	return "<" + strings.ReplaceAll(address, "&", "&amp;") + "|" + strings.ReplaceAll(mrkdwn(text), "|", "/") + ">"
}

// fit shortens a text to what a block takes, without cutting an entity or
// leaving a code block open.
func fit(s string) string {
	r := []rune(s)
	if len(r) <= maxSlack {
		return s
	}
	open := strings.Count(s, "```") > 0
	s = string(r[:maxSlack-8])
	if i := strings.LastIndexByte(s, '&'); i > len(s)-6 {
		s = s[:i]
	}
	if open && strings.Count(s, "```")%2 == 1 {
		return strings.TrimRight(s, "`") + "…\n```"
	}
	return s + "…"
}
