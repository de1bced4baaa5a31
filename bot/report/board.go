package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/notes"
)

// BoardTitle is the title of the dashboard issue.
const BoardTitle = "belay dashboard"

// boardMark tells the dashboard issue from all others of the App's.
const boardMark = "<!-- belay:dashboard:v1 -->"

// IsBoard reports whether an issue of the App's own is its dashboard.
func IsBoard(body string) bool { return strings.HasPrefix(strings.TrimSpace(body), boardMark) }

// BoardView is what the dashboard issue of a repository shows.
type BoardView struct {
	Warnings []string // sentences about names in the configuration that nothing answers to; they stop nothing
	Problem  string   // what is wrong with the configuration, so that nothing is done; "" when it is right
	Frozen   *Frozen
	Upgrades []BoardUpgrade // those that are open and those that ended lately, in any order
	LeftOut  []LeftOut      // versions that are not taken, newest first
	Answers  []Answer       // to commands for the whole repository, newest last
}

// Frozen says who stopped everything, and why.
type Frozen struct {
	Who, Reason string
	Everywhere  bool // in every repository, not only in this one
	Since       time.Time
}

// BoardUpgrade is one upgrade on the dashboard.
type BoardUpgrade struct {
	StatusView
	ID      string
	Pull    int    // 0: none yet
	Head    string // the commit that is on show: an approval is for that one
	Offered []command.Verb
	Asked   *Answer // what became of the last box
	Updated time.Time
}

// LeftOut is a version that a service is not taken to.
type LeftOut struct {
	Service, Target, Why string
	At                   time.Time
}

// boxTexts are what the boxes say. What needs an argument has none.
var boxTexts = map[command.Verb]string{
	command.Approve:  "approve: let it be merged",
	command.Retry:    "try again",
	command.Rebase:   "build it anew on today's default branch",
	command.Hold:     "hold",
	command.Resume:   "go on",
	command.Ignore:   "close it and leave this version out",
	command.Rollback: "roll back: open the revert now",
	command.Restore:  "put data and image back together",
	command.Backup:   "take the backup now",
	command.Fix:      "mend what was recognised instead of undoing",
	command.Step:     "go on with the next step",
}

// stepsText is what step says before the upgrade is over.
const stepsText = "agree to this step and to all that follow; the first that fails stops it"

// resumeText is what resume says where it is more than going on.
var resumeText = map[lifecycle.State]string{
	lifecycle.Critical:  "the service is well again: I have taken over",
	lifecycle.Reverting: "I have taken over",
}

// groupTitles head the sections.
var groupTitles = map[lifecycle.Group]string{
	lifecycle.NeedsYou: "Needs you", lifecycle.InFlight: "In flight", lifecycle.Waiting: "Waiting", lifecycle.Done: "Ended lately",
}

// boardReserve is kept for headings and for saying what was cut, in characters.
const boardReserve = 1500

// maxWarnings is how many warnings about the configuration are shown.
const maxWarnings = 5

// Board is the body of the dashboard issue: at most MaxBody characters, what
// needs a person first. What does not fit is counted.
func Board(v BoardView) string {
	head := boardHead(v)
	room := MaxBody - boardReserve - length(head)
	take := func(text string) bool {
		if n := length(text); n <= room {
			room -= n
			return true
		}
		return false
	}
	var b strings.Builder
	b.WriteString(head)
	groups := grouped(v.Upgrades)
	for _, g := range lifecycle.Groups() {
		list := groups[g]
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s (%d)\n\n", groupTitles[g], len(list))
		section(&b, list, boardItem, take)
	}
	if len(v.Upgrades) == 0 {
		b.WriteString("\nNothing is under way.\n")
	}
	if len(v.LeftOut) > 0 {
		fmt.Fprintf(&b, "\n## Left out (%d)\n\n`/upgrade retry` in the pull request of such a version takes it up again; a newer version is taken by itself.\n\n", len(v.LeftOut))
		section(&b, v.LeftOut, leftOutItem, take)
	}
	return tidy(b.String())
}

// section writes the items that there is room for, and counts the others.
func section[T any](b *strings.Builder, list []T, text func(T) string, take func(string) bool) {
	for i, item := range list {
		s := text(item)
		if !take(s) {
			fmt.Fprintf(b, "\n…and %d more, for which there is no room here: `belay status` lists them.\n", len(list)-i)
			return
		}
		b.WriteString(s)
	}
}

func boardHead(v BoardView) string {
	var b strings.Builder
	b.WriteString(boardMark + "\nWhat belay does in this repository. It writes this text anew when something changes.\n" +
		"Tick a box to have it done, or comment `/upgrade hold [reason]` to stop everything here and `/upgrade resume` to go on: both need write permission.\n")
	if v.Problem != "" {
		b.WriteString("\n> [!CAUTION]\n> The configuration on the default branch is wrong, so nothing is done until it is mended:\n> " + cut(notes.Plain(oneLine(v.Problem)), maxLine) + "\n")
	}
	if len(v.Warnings) > 0 {
		b.WriteString("\n> [!WARNING]\n> Parts of the configuration on the default branch have no effect:\n")
		for _, w := range v.Warnings[:min(len(v.Warnings), maxWarnings)] {
			b.WriteString("> - " + cut(neutral(oneLine(w)), maxLine) + "\n")
		}
		if more := len(v.Warnings) - maxWarnings; more > 0 {
			fmt.Fprintf(&b, "> - and %d more: `belay config check` lists them\n", more)
		}
	}
	if f := v.Frozen; f != nil {
		where, box := "in this repository", "\n- [ ] "+Box{Verb: command.Resume}.String()+" go on with everything\n"
		if f.Everywhere {
			where, box = "in every repository", "" // not for this one's people to end
		}
		reason := ""
		if f.Reason != "" {
			reason = ", " + cut(notes.Plain(oneLine(f.Reason)), maxLine)
		}
		fmt.Fprintf(&b, "\n> [!IMPORTANT]\n> Everything %s is held by %s since %s%s. Nothing is opened or merged; reverts and watches go on.\n%s",
			where, notes.Plain(oneLine(f.Who)), day(f.Since), reason, box)
	} else {
		b.WriteString("\n- [ ] " + Box{Verb: command.Hold}.String() + " hold everything in this repository\n")
	}
	if len(v.Answers) > 0 {
		b.WriteString("\n| who | command | answer |\n| --- | --- | --- |\n")
		for _, a := range v.Answers {
			b.WriteString("| " + cell(notes.Plain(a.Login)) + " | " + cell(code(cut(oneLine(a.Command), 100))) + " | " + notDone(a.OK) + answerText(a.Text) + " |\n")
		}
	}
	return b.String()
}

func notDone(ok bool) string {
	if ok {
		return ""
	}
	return "Not done: "
}

// grouped sorts upgrades into groups: the critical ones first, then by service;
// what is over with the newest first.
func grouped(list []BoardUpgrade) map[lifecycle.Group][]BoardUpgrade {
	out := map[lifecycle.Group][]BoardUpgrade{}
	for _, u := range list {
		g := lifecycle.GroupOf(u.State, u.Waits)
		out[g] = append(out[g], u)
	}
	rank := func(u BoardUpgrade) int {
		if u.State == lifecycle.Critical {
			return 0
		}
		return 1
	}
	for g, l := range out {
		slices.SortStableFunc(l, func(a, b BoardUpgrade) int {
			if g == lifecycle.Done {
				return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.ID, b.ID))
			}
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Service, b.Service), cmp.Compare(a.ID, b.ID))
		})
	}
	return out
}

func boardItem(u BoardUpgrade) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- **%s** %s → %s", cut(notes.Plain(oneLine(u.Service)), 200), code(cut(oneLine(u.From), 130)), code(cut(oneLine(u.To), 130)))
	if u.Risk != "" {
		b.WriteString(" · " + strings.ToUpper(notes.Plain(u.Risk)))
	}
	// Relative links: a number or an address would leave a note on the pull request.
	if u.Pull != 0 {
		fmt.Fprintf(&b, " · [#%d](../pull/%d)", u.Pull, u.Pull)
	}
	if u.Undo != 0 {
		fmt.Fprintf(&b, " · undone by [#%d](../pull/%d)", u.Undo, u.Undo)
	}
	if u.State.Final() {
		b.WriteString(" · " + u.Updated.UTC().Format("2006-01-02"))
	}
	b.WriteString("<br>" + boardHeadline(u) + "\n")
	if u.Asked != nil {
		fmt.Fprintf(&b, "  - %s said %s: %s%s\n", notes.Plain(oneLine(u.Asked.Login)), code(cut(oneLine(u.Asked.Command), 100)), strings.ToLower(notDone(u.Asked.OK)), cut(answerText(u.Asked.Text), maxLine))
	}
	for _, verb := range u.Offered {
		text, ok := boxTexts[verb]
		if !ok {
			continue
		}
		if special := resumeText[u.State]; verb == command.Resume && special != "" && u.HeldBy == "" {
			text = special
		}
		box := Box{Verb: verb, Upgrade: u.ID}
		if verb == command.Approve {
			box.Head = u.Head
		}
		if verb == command.Step && !u.State.Final() {
			box.Args, text = "all", stepsText
		}
		fmt.Fprintf(&b, "  - [ ] %s %s\n", box, text)
	}
	return b.String()
}

// boardHeadline says where an upgrade stands. Only belay's own words keep their
// code spans.
func boardHeadline(u BoardUpgrade) string {
	if u.HeldBy == "" || u.State != lifecycle.Open && u.State != lifecycle.Queued {
		return cut(neutral(oneLine(u.Headline())), maxLine)
	}
	out := "Held by " + notes.Plain(oneLine(u.HeldBy))
	if u.HeldFor != "" {
		out += ": " + notes.Plain(oneLine(u.HeldFor))
	}
	return cut(out, maxLine)
}

func leftOutItem(l LeftOut) string {
	return fmt.Sprintf("- **%s** %s: %s (%s)\n", cut(notes.Plain(oneLine(l.Service)), 200), code(cut(oneLine(l.Target), 130)), cut(neutral(oneLine(l.Why)), maxLine), l.At.UTC().Format("2006-01-02"))
}

// BoardOff is the body of a dashboard issue that the configuration switches off.
func BoardOff() string {
	return boardMark + "\nThe dashboard is switched off (`dashboard.issue` in belay.yml), so belay has closed this issue. Switched on again, it goes on here.\n"
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
