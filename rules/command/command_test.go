package command_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/command"
)

const ignorable = "give major, minor, the version of this pull request, or nothing, which means that version"

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       []command.Command
	}{
		{"a verb", "/upgrade approve", []command.Command{{Verb: command.Approve, Written: "approve"}}},
		{"the other name, capitals and arguments", "/belay HOLD until  the weekend", []command.Command{{Verb: command.Hold, Written: "hold", Args: "until  the weekend"}}},
		{"several", "thanks\r\n/upgrade resume\r\n/upgrade rebase\r\n", []command.Command{{Verb: command.Resume, Written: "resume"}, {Verb: command.Rebase, Written: "rebase"}}},
		{"the name alone asks for help", "/upgrade", []command.Command{{Verb: command.Help}}},
		{"a typo gets the nearest verb", "/upgrade aprove", []command.Command{{Written: "aprove", Nearest: command.Approve}}},
		{"nothing is near", "/upgrade frobnicate", []command.Command{{Written: "frobnicate"}}},
		{"in the middle of a line", "please /upgrade approve", nil},
		{"a quoted line", "> /upgrade approve", nil},
		{"a fenced block", "```\n/upgrade approve\n```\n", nil},
		{"a fence that is not closed by a shorter one", "````\n```\n/upgrade approve\n````\n/upgrade hold", []command.Command{{Verb: command.Hold, Written: "hold"}}},
		{"indented code", "    /upgrade approve", nil},
		{"another word", "/upgrades approve", nil},
		{"a version that is missing", "/upgrade to", []command.Command{{Verb: command.To, Written: "to", Problem: "give one version, such as `/upgrade to v2.10.0`"}}},
		{"a version", "/upgrade to v2.10.0", []command.Command{{Verb: command.To, Written: "to", Args: "v2.10.0"}}},
		{"a step that is none", "/upgrade step sideways", []command.Command{{Verb: command.Step, Written: "step", Args: "sideways", Problem: "choose one of all, every, minor, major"}}},
		{"nothing to be ignored but the version", "/upgrade ignore", []command.Command{{Verb: command.Ignore, Written: "ignore"}}},
		{"a kind to be ignored, with capitals", "/upgrade ignore Minor", []command.Command{{Verb: command.Ignore, Written: "ignore", Args: "minor"}}},
		{"a version to be ignored", "/upgrade ignore v2.10.0-RC1", []command.Command{{Verb: command.Ignore, Written: "ignore", Args: "v2.10.0-RC1"}}},
		{"a kind to be ignored with a typo", "/upgrade ignore mayor", []command.Command{{Verb: command.Ignore, Written: "ignore", Args: "mayor", Problem: ignorable}}},
		{"a kind that cannot be ignored", "/upgrade ignore patch", []command.Command{{Verb: command.Ignore, Written: "ignore", Args: "patch", Problem: ignorable}}},
		{"two to be ignored", "/upgrade ignore minor major", []command.Command{{Verb: command.Ignore, Written: "ignore", Args: "minor major", Problem: ignorable}}},
		{"no more than ten", strings.Repeat("/upgrade status\n", 50), slicesOf(command.Command{Verb: command.Status, Written: "status"}, 10)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, command.Parse(tc.body)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func slicesOf(c command.Command, n int) []command.Command {
	out := make([]command.Command, n)
	for i := range out {
		out[i] = c
	}
	return out
}

func FuzzParse(f *testing.F) {
	f.Add("/upgrade approve\n> /upgrade hold\n```\n/belay retry\n```")
	f.Add("/upgrade to \u202ev1")
	f.Fuzz(func(t *testing.T, body string) {
		for _, c := range command.Parse(body) {
			if strings.ContainsAny(c.Args+c.Written, "\n") {
				t.Errorf("%+v spans lines", c)
			}
			if c.Verb != "" && c.Nearest != "" {
				t.Errorf("%+v is known and unknown", c)
			}
		}
	})
}
