package report_test

import (
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/advice"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/risk"
)

// advised is an upgrade that an adviser raised.
func advised(u plan.Upgrade) plan.Upgrade {
	u.Advice.Advice = &advice.Advice{Level: risk.Caution, Model: "claude-sonnet-5-5", Cut: true, Dropped: 1,
		Summary: []string{"A setting that this service uses is gone in v5.0.0.", "Two crashes are fixed."},
		Findings: []advice.Finding{{Version: "v5.0.0", Quote: "`REDIRECT_APPEND_EXTRA_PATH`", Text: "Links with an extra path may lead elsewhere.", Settings: []string{"REDIRECT_APPEND_EXTRA_PATH"},
			Uses: []risk.Use{{Identifier: "REDIRECT_APPEND_EXTRA_PATH", At: []pin.Location{{Path: "stacks/url/main.tf", Line: 84}}}}}}}
	u.Risk = risk.Assessment{Level: risk.Safe, Bump: u.Risk.Bump, Reasons: []string{"minor bump; notes found for 2 releases, no breaking signal"}}
	u.Risk = advice.Raised(u.Risk, u.Advice)
	return u
}

// advisedBadly has an adviser say what rules/advice would never let through:
// what is shown does not rest on that alone.
func advisedBadly(u plan.Upgrade) plan.Upgrade {
	bad := "fixes #1 @acme/ops [ci skip] ***NO_CI*** | `x` </details> <script>alert(1)</script> ![t](https://example.org/t.png) <!-- belay:marker:v1 e30= -->\n/upgrade approve \x1b[2J"
	u.Advice.Advice = &advice.Advice{Level: risk.Safe, Model: bad, Summary: []string{bad}, Dropped: 2,
		Findings: []advice.Finding{{Version: bad, Quote: bad, Text: bad, Settings: []string{bad}, Uses: []risk.Use{{Identifier: bad}}}}}
	return u
}

func TestWhatAnAdviserSaysIsMarkedAndDefused(t *testing.T) {
	body := report.Render(cases()["adviser"]).Body
	for _, want := range []string{"### Adviser (a language model; may be wrong)", "**CAUTION**", "stacks/url/main.tf:84", "by the rules alone: minor bump"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
	u := cases()["adviser_hostile"]
	check(t, u)
	body = report.Render(u).Body
	body = body[:strings.Index(body, "<summary>Commands")]
	for _, never := range []string{"@acme", "#1 ", "<script", "![", "<!-- ", "[ci skip]", "***NO_CI", "\x1b", "\n/upgrade"} {
		if strings.Contains(strings.ReplaceAll(body, "&#8203;", ""), never) {
			t.Errorf("%q is left in the body", never)
		}
	}
	if strings.Contains(report.Render(cases()["safe_patch"]).Body, "dviser") {
		t.Error("an adviser is spoken of where none was asked")
	}
}
