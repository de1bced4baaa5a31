package page_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/server/page"
	"github.com/belaybot/belay/rules/watch"
)

var start = time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

func TestTimeline(t *testing.T) {
	trail := []page.Mark{{"open pull request", at(time.Second)}, {"command", at(time.Minute)}, {"open pull request", at(2 * time.Minute)}, {"merge", at(3 * 24 * time.Hour)}, {"watching", at(3*24*time.Hour + 4*time.Second)}}
	for _, tc := range []struct {
		name  string
		trail []page.Mark
		final bool
		want  string
	}{
		{"what nobody has looked at yet", nil, false, "queued 3 days 1 h now"},
		{"commands and updates in place change no state", trail, false, "queued 1 s; open 2 days 23 h; applying 4 s; watching 59 min 56 s now"},
		{"what is over does not go on", append(trail, page.Mark{What: "verified", At: at(3*24*time.Hour + time.Minute)}), true, "queued 1 s; open 2 days 23 h; applying 4 s; watching 56 s; verified 0 ms"},
		{"clocks that differ give no negative times", []page.Mark{{"open pull request", at(-time.Hour)}, {"merge", at(-2 * time.Hour)}}, true, "queued 0 ms; open 0 ms; applying 0 ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list := page.Timeline(start, tc.trail, tc.final, at(3*24*time.Hour+time.Hour))
			var got []string
			x := -1.0
			for _, s := range list {
				text := s.State + " " + page.Lasts(s.Lasted)
				if s.Now {
					text += " now"
				}
				got = append(got, text)
				if s.X <= x || s.W < 2 || s.X+s.W > 1000 {
					t.Errorf("%s lies at %v, %v wide", s.State, s.X, s.W)
				}
				x = s.X
			}
			if s := strings.Join(got, "; "); s != tc.want {
				t.Errorf("%s\nwant %s", s, tc.want)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	strip := page.Health("watching", start, watch.Trace{From: start, At: []int{0, 15, 30, 45}, Things: []watch.Traced{
		{Kind: watch.Rollout, Name: "deployment web/web", Marks: "pggf", Note: "OOMKilled"}, {Kind: watch.HTTP, Name: "https://web.example.org", Marks: "-gg-"}}})
	var got []string
	for _, r := range strip.Rows {
		var tones []string
		for _, l := range r.Looks {
			tones = append(tones, fmt.Sprintf("%s@%v+%v", l.Tone, l.X, l.H))
		}
		got = append(got, r.Kind+" "+r.Name+": "+r.Says+": "+strings.Join(tones, " "))
	}
	want := []string{"rollout deployment web/web: rolling out 1 time, healthy 2 times, failed 1 time: busy@95+7 good@345+12 good@595+12 bad@845+28",
		"http https://web.example.org: healthy 2 times: good@345+12 good@595+12"}
	if diff := cmp.Diff(want, got); diff != "" || strip.Lasts != 45*time.Second || strip.Looks != 4 {
		t.Errorf("%s\n%d looks over %s", diff, strip.Looks, strip.Lasts)
	}
	if empty := page.Health("watching", start, watch.Trace{}); len(empty.Rows) != 0 {
		t.Errorf("an empty trace has %v", empty.Rows)
	}
}

func TestDay(t *testing.T) {
	now := at(0)
	dots := page.Day([]page.Ended{{"web", "verified", now}, {"wiki", "reverted", now.Add(-time.Minute)}, {"old", "verified", now.Add(-25 * time.Hour)}, {"night", "failed", now.Add(-12 * time.Hour)}}, now)
	if len(dots) != 3 || dots[0].X != 98.5 || !dots[0].Round || dots[1].Y >= dots[0].Y || dots[1].Round || dots[2].X != 50 || dots[2].Tone != "bad" {
		t.Errorf("%+v", dots)
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[time.Duration]string{0: "0 ms", 90 * time.Second: "1 min 30 s", 2 * time.Hour: "2 h", 49 * time.Hour: "2 days 1 h"} {
		if got := page.Lasts(in); got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"say `/upgrade retry` then": "say <code>/upgrade retry</code> then", "<b>`<i>`": "&lt;b&gt;<code>&lt;i&gt;</code>", "an ` open one": "an ` open one"} {
		if got := string(page.Spans(in)); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
