package report_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/rules/lifecycle"
)

func TestMemory(t *testing.T) {
	m := report.Memory(`{"why":"--> <!-- ` + strings.Repeat("x", 1000) + `"}`)
	for _, state := range []lifecycle.State{lifecycle.Open, lifecycle.Reverting} {
		text := report.WithMemory(report.StatusView{Service: "web", From: "1", To: "2", State: state, Failure: "it crashed"}, m)
		if !report.IsStatus(text) {
			t.Errorf("%s: not a status comment:\n%s", state, text)
		}
		got, err := report.ParseMemory(strings.ReplaceAll(text, "\n", "\r\n"))
		if err != nil || string(got) != string(m) {
			t.Errorf("%s: %q, %v", state, got, err)
		}
		if _, err := report.ParseMemory(text + "a line below\n"); !errors.Is(err, report.ErrNoMemory) {
			t.Errorf("%s: one further up counts: %v", state, err)
		}
	}
}

// TestMemoryIsBounded: a small text that unpacks into a large one is refused.
func TestMemoryIsBounded(t *testing.T) {
	if _, err := report.ParseMemory(report.Memory(strings.Repeat("0", 2<<20)).String()); !errors.Is(err, report.ErrNoMemory) {
		t.Errorf("error %v", err)
	}
}

func TestRemark(t *testing.T) {
	a, b := report.Marker{Format: 1, Service: "web", To: "1"}, report.Marker{Format: 1, Service: "web", To: "2", Owner: "action"}
	for _, body := range []string{"text", "text\n\n" + a.String() + "\n", "text\r\n\r\n" + a.String(), "text\n\n" + b.String() + "\n"} {
		got := report.Remark(body, b)
		if want := "text\n\n" + b.String() + "\n"; got != want {
			t.Errorf("Remark(%q) is %q", body, got)
		}
	}
}

// TestIsStatus: who quotes the comment in an answer has not written it.
func TestIsStatus(t *testing.T) {
	own := report.Status(report.StatusView{Service: "web", From: "1", To: "2", State: lifecycle.Verified})
	for _, tc := range []struct {
		name, body string
		want       bool
	}{
		{"belay's own", own, true},
		{"as GitHub returns it", strings.ReplaceAll(own, "\n", "\r\n"), true},
		{"quoted", "> " + strings.ReplaceAll(own, "\n", "\n> ") + "\n\nWhy is that?", false},
		{"pasted below a question", "What does this mean?\n\n" + own, false},
		{"none", "Done", false},
	} {
		if got := report.IsStatus(tc.body); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// TestMarkerOfAnotherPullRequest: a marker that was copied elsewhere is not believed there.
func TestMarkerOfAnotherPullRequest(t *testing.T) {
	own := report.Marker{Format: 1, Service: "web", To: "2", Branch: "belay/web/2"}
	old := report.Marker{Format: 1, Service: "web", To: "2"}
	for _, tc := range []struct {
		name, branch string
		m            report.Marker
		believed     bool
	}{
		{"its own branch", "belay/web/2", own, true},
		{"copied to another one", "belay/web/3", own, false},
		{"of an earlier version of belay", "belay/web/2", old, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := report.MarkerIn(report.Remark("text", tc.m), tc.branch)
			if tc.believed && (err != nil || m.Service != "web") || !tc.believed && !errors.Is(err, report.ErrNoMarker) {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

// TestRemarkFits: what is cut is said, and neither the marker nor the text is
// swallowed by a section or block that lost its end.
func TestRemarkFits(t *testing.T) {
	m := report.Marker{Format: 1, Service: "web", To: "2", Over: "failed", Why: strings.Repeat("why ", 100)}
	for _, tc := range []struct{ name, body string }{
		{"a text of one line", strings.Repeat("é", report.MaxBody)},
		{"of characters outside the basic plane", strings.Repeat("🧗", report.MaxBody)},
		{"of many lines", strings.Repeat("- a line\n", report.MaxBody/4)},
		{"in a section", "<details><summary>Notes</summary>\n\n" + strings.Repeat("a line\n", report.MaxBody)},
		{"in a block", "````text\n" + strings.Repeat("```\na line\n", report.MaxBody)},
		{"with a marker already", strings.Repeat("a line\n", report.MaxBody) + "\n\n" + m.String()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := report.Remark(tc.body, m)
			if n := len(utf16.Encode([]rune(got))); n > report.MaxBody || n < report.MaxBody-2000 {
				t.Errorf("%d characters", n)
			}
			if parsed, err := report.ParseMarker(got); err != nil || parsed.Why != m.Why {
				t.Errorf("%+v, %v", parsed, err)
			}
			if !strings.Contains(got, "the rest was cut") || strings.Count(got, "<details>") != strings.Count(got, "</details>") || strings.Contains(tc.body, "````") && strings.Count(got, "````") != 2 {
				t.Errorf("it ends with %q", got[len(got)-1500:])
			}
			if again := report.Remark(got, m); again != got {
				t.Error("it is cut again")
			}
		})
	}
}

func FuzzParseMemory(f *testing.F) {
	f.Add(report.Memory("{}").String())
	f.Add("<!-- belay:record:v1 H4sI -->")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := report.ParseMemory(text)
		if err != nil {
			if !errors.Is(err, report.ErrNoMemory) {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := report.ParseMemory("text\n" + m.String())
		if err != nil || string(again) != string(m) {
			t.Errorf("%q, %v", again, err)
		}
	})
}
