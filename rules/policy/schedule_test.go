package policy_test

import (
	"testing"
	"time"

	"github.com/belaybot/belay/rules/policy"
)

// TestScheduleOnTheDaysTheClocksChange looks at each minute of a night: from
// when until when a window is open, by UTC, which no clock change moves.
func TestScheduleOnTheDaysTheClocksChange(t *testing.T) {
	for _, tc := range []struct {
		name, zone, windows string
		from, to            string // UTC: what is looked at
		open                []string
	}{
		// Sofia: on 2026-03-29 03:00 EET (01:00 UTC) is followed by 04:00 EEST.
		{"spring, around the missing hour", "Europe/Sofia", "Sun 02:00-06:00", "2026-03-28 22:00", "2026-03-29 12:00", []string{"2026-03-29 00:00", "2026-03-29 03:00"}},
		{"spring, begins in the missing hour", "Europe/Sofia", "Sun 03:30-06:00", "2026-03-28 22:00", "2026-03-29 12:00", []string{"2026-03-29 01:00", "2026-03-29 03:00"}},
		{"spring, ends in the missing hour", "Europe/Sofia", "Sun 02:00-03:30", "2026-03-28 22:00", "2026-03-29 12:00", []string{"2026-03-29 00:00", "2026-03-29 01:00"}},
		{"spring, all of it in the missing hour", "Europe/Sofia", "Sun 03:10-03:40", "2026-03-28 22:00", "2026-03-29 12:00", nil},
		{"spring, over midnight", "Europe/Sofia", "Sat 22:00-06:00", "2026-03-28 12:00", "2026-03-29 12:00", []string{"2026-03-28 20:00", "2026-03-29 03:00"}},
		// On 2026-10-25 04:00 EEST (01:00 UTC) is followed by 03:00 EET.
		{"autumn, around the hour that comes twice", "Europe/Sofia", "Sun 02:00-06:00", "2026-10-24 21:00", "2026-10-25 12:00", []string{"2026-10-24 23:00", "2026-10-25 04:00"}},
		{"autumn, begins in the hour that comes twice", "Europe/Sofia", "Sun 03:30-06:00", "2026-10-24 21:00", "2026-10-25 12:00", []string{"2026-10-25 00:30", "2026-10-25 04:00"}},
		{"autumn, ends in the hour that comes twice", "Europe/Sofia", "Sun 02:00-03:30", "2026-10-24 21:00", "2026-10-25 12:00", []string{"2026-10-24 23:00", "2026-10-25 00:30"}},
		{"autumn, all of it in the hour that comes twice", "Europe/Sofia", "Sun 03:00-04:00", "2026-10-24 21:00", "2026-10-25 12:00", []string{"2026-10-25 00:00", "2026-10-25 02:00"}},
		{"autumn, over midnight", "Europe/Sofia", "Sat 22:00-06:00", "2026-10-24 12:00", "2026-10-25 12:00", []string{"2026-10-24 19:00", "2026-10-25 04:00"}},
		// New York: 2026-03-08 02:00 EST (07:00 UTC), 2026-11-01 02:00 EDT (06:00 UTC).
		{"west of Greenwich, spring", "America/New_York", "Sun 02:30-05:00", "2026-03-08 04:00", "2026-03-08 18:00", []string{"2026-03-08 07:00", "2026-03-08 09:00"}},
		{"west of Greenwich, autumn", "America/New_York", "Sun 01:30-05:00", "2026-11-01 04:00", "2026-11-01 18:00", []string{"2026-11-01 05:30", "2026-11-01 10:00"}},
		// Beirut's clocks change at midnight: on 2026-03-29 00:00 EET (2026-03-28 22:00 UTC) is followed by 01:00 EEST.
		{"a day that begins at one o'clock", "Asia/Beirut", "Sun", "2026-03-28 12:00", "2026-03-30 12:00", []string{"2026-03-28 22:00", "2026-03-29 21:00"}},
		{"the day before it", "Asia/Beirut", "Sat", "2026-03-27 12:00", "2026-03-29 12:00", []string{"2026-03-27 22:00", "2026-03-28 22:00"}},
		// Lord Howe's change by half an hour: 2026-10-04 02:00 +10:30 (2026-10-03 15:30 UTC).
		{"half an hour is missing", "Australia/Lord_Howe", "Sun 02:15-03:00", "2026-10-03 12:00", "2026-10-03 20:00", []string{"2026-10-03 15:30", "2026-10-03 16:00"}},
		{"several windows", "Europe/Sofia", "Mon-Fri 09:00-17:00, Sat 22:00-02:00; Sun 01:00-02:30", "2026-03-28 12:00", "2026-03-30 08:00", []string{"2026-03-28 20:00", "2026-03-29 00:30", "2026-03-30 06:00", "2026-03-30 08:00"}},
		{"the whole day, in words of hours", "UTC", "Mon 00:00-24:00", "2026-03-29 12:00", "2026-03-31 12:00", []string{"2026-03-30 00:00", "2026-03-31 00:00"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			ws, err := policy.ParseWindows(tc.windows)
			if err != nil {
				t.Fatal(err)
			}
			const form = "2006-01-02 15:04"
			at := func(s string) time.Time {
				v, err := time.Parse(form, s)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			var got []string
			was := false
			for m, end := at(tc.from), at(tc.to); !m.After(end); m = m.Add(time.Minute) {
				now := ws.Contains(m.In(zone))
				if now != was || now && m.Equal(end) {
					got = append(got, m.Format(form))
				}
				was = now
				next := ws.Next(m.In(zone))
				if now && !next.Equal(m) || !now && (!next.After(m) || !ws.Contains(next) || ws.Contains(next.Add(-time.Second))) {
					t.Fatalf("at %s, open %v, the next opening is %s", m.In(zone), now, next)
				}
			}
			if len(got) != len(tc.open) {
				t.Fatalf("changes at %v, want %v", got, tc.open)
			}
			for i := range got {
				if got[i] != tc.open[i] {
					t.Errorf("changes at %v, want %v", got, tc.open)
				}
			}
		})
	}
}
