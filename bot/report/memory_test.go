package report_test

import (
	"errors"
	"strings"
	"testing"

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
