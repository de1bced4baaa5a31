package report_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const aHead = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"

// on is an upgrade as the dashboard shows it, with the boxes that belong to it.
func on(id, service, from, to string, pull int, waits string, s command.Situation, change ...func(*report.BoardUpgrade)) report.BoardUpgrade {
	s.Pull = pull != 0
	u := report.BoardUpgrade{ID: id, Pull: pull, Head: aHead, Updated: noon, Offered: command.Offers(s),
		StatusView: report.StatusView{Service: service, From: from, To: to, State: s.State, Waits: waits, Risk: "safe"}}
	for _, f := range change {
		f(&u)
	}
	return u
}

func boards() map[string]report.BoardView {
	risky := func(u *report.BoardUpgrade) { u.Risk = "caution" }
	full := report.BoardView{
		Upgrades: []report.BoardUpgrade{
			on("uLINKWARDEN1", "linkwarden", "v2.9.1", "v2.14.0", 12, "waits for an approving review, or /upgrade approve", command.Situation{State: lifecycle.Open}, risky, func(u *report.BoardUpgrade) {
				u.Asked = &report.Answer{Login: "bo", Command: "approve", Text: "commands are for people with write permission in this repository"}
			}),
			on("uDAWARICH111", "dawarich", "0.37.1", "1.6.1", 9, "", command.Situation{State: lifecycle.Critical}, risky, func(u *report.BoardUpgrade) { u.Undo = 10 }),
			on("uSHLINK11111", "url", "4.3.4", "5.0.2", 13, "", command.Situation{State: lifecycle.Aborted}, risky),
			on("uIMMICH11111", "immich", "v2.7.4", "v2.7.5", 14, "", command.Situation{State: lifecycle.Watching}),
			on("uWIKI1111111", "wiki", "1.0.0", "1.0.1", 15, "held", command.Situation{State: lifecycle.Open, Held: true}, func(u *report.BoardUpgrade) { u.HeldBy, u.HeldFor = "ana", "a feast" }),
			on("uBLOG1111111", "blog", "3.0.0", "3.0.1", 0, "waits for the rate limit", command.Situation{State: lifecycle.Queued}),
			on("uAUTHENTIK11", "authentik", "2025.12.1", "2026.2.2", 16, "waits for an approving review, or /upgrade approve", command.Situation{State: lifecycle.Open, Ahead: true}, risky),
			on("uMATRIX11111", "matrix", "v1.2.0", "v1.3.0", 17, "", command.Situation{State: lifecycle.Unverified, Merged: true, Ahead: true}, risky),
			on("uPHPIPAM1111", "phpipam", "v1.7.0", "v1.7.4", 7, "", command.Situation{State: lifecycle.Verified, Merged: true}, func(u *report.BoardUpgrade) { u.Updated = noon.Add(-48 * time.Hour) }),
			on("uCOTURN11111", "coturn", "4.6.3-r1", "4.10.0-r1", 8, "", command.Situation{State: lifecycle.Closed}, func(u *report.BoardUpgrade) { u.Updated = noon.Add(-24 * time.Hour) }),
		},
		LeftOut: []report.LeftOut{{Service: "coturn", Target: "4.10.0-r1", Why: "closed by a person: this version is ignored until there is a newer one", At: noon.Add(-24 * time.Hour)}},
		Answers: []report.Answer{{Login: "ana", Command: "hold a feast", Text: "everything is held until `/upgrade resume`", OK: true}, {Login: "ana", Command: "resume", Text: "goes on", OK: true}},
	}
	frozen := full
	frozen.Frozen, frozen.Upgrades, frozen.LeftOut, frozen.Answers = &report.Frozen{Who: "ana", Reason: "a feast", Since: noon}, full.Upgrades[:1], nil, nil
	everywhere := report.BoardView{Frozen: &report.Frozen{Who: "ana", Everywhere: true, Since: noon}, Problem: ".github/belay.yml:3:5: unknown key \"riks\": did you mean \"risk\"?"}
	bad := "@octocat #12 fixes acme/web#3 GH-4 | `x <b>\n- [ ] <!-- belay:do approve uHOSTILE1111 " + aHead + " -->\n\n<!-- belay:dashboard:v1 -->\n/upgrade approve\u202e https://github.com/acme/web/issues/5 ![t](https://example.org/t.png) [skip ci]"
	hostile := report.BoardView{Problem: bad, Frozen: &report.Frozen{Who: bad, Reason: bad, Since: noon}, LeftOut: []report.LeftOut{{Service: bad, Target: bad, Why: bad, At: noon}},
		Answers: []report.Answer{{Login: bad, Command: bad, Text: bad}},
		Upgrades: []report.BoardUpgrade{on("uHOSTILE1111", bad, bad, bad, 3, bad, command.Situation{State: lifecycle.Open, Held: true}, func(u *report.BoardUpgrade) {
			u.Risk, u.HeldBy, u.HeldFor, u.Asked = bad, bad, bad, &report.Answer{Login: bad, Command: bad, Text: bad}
		})}}
	return map[string]report.BoardView{"board": full, "board-frozen": frozen, "board-everywhere": everywhere, "board-empty": {}, "board-hostile": hostile}
}

func TestBoardGolden(t *testing.T) {
	for name, v := range boards() {
		t.Run(name, func(t *testing.T) {
			got := report.Board(v)
			compare(t, name+".golden", got)
			if !report.IsBoard(got) {
				t.Error("it is not known again")
			}
		})
	}
	compare(t, "board-off.golden", report.BoardOff())
}

// TestBoardIsHarmless has nothing that upstream or a person wrote take effect.
func TestBoardIsHarmless(t *testing.T) {
	got := report.Board(boards()["board-hostile"])
	inert := regexp.MustCompile("``[^\n]*?``|`[^`\n]*`").ReplaceAllString(got, "")
	for _, bad := range []string{`(^|[^A-Za-z0-9_])@[A-Za-z0-9]`, `(?m)(^|[ (])#\d`, `acme/web#3`, `(?i)\bgh-\d`, `//github\.com/acme/web/issues`, `!\[`, `(?m)^\s*/upgrade`, "\u202e", `<b>`} {
		if m := regexp.MustCompile(bad).FindString(inert); m != "" {
			t.Errorf("%q is left", m)
		}
	}
	if n := len(report.Ticked(got, strings.ReplaceAll(got, "[ ]", "[x]"))); n != 1+4 { // everything goes on; approve, rebase, resume, ignore
		t.Errorf("%d boxes", n)
	}
}

// TestBoardFits has more upgrades than an issue can hold.
func TestBoardFits(t *testing.T) {
	var v report.BoardView
	for i := range 2000 {
		v.Upgrades = append(v.Upgrades, on(fmt.Sprintf("uA%010d", i), fmt.Sprintf("waiting-%04d", i), "1.0.0", "1.0.1", 0, "waits for the rate limit", command.Situation{State: lifecycle.Queued}))
	}
	v.Upgrades = append(v.Upgrades, on("uCRITICAL111", "zebra", "1.0.0", "1.0.1", 4, "", command.Situation{State: lifecycle.Critical}))
	v.LeftOut = []report.LeftOut{{Service: "other", Target: "2.0.0", Why: "failed", At: noon}}
	got := report.Board(v)
	if n := len([]rune(got)); n > report.MaxBody || n < report.MaxBody*9/10 {
		t.Errorf("%d characters of %d", n, report.MaxBody)
	}
	for _, want := range []string{"**zebra**", "## Waiting (2000)", "more, for which there is no room here", "## Left out (1)"} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q", want)
		}
	}
}

func TestTicked(t *testing.T) {
	body := report.Board(boards()["board"])
	tick := func(s string, boxes ...report.Box) string {
		for _, b := range boxes {
			s = strings.Replace(s, "- [ ] "+b.String(), "- [x] "+b.String(), 1)
		}
		return s
	}
	approve := report.Box{Verb: command.Approve, Upgrade: "uLINKWARDEN1", Head: aHead}
	hold, roll := report.Box{Verb: command.Hold}, report.Box{Verb: command.Rollback, Upgrade: "uIMMICH11111"}
	all, next := report.Box{Verb: command.Step, Args: "all", Upgrade: "uAUTHENTIK11"}, report.Box{Verb: command.Step, Upgrade: "uMATRIX11111"}
	for _, row := range []struct {
		name, before, after string
		want                []report.Box
	}{
		{"nothing", body, body, nil},
		{"one box", body, tick(body, approve), []report.Box{approve}},
		{"the box of the whole repository", body, tick(body, hold), []report.Box{hold}},
		{"a second box while the first is still ticked", tick(body, approve), tick(body, approve, roll), []report.Box{roll}},
		{"all steps, and the next one", body, tick(body, all, next), []report.Box{all, next}},
		{"two at once", body, tick(body, roll, approve), []report.Box{approve, roll}},
		{"a box that is taken back", tick(body, approve), body, nil},
		{"a browser's ends of lines", body, strings.ReplaceAll(tick(body, approve), "\n", "\r\n"), []report.Box{approve}},
		{"a box that nobody was shown", "", tick(body, approve), nil},
		{"a box in the middle of a line", body, body + "\nsee - [x] " + approve.String(), nil},
		{"the same box twice", body + "- [ ] " + roll.String() + "\n", strings.ReplaceAll(body, "- [ ] "+roll.String(), "- [x] "+roll.String()) + "- [x] " + roll.String(), []report.Box{roll}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := report.Ticked(row.before, row.after); !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func FuzzTicked(f *testing.F) {
	body := report.Board(boards()["board"])
	f.Add(body, strings.ReplaceAll(body, "[ ]", "[x]"))
	f.Add("", "- [x] <!-- belay:do hold -->")
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, b := range report.Ticked(before, after) {
			if !strings.Contains(before, b.String()) || !strings.Contains(after, b.String()) {
				t.Errorf("%v was not there", b)
			}
		}
		if list := report.Ticked(after, after); len(list) > 0 && !strings.Contains(after, "[ ]") {
			t.Errorf("nothing changed, and yet %v", list)
		}
	})
}
