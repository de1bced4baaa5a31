package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones on machines that have none, such as an empty container
)

// Windows are times of the week: "Mon-Fri 09:00-17:00, Sat 10:00-12:00". No
// windows at all means always.
type Windows []Window

// Window is one span of time on some days of the week.
type Window struct {
	Days       [7]bool // by time.Weekday, of the window's beginning
	Start, End int     // minutes after midnight; End ≤ Start ends on the next day
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWindows reads windows separated by commas or semicolons. Each has days
// ("Mon-Fri", "Sat"), times ("09:00-17:00", "22:00-06:00") or both. An empty
// text is always. The error quotes the part that is wrong.
func ParseWindows(s string) (Windows, error) {
	var out Windows
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' }) {
		w, err := parseWindow(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	if len(out) == 0 && strings.TrimSpace(s) != "" {
		return nil, fmt.Errorf("%q holds no window: leave it out for always", s)
	}
	return out, nil
}

func parseWindow(s string) (Window, error) {
	w := Window{End: 24 * 60}
	bad := fmt.Errorf("%q is not a window: write one such as \"Mon-Fri 09:00-17:00\"", s)
	fields := strings.Fields(s)
	if len(fields) == 0 || len(fields) > 2 {
		return w, bad
	}
	days := true
	for i, f := range fields {
		a, b, ranged := strings.Cut(f, "-")
		if strings.Contains(f, ":") {
			start, ok1 := clock(a)
			end, ok2 := clock(b)
			if !ranged || !ok1 || !ok2 || i != len(fields)-1 {
				return w, bad
			}
			if start == end {
				return w, fmt.Errorf("%q is empty, since it ends when it begins: write days alone for whole days, such as \"Mon-Fri\"", s)
			}
			w.Start, w.End = start, end
			continue
		}
		if i != 0 {
			return w, bad
		}
		days = false
		from := slices.Index(weekdays, strings.ToLower(a))
		to := from
		if ranged {
			to = slices.Index(weekdays, strings.ToLower(b))
		}
		if from < 0 || to < 0 {
			return w, bad
		}
		for d := from; ; d = (d + 1) % 7 {
			w.Days[d] = true
			if d == to {
				break
			}
		}
	}
	if days {
		w.Days = [7]bool{true, true, true, true, true, true, true}
	}
	return w, nil
}

// clock reads "09:00" as minutes; "24:00" is the end of the day.
func clock(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil
}

// Contains reports whether t lies in one of the windows, by the clocks of t's location.
func (ws Windows) Contains(t time.Time) bool {
	if len(ws) == 0 {
		return true
	}
	for _, w := range ws {
		for _, ago := range []int{0, 1} { // a window may have begun yesterday
			start, end, ok := w.on(t, -ago)
			if ok && !t.Before(start) && t.Before(end) {
				return true
			}
		}
	}
	return false
}

// Next is the earliest time from t on that lies in a window, in t's location;
// zero when there is none, as for windows that clock changes leave no moment.
func (ws Windows) Next(t time.Time) time.Time {
	if ws.Contains(t) {
		return t
	}
	var best time.Time
	for _, w := range ws {
		for days := range 16 { // one that a clock change takes comes again a week later
			start, end, ok := w.on(t, days)
			if ok && start.Before(end) && start.After(t) && (best.IsZero() || start.Before(best)) {
				best = start
			}
		}
	}
	return best
}

// on is the window that begins some days after t's date, if it begins on that weekday.
func (w Window) on(t time.Time, days int) (start, end time.Time, ok bool) {
	year, month, day := t.Date()
	date := time.Date(year, month, day+days, 0, 0, 0, 0, time.UTC) // where no clock change moves midnight
	if !w.Days[date.Weekday()] {
		return start, end, false
	}
	start, end = wall(date, w.Start, t.Location()), wall(date, w.End, t.Location())
	if w.End <= w.Start {
		end = wall(date.AddDate(0, 0, 1), w.End, t.Location())
	}
	return start, end, true
}

// wall is the first moment at which the clocks of a location show a time of a
// day, in minutes after midnight. Of an hour that comes twice, in autumn, it is
// the first; what lies in the hour that spring skips comes when that hour is over.
func wall(date time.Time, minutes int, location *time.Location) time.Time {
	want := date.Add(time.Duration(minutes) * time.Minute) // as if it were UTC
	var first time.Time
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} { // the offsets before and after a change of clocks
		_, offset := want.Add(near).In(location).Zone()
		t := want.Add(-time.Duration(offset) * time.Second).In(location)
		_, shown := t.Zone()
		if shown == offset && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if !first.IsZero() {
		return first
	}
	_, before := want.Add(-24 * time.Hour).In(location).Zone()
	skipped, _ := want.Add(-time.Duration(before) * time.Second).In(location).ZoneBounds()
	return skipped
}
