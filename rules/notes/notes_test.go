package notes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/version"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []string // "tag: first line of the body"
	}{
		{"Keep a Changelog", "# Changelog\n\n## [Unreleased]\n- later\n\n## [1.1.0] - 2024-02-01\n### Added\n- a\n\n## [1.0.0] - 2024-01-01\n- b\n\n[1.1.0]: https://example.org\n", []string{"1.1.0: ### Added", "1.0.0: - b"}},
		{"a v and a date in parentheses", "## v1.2.3 (2024-05-06)\n- a\n## v1.2.2 (2024-05-01)\n- b\n", []string{"v1.2.3: - a", "v1.2.2: - b"}},
		{"headings of the first level", "# 1.2\n- a\n# 1.1\n- b\n", []string{"1.2: - a", "1.1: - b"}},
		{"setext headings", "Version 2.0.0\n=============\n\n- a\n\nVersion 1.9.0\n=============\n\n- b\n", []string{"2.0.0: - a", "1.9.0: - b"}},
		{"reStructuredText", "1.5.0 (2024-01-02)\n~~~~~~~~~~~~~~~~~~\n\n* a\n\n1.4.0 (2023-01-02)\n~~~~~~~~~~~~~~~~~~\n\n* b\n", []string{"1.5.0: * a", "1.4.0: * b"}},
		{"links in headings", "## [v2.0.0](https://github.com/acme/web/releases/tag/v2.0.0) (2024-01-01)\n- a\n", []string{"v2.0.0: - a"}},
		{"a version inside the notes is no release", "## 2.0.0\n### Upgrading from 1.0.0\n- a\n### 2.0 in short\n- b\n", []string{"2.0.0: ### Upgrading from 1.0.0"}},
		{"a heading inside a code block is none", "## 2.0.0\n```\n## 1.0.0\n```\n- a\n", []string{"2.0.0: ```"}},
		{"CRLF", "## 2.0.0\r\n- a\r\n## 1.0.0\r\n- b\r\n", []string{"2.0.0: - a", "1.0.0: - b"}},
		{"plain text", "Version 4.5.2 'dan':\n\t- a\n\nVersion 4.5.1 'dan':\n\t- b\n", []string{"4.5.2: - a", "4.5.1: - b"}},
		{"no release at all", "# About\n\nSome words about 1.2.3 in a sentence.\n", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, r := range notes.Split(tc.in) {
				first, _, _ := strings.Cut(r.Body, "\n")
				got = append(got, r.Tag+": "+strings.TrimSpace(first))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplitReadsParagraphsOfAnyLength(t *testing.T) {
	for n := 1; n < 5000; n += 7 {
		long := strings.Repeat("é", n) + "\n" + strings.Repeat("a ", 2048-n/8) + "\n" + strings.Repeat("b", 9000)
		got := notes.Split("## 1.1.0\n" + long + "\n## 1.0.0\n- b\n")
		if len(got) != 2 {
			t.Fatalf("%d characters: %d releases, want 2", n, len(got))
		}
	}
}

func TestSplitKeepsDates(t *testing.T) {
	got := notes.Split("## [1.1.0] - 2024-02-01\n- a\n")
	if len(got) != 1 || !got[0].Published.Equal(time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v", got)
	}
}

func TestBetween(t *testing.T) {
	parse := func(s string) version.Tag {
		v, err := version.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	all := []notes.Release{{Tag: "v2.0.0"}, {Tag: "v1.3.0-rc.1"}, {Tag: "v1.2.0"}, {Tag: "v1.10.0"}, {Tag: "v1.1.0", Draft: true}, {Tag: "v1.0.0"}, {Tag: "nightly"}, {Tag: "chart-1.5.0"}, {Tag: "v1.2.0", Body: "longer"}}
	mono := []notes.Release{{Tag: "server/v1.2"}, {Tag: "client/v1.3"}, {Tag: "server/v1.1"}}
	for _, tc := range []struct {
		name                string
		in                  []notes.Release
		from, to, component string
		want                []string
	}{
		{"from is out, to is in, oldest first", all, "1.0.0", "1.10.0", "", []string{"v1.2.0", "v1.3.0-rc.1", "v1.10.0"}},
		{"towards a pre-release", all, "1.2.0", "1.3.0-rc.2", "", []string{"v1.3.0-rc.1"}},
		{"suffixes of the pin do not count", all, "1.0.0-alpine", "1.2.0-alpine", "", []string{"v1.2.0"}},
		{"a component", mono, "1.0", "1.3", "server", []string{"server/v1.1", "server/v1.2"}},
		{"nothing", all, "2.0.0", "2.1.0", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, r := range notes.Between(tc.in, parse(tc.from), parse(tc.to), tc.component) {
				got = append(got, r.Tag)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSignals(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       []string // "strength rule: identifiers"
	}{
		{"an item under Breaking changes", "### Breaking changes\n- The `LOG_LEVEL` variable is gone\n", []string{"strong under a heading of breaking changes: LOG_LEVEL"}},
		{"a warning sign in the heading", "## ⚠️ Breaking Changes\n\n* Drops something\n", []string{"strong under a heading of breaking changes: "}},
		{"a bold line as heading", "**Breaking changes:**\n- x y z\n", []string{"strong under a heading of breaking changes: "}},
		{"an empty section", "### Breaking changes\n\n### Removed\n* *Nothing*\n### Deprecated\n- None.\n", nil},
		{"no breaking changes", "There are no breaking changes in this release.\n- A non-breaking change of the layout\n", nil},
		{"a conventional commit", "- feat(api)!: answer with another status\n", []string{"strong conventional commit with !: "}},
		{"the marker", "BREAKING CHANGE: the port is 8080\n", []string{"strong breaking change marker: "}},
		{"a marker of projects that speak of BC", "- [BC BREAK] Another status\n", []string{"strong breaking change marker: "}},
		{"a reference to upgrade notes", "Please check [the upgrade notes](https://example.org/upgrade.md) for details.\n", []string{"strong points to upgrade notes: "}},
		{"upgrade notes of the project's own docs", "- docs: see the upgrade notes from the menu\n", nil},
		{"a removed setting", "### Removed\n- `REDIRECT_APPEND_EXTRA_PATH` environment variable\n", []string{"strong removed, named under a heading: REDIRECT_APPEND_EXTRA_PATH"}},
		{"a removed word", "### Removed\n- The old logo\n", []string{"weak under a heading of removals: "}},
		{"an instruction", "- You must set `TRUSTED_PROXIES` when there is more than one proxy\n", []string{"strong instruction to the operator: TRUSTED_PROXIES"}},
		{"support dropped", "- Drop support for PostgreSQL 12\n", []string{"strong support dropped: "}},
		{"a minimum raised", "- Now requires PostgreSQL 15 or later\n", []string{"strong minimum version raised: "}},
		{"a default changed", "- `cache_size` now defaults to 1 GB\n", []string{"strong default changed: cache_size"}},
		{"a keyword alone is weak", "- Renamed the menu entry\n", []string{"weak keyword: "}},
		{"a bug fix with the word removed", "### Fixed\n- A crash when a file was removed\n- Removed a typo\n", nil},
		{"the project's own affairs", "### Dependencies\n- Removed left-pad\n### Tests\n- breaking test removed\n- chore: remove deprecated linter\n", nil},
		{"a link's text and address", "- Faster search, see [why](https://example.org/breaking-removed)\n", nil},
		{"an inflection", "- Incompatibilities with old themes\n- The removal of the old logo\n", []string{"weak keyword: ", "weak keyword: "}},
		{"it says that it breaks", "- This breaks existing themes\n- Avoid breaking changes in plugins\n", []string{"strong says that it breaks: ", "weak keyword: "}},
		{"what was deprecated is gone", "- Remove the deprecated webhook format\n- Remove deprecated jQuery functions\n", []string{"strong deprecated and now gone: ", "weak keyword: "}},
		{"switched for everybody", "- The console is disabled by default\n- A new panel (disabled by default)\n", []string{"strong default changed: ", "weak default changed: "}},
		{"an opt-in", "- Make the archive integration opt-in\n", []string{"strong default changed: "}},
		{"a platform in code font", "- Remove `linux/s390x` platform support\n", []string{"strong support dropped: "}},
		{"the end of a language that the image holds", "- Drop support for Python 3.9\n", []string{"weak support dropped: "}},
		{"a draft that goes", "- Remove support for a draft, as the proposal was rejected\n", []string{"weak support dropped: "}},
		{"tokens that end", "- Existing sessions are no longer valid\n", []string{"strong given out before and now invalid: "}},
		{"another user", "- The image now runs as non-root\n", []string{"strong another user or start command in the container: "}},
		{"a mandatory parameter", "- The `audience_url` parameter is now mandatory\n", []string{"strong required from now on: audience_url"}},
		{"another place", "- The metrics endpoint is now served on port 9000\n", []string{"strong found in another place or form: "}},
		{"another answer", "- The status endpoint returns a list instead of an object\n", []string{"strong answers otherwise: "}},
		{"a changed format", "- Changed the format of the access log\n", []string{"weak changed, as the line begins: "}},
		{"a refusal among the fixes", "### Bug fixes\n- Forbid 0 for `group_interval`\n", []string{"strong stricter than before: group_interval"}},
		{"a removal among the fixes", "### Bug fixes\n- Removed the `/v1` register endpoint\n", []string{"strong setting removed or renamed: /v1"}},
		{"important notes on security", "### Important\n- Fixes a vulnerability, please upgrade\n- The list is shorter\n", []string{"weak under a heading of important notes: "}},
		{"what comes back under Breaking changes", "### Breaking changes\n- Reintroduced the old login\n", []string{"weak under a heading of breaking changes: "}},
		{"a shell's variable", "### Removed\n- Automatic initialization of $STEPPATH\n", []string{"strong removed, named under a heading: STEPPATH"}},
		{"items below an item of the project's own", "* Build/Test\n  * Require vars.DOCKER_HOST to publish\n* Remove the `OLD_HOST` setting\n", []string{"strong setting removed or renamed: OLD_HOST"}},
		{"a warning sign before an item", "- ⚠ Sorting by hidden fields is disallowed\n- 🚨 The old way is deprecated\n", []string{"strong behind a warning sign: ", "weak behind a warning sign: "}},
		{"the old way can be kept", "- Streams are flushed early. To retain the old behaviour set `--flush-interval=0`\n", []string{"strong instruction to the operator: --flush-interval"}},
		{"a module switched off in a commit", "- 14efd9c prosody: disable offline and register modules\n", []string{"strong switched off or on, as the line begins: "}},
		{"a name in camel case", "- Change default `maxHistory` to 10000\n", []string{"strong default changed: maxHistory"}},
		{"lists in HTML", "<h3>Breaking changes</h3><ul><li>The <code>LOG_LEVEL</code> variable is gone</li><li>Another</li></ul><h3>Fixes</h3><ul><li>A file was removed</li></ul>", []string{"strong under a heading of breaking changes: LOG_LEVEL", "strong under a heading of breaking changes: "}},
		{"part of a word", "- Groundbreaking speed, unremoved\n", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, s := range notes.Signals(notes.Release{Tag: "v1", Body: tc.body}, notes.DefaultKeywords) {
				got = append(got, fmt.Sprintf("%s %s: %s", s.Strength, s.Rule, strings.Join(s.Identifiers, " ")))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSecurity(t *testing.T) {
	got := notes.Security("Fixes cve-2024-12345, GHSA-jh3w-4vvf-mjgr and CVE-2024-12345 again; not CVE-24-1 or GHSA-nope.")
	if diff := cmp.Diff([]string{"CVE-2024-12345", "GHSA-JH3W-4VVF-MJGR"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMigrates(t *testing.T) {
	for body, want := range map[string]bool{
		"- The database schema is migrated on start, which may take long": true,
		"- Re-indexing runs in the background after the upgrade":          true,
		"Run the pending migrations before you start the new version.":    true,
		"- Adds a data migration for points":                              true,
		"- Faster search":                                                 false,
		"- Delete rows before adding a NOT NULL constraint on node_id":    true,
		"- Performance: add DB indexes for common queries":                true,
		"- Drop old columns":                                              true,
		"- The salt is now stored in the database":                        true,
		"You will need to make a backup of your database.":                true,
		"- Add a speed column to the list":                                false,
		"- Migration to another code host":                                false,
		"- No database migrations in this release":                        false,
		"### Documentation\n- Describe database migrations":               false,
		"### Fixed\n- A typo in the database migration":                   false,
	} {
		if text, got := notes.Migrates(notes.Release{Tag: "v1", Body: body}); got != want {
			t.Errorf("%q: %v (%q), want %v", body, got, text, want)
		}
	}
}

func TestNeutralise(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain text stays", "- Faster **search**", "- Faster **search**"},
		{"a link stays", "[docs](https://example.org/a_(b))", "[docs](https://example.org/a_(b))"},
		{"a mention pings nobody", "thanks @octocat", "thanks @&#8203;octocat"},
		{"an address is no mention", "mail ops@example.org", "mail ops@example.org"},
		{"an issue is not referred to", "fixes #12 and acme/web#3", "fixes #&#8203;12 and acme/web#&#8203;3"},
		{"an issue's address neither", "https://github.com/acme/web/issues/3", "https://redirect.github.com/acme/web/issues/3"},
		{"a comment goes", "a <!-- b --> c", "a  c"},
		{"an unclosed comment hides nothing", "a <!-- b", "a  b"},
		{"HTML is text", "<b>x</b> 1 < 2", "&lt;b>x&lt;/b> 1 < 2"},
		{"an image leaves its text", "![logo](x.png)", "logo"},
		{"another scheme is no link", "[x](javascript:alert(1))", "x"},
		{"headings step back", "# Title\n## Part", "**Title**\n**Part**"},
		{"an underlined heading too", "Title\n=====", "Title"},
		{"code keeps its characters", "`@octocat #1 <b>`", "`@octocat #1 <b>`"},
		{"an open code span is text", "a ` @octocat", "a \\` @&#8203;octocat"},
		{"an open fence is closed", "```\nx", "```\nx\n```"},
		{"a longer fence is one of three", "~~~~\n```\n~~~~", "```\n'''\n```"},
		{"characters that reorder text go", "a\u202eb\u200bc", "abc"},
		{"a command is none", "/upgrade approve", "\\/upgrade approve"},
		{"words that stop CI are broken in code too", "`[skip ci]`\n```\n[ci skip]\n***NO_CI***\n```", "`(skip ci)`\n```\n(ci skip)\nNO CI\n```"},
		{"words that stop CI are broken", "[skip ci]", "[skip&#8203; ci]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, notes.Neutralise(tc.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"**Removed** `X` [docs](https://example.org)": "Removed X docs",
		`\[#12\] R&amp;D \*x`:                         "[12] R&D *x",
		"&lt;!-- x --&gt; y &#64;octocat":             "y octocat",
		"a\nb\tc":                                     "a b c",
		"thanks @octocat, fixes #12":                  "thanks octocat, fixes 12",
		"[skip ci] ***NO_CI*** done":                  "skip ci NO CI done",
		"# /upgrade approve":                          "upgrade approve",
		"<script>x</script>":                          "‹script›x‹/script›",
		"skip-checks: true":                           "skip-checks true",
		"[[skip ci]skip ci] [skip[skip ci] ci]":       "[skip ciskip ci] [skipskip ci ci]",
	} {
		if got := notes.Plain(in); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
	if n := len([]rune(notes.Plain(strings.Repeat("ä ", 5000)))); n > 500 {
		t.Errorf("%d characters", n)
	}
}

// TestHostileNotesTakeLinearTime would take many minutes where reading is
// quadratic. The bound is no measure of speed: BenchmarkSignals is.
func TestHostileNotesTakeLinearTime(t *testing.T) {
	for name, piece := range map[string]string{
		"comments that never end": "<!--", "comments with text": "<!-- a ", "quotes": ">", "lists": "- ", "openers": "[a](",
		"images": "![a][", "backticks": "` ``", "mentions": "@a #1 <!-- [skip ci] ", "one word": "a", "lines": "@a #1\n",
	} {
		start := time.Now()
		text := strings.Repeat(piece, 2_000_000/len(piece))
		notes.Neutralise(text)
		notes.Plain(text)
		notes.Migrates(notes.Release{Body: text})
		notes.Signals(notes.Release{Body: text}, notes.DefaultKeywords)
		notes.Split("## 1.0.0\n" + text)
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: 2 MB took %s", name, took)
		}
	}
}

// acts is what GitHub or a CI system would act on outside code.
var acts = []*regexp.Regexp{
	regexp.MustCompile(`(^|[^A-Za-z0-9_])@[A-Za-z0-9]`),
	regexp.MustCompile(`(?i)\[(skip ci|ci skip|no ci|skip actions|actions skip)\]`),
	regexp.MustCompile("[\u202a-\u202e\u2066-\u2069]"),
	regexp.MustCompile(`(?m)^\s*/(upgrade|belay)`),
}

var spans = regexp.MustCompile("(?s)```.*?```|`+[^`\n]*`+")

func FuzzNeutralise(f *testing.F) {
	for _, s := range []string{"@a #1 <!-- x", "```\n@a", "[a](b) ![c](d)", "`` ` @x", "[![a](b)](c)", "a\n===\n/upgrade x", "[skip ci] @@a", "~~~\n~~~ x\n~~~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := notes.Neutralise(in)
		if strings.Contains(out, "<!--") {
			t.Errorf("a comment is left: %q", out)
		}
		rest := spans.ReplaceAllString(out, "")
		for _, re := range acts {
			if m := re.FindString(rest); m != "" {
				t.Errorf("%q is left in %q", m, rest)
			}
		}
		plain := notes.Plain(in)
		for _, re := range acts[:3] {
			if m := re.FindString(plain); m != "" {
				t.Errorf("%q is left in the line %q", m, plain)
			}
		}
		if strings.ContainsAny(plain, "\r\n") || strings.Contains(plain, "<!--") {
			t.Errorf("%q is more than a line of text", plain)
		}
	})
}

func FuzzSignals(f *testing.F) {
	f.Add("### Breaking changes\n- `X` removed\n\n- [ ] x\n", "removed")
	f.Add("a\n---\n***\n```", "migration required")
	f.Fuzz(func(t *testing.T, body, keyword string) {
		for _, s := range notes.Signals(notes.Release{Tag: "v1", Body: body}, []string{keyword}) {
			if len([]rune(s.Text)) > 300 || s.Rule == "" || s.Strength != notes.Weak && s.Strength != notes.Strong {
				t.Errorf("odd signal %+v", s)
			}
		}
		notes.Migrates(notes.Release{Body: body})
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("## [1.0.0] - 2024-01-01\n- a\n")
	f.Add("1.0\n===\n\n1.0:\n")
	f.Fuzz(func(t *testing.T, in string) {
		for _, r := range notes.Split(in) {
			if _, err := version.Parse(r.Tag); err != nil {
				t.Errorf("release %q: %v", r.Tag, err)
			}
		}
	})
}

// thousand is 1,000 releases of notes, 10 MB.
func thousand() []notes.Release {
	line := "- A change of the `search_index` that makes results of older documents appear again, see [#123](https://example.org/123)\n"
	body := "### Added\n" + strings.Repeat(line, 30) + "### Fixed\n" + strings.Repeat(line, 50) + "### Removed\n- `OLD_OPTION`\n"
	var out []notes.Release
	for i := range 1000 {
		out = append(out, notes.Release{Tag: fmt.Sprintf("v1.%d.0", i), Body: body})
	}
	return out
}

func BenchmarkSignals(b *testing.B) {
	all := thousand()
	size := 0
	for _, r := range all {
		size += len(r.Body)
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, r := range all {
			notes.Signals(r, notes.DefaultKeywords)
		}
	}
}

func BenchmarkNeutralise(b *testing.B) {
	body := strings.Repeat("- thanks @octocat for #12, [docs](https://example.org) and `code`\n", 2000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		notes.Neutralise(body)
	}
}

func TestRulesInDocsAreCurrent(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "risk.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range notes.Rules() {
		if !strings.Contains(string(doc), "| "+r.Name+" |") {
			t.Errorf("docs/risk.md does not explain the rule %q", r.Name)
		}
	}
}
