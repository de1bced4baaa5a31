package report_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
)

func upgradeView() report.UpgradeView {
	return report.UpgradeView{StatusView: report.StatusView{Service: "linkwarden", From: "v2.9.1", To: "v2.14.0", State: lifecycle.Open, Waits: "waits for the checks", Risk: "safe"},
		Repository: "acme/home-ops", Pull: 12, URL: "https://github.com/acme/home-ops/pull/12", Automerge: true, Backup: "cronjob dbaas/postgresql-backup"}
}

// show writes a message as its parts.
func show(b *strings.Builder, title string, m report.Slack) {
	fmt.Fprintf(b, "## %s\n%s\n--\n%s\n", title, m.Text, m.Body)
	if m.Context != "" {
		fmt.Fprintf(b, "--\n%s\n", m.Context)
	}
	b.WriteString("\n")
}

// TestSlackGolden shows every event as the thread and the incoming webhook tell it,
// and the one message as it stands then.
func TestSlackGolden(t *testing.T) {
	var b strings.Builder
	with := func(title, what, why string, again bool, f func(*report.UpgradeView)) {
		v := upgradeView()
		v.State = lifecycle.State(what)
		f(&v)
		a, ok := report.Announce(v, report.Happening{What: what, Who: "belay", Why: why, Again: again})
		if !ok {
			t.Fatalf("%s is not told", what)
		}
		fmt.Fprintf(&b, "# %s: %s important=%v alarm=%v\n\n", title, a.Event, a.Important, a.Alarm)
		show(&b, "message", report.SlackUpgrade(v))
		show(&b, "thread", report.SlackReply(a))
		show(&b, "alone", report.SlackAlone(v, a))
	}
	with("a SAFE one starts", "open pull request", "a new version is there", false, func(v *report.UpgradeView) { v.State = lifecycle.Open })
	with("a CAUTION one starts", "open pull request", "a new version is there", false, func(v *report.UpgradeView) {
		v.State, v.Waits, v.Risk, v.Automerge, v.Blockers = lifecycle.Open, "waits for an approving review, or /upgrade approve", "caution", false, []string{"CAUTION needs a review"}
		v.Security, v.Migration = []string{"CVE-2026-1234"}, true
	})
	with("a newer version came", "open pull request", "a newer version is there", true, func(v *report.UpgradeView) { v.State = lifecycle.Open })
	with("held", "open", "held", false, func(v *report.UpgradeView) { v.HeldBy = "ana" })
	with("the backup runs", "start backup", "ready to merge: the backup comes first", false, func(v *report.UpgradeView) { v.State = lifecycle.BackingUp })
	with("the backup failed", "aborted", "the backup failed", false, func(v *report.UpgradeView) {
		v.BackupDetail = "pg_dump: connecting\npg_dump: error: connection refused"
	})
	with("belay merged", "merge", "all gates are open", false, func(v *report.UpgradeView) {
		v.State, v.MergedBy, v.BackedUp = lifecycle.Applying, "belay[bot]", true
	})
	with("a person merged without the backup", "applying", "merged by a person", false, func(v *report.UpgradeView) { v.MergedBy, v.Unbacked = "ana", true })
	with("applied", "watching", "applied", false, func(*report.UpgradeView) {})
	with("verified", "verified", "healthy through the whole window", false, func(*report.UpgradeView) {})
	with("unverified", "unverified", "nobody looked", false, func(*report.UpgradeView) {})
	with("closed", "closed", "closed by a person: this version is ignored until there is a newer one", false, func(*report.UpgradeView) {})
	with("obsolete", "obsolete", "the default branch has it already", false, func(*report.UpgradeView) {})
	undone := func(state lifecycle.State) func(*report.UpgradeView) {
		return func(v *report.UpgradeView) {
			v.State, v.Undo, v.UndoURL, v.Log = state, 13, "https://github.com/acme/home-ops/pull/13", "linkwarden-7d: CrashLoopBackOff\nerror: relation \"links\" does not exist"
			v.Failure = "deployment linkwarden/linkwarden: container linkwarden of pod linkwarden-7d crashes again and again (exit code 1)"
		}
	}
	with("reverting", "open revert", "the service is not healthy", false, undone(lifecycle.Reverting))
	with("reverting what may have migrated data", "open revert", "the service is not healthy", false, func(v *report.UpgradeView) {
		undone(lifecycle.Reverting)(v)
		v.Migration, v.Waits = true, "data may have been migrated: /upgrade restore puts image and data back together, /upgrade approve the image alone"
	})
	with("mended", "open revert", "asked to mend it", false, func(v *report.UpgradeView) { undone(lifecycle.Reverting)(v); v.Fix = true })
	with("the revert was built anew", "open revert", "the base moved", true, undone(lifecycle.Reverting))
	with("restoring", "start restore", "the workload is stopped and the data put back", false, undone(lifecycle.Restoring))
	with("restored", "reverting", "the data is back", false, undone(lifecycle.Reverting))
	with("the revert is merged", "merge revert", "all gates of the revert are open", false, undone(lifecycle.Undoing))
	with("the revert is applied", "watching again", "the revert was applied", false, undone(lifecycle.Rewatching))
	with("reverted", "reverted", "the old version is healthy again", false, undone(lifecycle.Reverted))
	with("critical", "critical", "the service is not healthy after the revert either", false, undone(lifecycle.Critical))
	with("not deployed", "not deployed", "merged and applied, and yet it does not run", false, func(*report.UpgradeView) {})
	with("failed", "failed", "taken over by a person", false, undone(lifecycle.Failed))
	step := func(state lifecycle.State, all bool) func(*report.UpgradeView) {
		return func(v *report.UpgradeView) {
			l := &ladder.Ladder{From: "v2.9.1", Rungs: []string{"v2.10.0", "v2.11.0", "v2.14.0"}, Place: 2}
			if all {
				l.All = &ladder.Agreed{Login: "ana", To: "v2.14.0"}
			}
			l.Stopped = l.After(state, false).Stop
			v.From, v.To, v.State, v.Risk, v.Automerge, v.Ladder = "v2.10.0", "v2.11.0", state, "caution", false, l
			v.Blockers = []string{"it is a step of a ladder, each of which needs an approval, or all at once /upgrade step all"}
		}
	}
	with("a step starts", "open pull request", "a new version is there", false, step(lifecycle.Open, false))
	with("a step starts that somebody agreed to", "open pull request", "a new version is there", false, step(lifecycle.Open, true))
	with("a step is verified", "verified", "healthy through the whole window", false, step(lifecycle.Verified, false))
	with("a step that nobody could see", "unverified", "nobody looked", false, step(lifecycle.Unverified, true))
	with("a step failed", "reverted", "the old version is healthy again", false, step(lifecycle.Reverted, true))
	compare(t, "slack.golden", b.String())
}

func TestSlackHostileGolden(t *testing.T) {
	v := upgradeView()
	v.Service = "<!channel> *web*"
	v.From, v.To = "<@U0123456789>", "`1.0` @here"
	v.Repository = "acme/home|ops>"
	v.Waits = "<https://evil.example|acme/home-ops#12> & <!date^1392734382^{date}|now> @everyone \u202egnp.exe\n*Done*"
	v.Security = []string{"CVE-1<!here>"}
	v.BackupDetail = "log\n```\n<!channel> & done\n```\n@here\x1b[31m"
	v.State = lifecycle.Open
	a, _ := report.Announce(v, report.Happening{What: "aborted", Why: "<!channel> broke\n\nit & `all`"})
	var b strings.Builder
	show(&b, "message", report.SlackUpgrade(v))
	show(&b, "thread", report.SlackReply(a))
	show(&b, "alone", report.SlackAlone(v, a))
	compare(t, "slack-hostile.golden", b.String())
	for _, bad := range []string{"<!", "<@", "<http", "@here", "@everyone", "\u202e", "\x1b"} {
		if got := strings.ReplaceAll(b.String(), "<https://github.com/acme/", ""); strings.Contains(got, bad) {
			t.Errorf("%q got through", bad)
		}
	}
}

func TestSlackFits(t *testing.T) {
	for _, tc := range []struct{ name, fill string }{
		{"letters", "a"}, {"what is escaped to more", "&<>"}, {"fences", "```"}, {"signs of several bytes", "→"}, {"lines", "x\n"}, {"bytes that are no text", "\xff\xfe"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := upgradeView()
			long := strings.Repeat(tc.fill, 20_000)
			v.Service, v.From, v.To, v.Waits, v.BackupDetail, v.Repository = long, long, long, long, long, long
			v.Security = []string{long}
			a, _ := report.Announce(v, report.Happening{What: "aborted", Why: long})
			for _, m := range []report.Slack{report.SlackUpgrade(v), report.SlackReply(a), report.SlackAlone(v, a)} {
				if n := utf8.RuneCountInString(m.Body); n > 3000 {
					t.Errorf("a section of %d characters", n)
				}
				if n := utf8.RuneCountInString(m.Context); n > 3000 {
					t.Errorf("a context of %d characters", n)
				}
				if n := utf8.RuneCountInString(m.Text); n > 40_000 {
					t.Errorf("a text of %d characters", n)
				}
				if strings.Count(m.Body, "```")%2 != 0 {
					t.Errorf("a code block is left open: %q", m.Body[len(m.Body)-40:])
				}
			}
		})
	}
}

// TestEveryStateIsTold makes whoever adds a state say what people are told.
func TestEveryStateIsTold(t *testing.T) {
	for _, s := range lifecycle.States() {
		if _, known := report.Told(string(s)); !known {
			t.Errorf("nothing says whether people are told of %q: add a row to announcements and a text to announce.tmpl, or a word to silent", s)
		}
	}
	for _, do := range []lifecycle.Verb{lifecycle.Publish, lifecycle.Discard, lifecycle.Backup, lifecycle.Merge, lifecycle.Undo, lifecycle.DiscardUndo, lifecycle.Restore, lifecycle.MergeUndo} {
		if told, _ := report.Told(string(do)); !told {
			t.Errorf("%q is not told", do)
		}
	}
}
