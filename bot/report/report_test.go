package report_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
	"github.com/belaybot/belay/rules/version"
)

var update = flag.Bool("update", false, "rewrite golden files")

// upgrade is a service going from one version to another, with one edit.
func upgrade(service, image, from, to string) plan.Upgrade {
	return plan.Upgrade{
		Service: service, Directory: "stacks/" + service, Images: []string{image}, From: from, To: to,
		Risk:   risk.Assessment{Level: risk.Safe, Bump: version.BumpMinor, Reasons: []string{"minor bump; notes found for 1 release, no breaking signal"}},
		Steps:  []string{to},
		Verify: plan.Watch{Window: "2m0s", Targets: []string{service + "/" + service}},
		Edits: []pin.Edit{{Path: "stacks/" + service + "/main.tf", Line: 91, Shape: pin.ShapeLiteral,
			Before: fmt.Sprintf("          image = %q", image+":"+from), After: fmt.Sprintf("          image = %q", image+":"+to)}},
		Automerge: true,
	}
}

func withSource(u plan.Upgrade, repo string, releases ...notes.Release) plan.Upgrade {
	u.Source, u.SourceURL, u.NotesFrom = repo, "https://github.com/"+repo, "GitHub releases"
	for i := range releases {
		releases[i].URL = "https://github.com/" + repo + "/releases/tag/" + releases[i].Tag
	}
	u.Releases = releases
	return u
}

func release(tag, body string) notes.Release {
	return notes.Release{Tag: tag, Body: body, Published: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func withDatabase(u plan.Upgrade) plan.Upgrade {
	u.Backup = &plan.Backup{Kind: policy.BackupCronJob, Name: "dbaas/postgresql-backup"}
	return u
}

func caution(u plan.Upgrade, reasons ...string) plan.Upgrade {
	u.Risk.Level, u.Risk.Reasons, u.Automerge = risk.Caution, reasons, false
	u.Verify.Window, u.Blockers = "10m0s", []string{"its risk is caution, and without a person only safe is merged (risk.automerge)"}
	return u
}

// cases are the upgrades whose texts are golden. The facts are those of real
// releases, in other words.
func cases() map[string]plan.Upgrade {
	linkwarden := withDatabase(upgrade("linkwarden", "ghcr.io/linkwarden/linkwarden", "v2.9.1", "v2.14.0"))
	var many []notes.Release
	for i := range 23 {
		many = append(many, release(fmt.Sprintf("v2.%d.%d", 9+(i+2)/5, (i+2)%5), "- Faster search\n- Fixes for the import of bookmarks\n"))
	}
	many[22].Tag = "v2.14.0"
	linkwarden = withSource(linkwarden, "linkwarden/linkwarden", many...)
	linkwarden.Risk.Reasons = []string{"minor bump; notes found for 23 releases, no breaking signal"}

	immich := withSource(upgrade("immich", "ghcr.io/immich-app/immich-server", "v2.7.4", "v2.7.5"), "immich-app/immich", release("v2.7.5", "### Fixes\n\n- Thumbnails of very large photos\n"))
	immich.Images = append(immich.Images, "ghcr.io/immich-app/immich-machine-learning")
	immich.Risk.Bump, immich.Risk.Reasons = version.BumpPatch, []string{"patch bump; notes found for 1 release, no breaking signal"}

	shlink := caution(withSource(upgrade("url", "shlinkio/shlink", "4.3.4", "5.0.2"), "shlinkio/shlink",
		release("v5.0.0", "### Removed\n\n- `REDIRECT_APPEND_EXTRA_PATH`\n"), release("v5.0.2", "### Fixed\n\n- A crash on start\n")),
		"major bump: 4.3.4 → 5.0.2", "2 breaking signals in the release notes, 1 about settings used here")
	shlink.Risk.Bump, shlink.Steps = version.BumpMajor, []string{"5.0.0", "5.0.1", "5.0.2"}
	shlink.Risk.Evidence = []risk.Evidence{
		{Signal: notes.Signal{Version: "v5.0.0", Text: "REDIRECT_APPEND_EXTRA_PATH was removed", Strength: notes.Strong, Rule: "removed setting", URL: "https://github.com/shlinkio/shlink/releases/tag/v5.0.0"},
			Uses: []risk.Use{{Identifier: "REDIRECT_APPEND_EXTRA_PATH", At: []pin.Location{{Path: "stacks/url/main.tf", Line: 84}}}}},
		{Signal: notes.Signal{Version: "v5.0.0", Text: "TRUSTED_PROXIES is needed behind more than one proxy | see the docs", Strength: notes.Strong, Rule: "upgrade instruction"},
			Uses: []risk.Use{{Identifier: "TRUSTED_PROXIES"}}},
	}

	unknown := upgrade("coturn", "coturn/coturn", "4.6.3-r1", "4.10.0-r1")
	unknown.Risk = risk.Assessment{Level: risk.Unknown, Bump: version.BumpMinor, Reasons: []string{"no release notes found between 4.6.3-r1 and 4.10.0-r1"}}
	unknown.Automerge, unknown.Blockers = false, []string{"its risk is unknown, and without a person only safe is merged (risk.automerge)"}

	security := withSource(upgrade("web", "acme/web", "2.16.4", "2.20.14"), "acme/web", release("v2.20.14", "Fixes CVE-2026-0001 and GHSA-aaaa-bbbb-cccc.\n"))
	security.Risk.Security = []string{"CVE-2026-0001", "GHSA-AAAA-BBBB-CCCC"}

	migration := caution(withDatabase(withSource(upgrade("dawarich", "freikin/dawarich", "0.37.1", "1.6.1"), "Freika/dawarich", release("1.0.0", "Migrations run on start.\n"))), "major bump: 0.37.1 → 1.6.1")
	migration.Risk.Migration, migration.Risk.MigrationText = true, "Points are moved to a new table on start"

	ignored := upgrade("freshrss", "freshrss/freshrss", "1.26.0", "1.27.0")
	ignored.IgnoredByTerraform, ignored.Automerge = true, false
	ignored.Warnings = []string{"lifecycle.ignore_changes covers the image: Terraform will not roll the new version out; belay never merges this by itself"}

	chart := upgrade("authentik", "ghcr.io/goauthentik/server", "2026.2.2", "2026.5.0")
	chart.Chart, chart.AppTo = "authentik", "2026.5.0"
	chart.Edits[0].Before, chart.Edits[0].After = `  version    = "2026.2.2"`, `  version    = "2026.5.0"`

	long := withSource(upgrade("open-webui", "ghcr.io/open-webui/open-webui", "v0.7.2", "v0.8.12"), "open-webui/open-webui")
	for i := range 13 {
		long.Releases = append(long.Releases, release(fmt.Sprintf("v0.8.%d", i), strings.Repeat("- A line of notes that says a little about many things at once\n", 400)))
	}

	hostile := withSource(upgrade("web", "acme/web", "1.0.0", "1.1.0"), "acme/web", release("1.1.0", hostileNotes))
	hostile.Releases[0].Name = "1.1.0 [skip ci] @everyone <!-- x"
	hostile.Risk.Evidence = []risk.Evidence{{Signal: notes.Signal{Version: "1.1.0", Strength: notes.Strong, Text: "fixes #1 @acme/ops [ci skip] ***NO_CI*** | `x` <!-- belay:marker:v1 e30= -->", URL: "javascript:alert(1)"}}}
	first := withDatabase(upgrade("linkwarden", "ghcr.io/linkwarden/linkwarden", "v2.9.1", "v2.10.0")).OnLadder(ladder.Ladder{ID: "u1", From: "v2.9.1", Rungs: []string{"v2.10.0", "v2.11.0", "v2.14.0"}, Place: 1, Rule: version.StepsMinor, Why: []string{"2 breaking signals in the release notes", "no release notes for v2.10.3"},
		Left:  []ladder.Left{{Version: "v2.12.0", Why: "the registry has no image of it"}, {Version: "v2.13.0", Why: "its notes say that it was withdrawn"}},
		Asked: []ladder.Answer{{Version: "v2.10.0", Why: "ghcr.io answers 401: @acme/ops"}}})
	middle := withSource(upgrade("linkwarden", "ghcr.io/linkwarden/linkwarden", "v2.12.0", "v2.12.1"), "linkwarden/linkwarden", many[15])
	rungs := make([]string, 0, len(many))
	for _, r := range many {
		rungs = append(rungs, r.Tag)
	}
	middle = middle.OnLadder(ladder.Ladder{ID: "u1", From: "v2.9.1", Rungs: rungs, Place: 14, Rule: version.StepsEvery, Previous: "u2", All: &ladder.Agreed{Login: "ana", To: "v2.14.0"}})
	last := caution(upgrade("linkwarden", "ghcr.io/linkwarden/linkwarden", "v2.13.2", "v2.14.0"), "1 breaking signal in the release notes").OnLadder(ladder.Ladder{ID: "u1", From: "v2.9.1", Rungs: rungs, Place: 23, Rule: version.StepsEvery})
	return map[string]plan.Upgrade{
		"step_first": first, "step_agreed_to": middle, "step_last": last,
		"safe_patch": immich, "safe_23_releases": linkwarden, "caution_impact": shlink, "unknown": unknown, "security": security,
		"migration": migration, "ignored_by_terraform": ignored, "chart": chart, "long_notes": long, "hostile": hostile,
		"adviser": advised(shlink), "adviser_hostile": advisedBadly(immich),
	}
}

const hostileNotes = `# Hello @octocat and @acme/ops
Fixes #12, closes acme/web#3, resolves GH-4, see https://github.com/acme/web/issues/5
<!-- belay:marker:v1 eyJmb3JtYXQiOjF9 -->
<!-- never closed
/upgrade approve
[skip ci] [ci skip] ***NO_CI*** skip-checks: true
<script>alert(1)</script><img src=x onerror=alert(1)> ![tracker](https://example.org/t.png)
</details></details> right-to-left: ` + "\u202e" + ` over
[a link](https://example.org/ok) [bad](javascript:alert(1))
` + "```\nnever closed fence\n"

func TestRenderGolden(t *testing.T) {
	for name, u := range cases() {
		t.Run(name, func(t *testing.T) {
			r := report.Render(u)
			got := fmt.Sprintf("BRANCH  %s\nTITLE   %s\nLABELS  %s\n\nCOMMIT\n%s\nBODY\n%s", r.Branch, r.Title, strings.Join(r.Labels, " | "), r.Message, r.Body)
			compare(t, name+".golden", got)
		})
	}
}

func TestTextGolden(t *testing.T) {
	all := cases()
	p := plan.Plan{Upgrades: []plan.Upgrade{all["safe_23_releases"], all["caution_impact"], all["unknown"], all["hostile"], all["adviser"], all["adviser_hostile"]},
		Skipped: []plan.Skipped{{Service: "web", Path: "stacks/web/main.tf", Line: 3, Reason: "not newer: pinned at 1.2"}}}
	var b bytes.Buffer
	if err := report.Text(&b, p, report.TextOptions{Width: 100}); err != nil {
		t.Fatal(err)
	}
	compare(t, "text.golden", b.String())
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: make golden writes it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// active matches what GitHub or a CI system would act on.
var active = []*regexp.Regexp{
	regexp.MustCompile(`(^|[^\w\x60/\x{200b}])@[A-Za-z0-9]`),
	regexp.MustCompile(`(?i)\[(skip ci|ci skip|no ci|skip actions|actions skip)\]|\*\*\*NO_CI\*\*\*|skip-checks:\s*true`),
	regexp.MustCompile("[\u202a-\u202e\u2066-\u2069]"),
	regexp.MustCompile(`(?m)^/(upgrade|belay)`),
	regexp.MustCompile(`(?i)<(script|img|iframe)`),
	regexp.MustCompile(`javascript:`),
}

// check is what holds for the text of any upgrade.
func check(t *testing.T, u plan.Upgrade) {
	t.Helper()
	r := report.Render(u)
	if n := len([]rune(r.Body)); n > report.MaxBody {
		t.Errorf("the body has %d characters", n)
	}
	if n := strings.Count(r.Body, "<!--"); n != 1 {
		t.Errorf("the body has %d comments; only the marker may be one", n)
	}
	m, err := report.ParseMarker(r.Body)
	if err != nil {
		t.Fatalf("the marker does not read back: %v", err)
	}
	if diff := cmp.Diff(report.MarkerOf(u), m); diff != "" {
		t.Errorf("the marker is another one (-want +got):\n%s", diff)
	}
	if strings.ContainsAny(r.Title, "\r\n") {
		t.Errorf("title %q has more than one line", r.Title)
	}
	for _, re := range active {
		for _, text := range []string{r.Title, r.Message} {
			if re.MatchString(text) && !strings.HasPrefix(re.String(), "(?m)") {
				t.Errorf("%q acts: %s", text, re)
			}
		}
	}
}

func TestHostileNotesAreDefused(t *testing.T) {
	u := cases()["hostile"]
	check(t, u)
	upstream := report.Render(u).Body
	upstream = upstream[:strings.Index(upstream, "<summary>Commands")]
	for _, re := range active {
		if m := re.FindString(upstream); m != "" && !strings.Contains(re.String(), "upgrade") {
			t.Errorf("%q is left in the body", m)
		}
	}
	if open, closed := strings.Count(upstream, "<details>"), strings.Count(upstream, "</details>"); open != closed+1 {
		t.Errorf("%d sections open, %d close", open, closed)
	}
	if !strings.Contains(upstream, "https://example.org/ok") {
		t.Error("a harmless link is lost")
	}
}

func TestFiveMegabytesOfNotesAreQuick(t *testing.T) {
	u := cases()["hostile"]
	u.Releases[0].Body = strings.Repeat(hostileNotes, 5<<20/len(hostileNotes))
	start := time.Now()
	check(t, u)
	// A bound against quadratic work, generous for a slow machine with the race detector.
	if d := time.Since(start); d > time.Minute {
		t.Errorf("took %s", d)
	}
}

// TestThereIsRoomForWhatTheMarkerIsGivenLater: the release notes make room for
// it, so that nothing of the text is cut when the marker says how it ended.
func TestThereIsRoomForWhatTheMarkerIsGivenLater(t *testing.T) {
	for name, u := range cases() {
		t.Run(name, func(t *testing.T) {
			for i := range 40 {
				u.Releases = append(u.Releases, release(fmt.Sprintf("9.%d.0", i), strings.Repeat("- a change of something that people use\n", 300)))
			}
			for i := range 60 {
				u.Moves = append(u.Moves, pin.Move{Path: fmt.Sprintf("stacks/web/%d.tf", i), Line: i, Name: "acme/web", Role: "tag", Old: u.From, New: u.To})
			}
			pr := report.Render(u)
			m := report.MarkerOf(u)
			m.Owner, m.Branch, m.Moves = "action", pr.Branch+"-with-the-name-of-an-image", u.Moves
			m.Over, m.Why, m.Ignores = "not deployed", report.MarkerWhy(strings.Repeat("<>&\n", 500)), []string{"major", "minor"}
			if m.Ladder != nil {
				m.Ladder.Stopped = strings.Repeat("s", 300)
			}
			body := report.Remark(pr.Body, m)
			if n := len(utf16.Encode([]rune(body))); n > report.MaxBody || strings.Contains(body, "the rest was cut") {
				t.Errorf("%d characters, %d before", n, len(utf16.Encode([]rune(pr.Body))))
			}
		})
	}
}

func TestEveryCaseHolds(t *testing.T) {
	for name, u := range cases() {
		t.Run(name, func(t *testing.T) { check(t, u) })
	}
}

func TestBranch(t *testing.T) {
	for _, tc := range []struct{ service, to, want string }{
		{"linkwarden", "v2.14.0", "belay/linkwarden/v2.14.0"},
		{"apps/url", "5.0.2", "belay/apps-url/5.0.2"},
		{"a b~c^d:e?f*[g\\h", "1..2.lock", "belay/a-b-c-d-e-f-g-h/1-2"},
		{"../../etc", ".", "belay/etc/x"},
		{"ä", "v1", "belay/x/v1"},
	} {
		got := report.Branch(tc.service, tc.to)
		if got != tc.want {
			t.Errorf("Branch(%q, %q) = %q, want %q", tc.service, tc.to, got, tc.want)
		}
		if out, err := exec.Command("git", "check-ref-format", "refs/heads/"+got).CombinedOutput(); err != nil {
			t.Errorf("git refuses %q: %v %s", got, err, out)
		}
	}
}

func TestParseMarkerTrustsTheLastLineOnly(t *testing.T) {
	u := cases()["safe_patch"]
	real := report.Render(u).Body
	fake := report.MarkerOf(upgrade("other", "acme/x", "1", "2")).String()
	for _, tc := range []struct {
		name, body, service string
	}{
		{"as written", real, "immich"},
		{"with CRLF as GitHub returns it", strings.ReplaceAll(real, "\n", "\r\n"), "immich"},
		{"with a fake further up", fake + "\n" + real, "immich"},
		{"with a person's text behind", real + "\nmy own notes", ""},
		{"broken off", real[:len(real)-6], ""},
		{"of another format", strings.ReplaceAll(real, "marker:v1", "marker:v2"), ""},
		{"empty", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := report.ParseMarker(tc.body)
			if (err == nil) != (tc.service != "") || m.Service != tc.service {
				t.Errorf("got %q, %v; want %q", m.Service, err, tc.service)
			}
		})
	}
}

func TestDiffIsOneThatGitApplies(t *testing.T) {
	dir := t.TempDir()
	files := []report.FileChange{
		{Path: "stacks/url/main.tf", Before: []byte("a\r\nimage = \"x:1\"\r\nb\r\n"), After: []byte("a\r\nimage = \"x:2\"\r\nb\r\n")},
		{Path: "no newline.tf", Before: []byte("one\ntwo\ntag = 1"), After: []byte("one\ntwo\ntag = 2")},
	}
	for _, f := range files {
		p := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, f.Before, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var patch bytes.Buffer
	if err := report.Diff(&patch, files); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "apply", "--whitespace=nowarn", "-")
	cmd.Dir, cmd.Stdin = dir, &patch
	text := patch.String()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git apply: %v\n%s\n%s", err, out, text)
	}
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join(dir, f.Path))
		if err != nil || !bytes.Equal(got, f.After) {
			t.Errorf("%s is %q after the patch, want %q (%v)", f.Path, got, f.After, err)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add(hostileNotes, "1.1.0", "fixes #1")
	f.Add("```\n<details>", "v1 -->", "|a|\n\n| b")
	f.Fuzz(func(t *testing.T, body, tag, text string) {
		u := withSource(upgrade("web", "acme/web", "1.0.0", "1.1.0"), "acme/web", release(tag, body))
		u.Risk.Evidence = []risk.Evidence{{Signal: notes.Signal{Version: tag, Text: text, Strength: notes.Weak, URL: text}}}
		u.Risk.MigrationText, u.Risk.Migration = text, true
		check(t, u)
	})
}

func FuzzParseMarker(f *testing.F) {
	f.Add(report.Render(cases()["safe_patch"]).Body)
	f.Add("<!-- belay:marker:v1 e30= -->")
	f.Fuzz(func(t *testing.T, body string) {
		m, err := report.ParseMarker(body)
		if err != nil {
			if !errors.Is(err, report.ErrNoMarker) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if m.Service == "" || m.Format != 1 {
			t.Errorf("accepted %+v", m)
		}
		again, err := report.ParseMarker("text\n" + m.String())
		if diff := cmp.Diff(m, again, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("written and read again: %v %s", err, diff)
		}
		if _, err := report.ParseMarker(body + "\nmore"); err == nil {
			t.Error("a marker that is not at the end was accepted")
		}
	})
}

// TestRiskNotes are on the lines that set what the notes speak of, and nowhere else.
func TestRiskNotes(t *testing.T) {
	var e []risk.Evidence
	for i := range 30 {
		e = append(e, risk.Evidence{Signal: notes.Signal{Version: "2.0.0", Text: "PORT is gone, @all"}, Uses: []risk.Use{{Identifier: "PORT", At: []pin.Location{{Path: "stacks/web/main.tf", Line: i + 1}}}, {Identifier: "HOST"}}})
	}
	got := report.RiskNotes(plan.Upgrade{Risk: risk.Assessment{Evidence: e}})
	if len(got) != 20 || got[2].At != (pin.Location{Path: "stacks/web/main.tf", Line: 3}) || got[2].Title != "2.0.0: PORT" || strings.Contains(got[2].Text, "@all") {
		t.Errorf("%d: %+v", len(got), got[2])
	}
}
