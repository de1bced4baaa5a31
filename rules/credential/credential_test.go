package credential_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/rules/credential"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc([]byte(claims)) + ".c2ln"
}

func TestState(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    credential.Credential
		want credential.State
		line string
	}{
		{"one without an end that works is fine", credential.Credential{SeenAt: now}, credential.OK, "works; no end is known"},
		{"one with a far end is fine", credential.Credential{SeenAt: now, Expires: now.Add(31 * day)}, credential.OK, "works; ends in 31 days, on 4 April 2026"},
		{"30 days before its end it warns", credential.Credential{SeenAt: now, Expires: now.Add(30 * day)}, credential.Warning, "ends in 30 days, on 3 April 2026"},
		{"7 days before its end it is critical", credential.Credential{SeenAt: now, Expires: now.Add(7 * day)}, credential.Critical, "ends in 7 days"},
		{"on its last day it is critical", credential.Credential{SeenAt: now, Expires: now.Add(time.Hour)}, credential.Critical, "within a day"},
		{"at its end it has expired", credential.Credential{SeenAt: now, Expires: now}, credential.Expired, "expired on 4 March 2026"},
		{"seen 48 hours ago is fine", credential.Credential{SeenAt: now.Add(-48 * time.Hour)}, credential.OK, "works"},
		{"seen longer ago is stale", credential.Credential{SeenAt: now.Add(-48*time.Hour - time.Second)}, credential.Stale, "not seen to work since 2 March 2026"},
		{"a stale one says why", credential.Credential{SeenAt: now.Add(-72 * time.Hour), Problem: "no network"}, credential.Stale, ": no network"},
		{"never seen is said", credential.Credential{}, credential.Never, "never seen to work; no end is known"},
		{"never seen says why", credential.Credential{Problem: "open token: no such file"}, credential.Never, "never seen to work: open token: no such file"},
		{"a near end counts more than never seen", credential.Credential{Expires: now.Add(day)}, credential.Critical, "tomorrow"},
		{"refused counts more than all", credential.Credential{SeenAt: now, Expires: now.Add(-day), Refused: true, Problem: "api.example.org answers 401"}, credential.Refused, "refused: api.example.org answers 401"},
		{"refused without a word", credential.Credential{Refused: true}, credential.Refused, "give belay a new one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.c.State(now); got != tc.want {
				t.Errorf("state %s, want %s", got, tc.want)
			}
			if got := tc.c.Line(now); !strings.Contains(got, tc.line) {
				t.Errorf("line %q, want %q in it", got, tc.line)
			}
		})
	}
}

func TestEveryStateAndSourceHasWords(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range []credential.State{credential.Refused, credential.Expired, credential.Critical, credential.Warning, credential.Never, credential.Stale, credential.OK} {
		if seen[s.String()] {
			t.Errorf("%q twice", s)
		}
		seen[s.String()] = true
	}
	for _, s := range []credential.Source{credential.SourceNone, credential.SourceMint, credential.SourceHeader, credential.SourceJWT} {
		if seen[s.String()] {
			t.Errorf("%q twice", s)
		}
		seen[s.String()] = true
	}
}

func TestExpiry(t *testing.T) {
	for _, tc := range []struct {
		name  string
		known credential.Known
		want  string
		from  credential.Source
		wrong string
	}{
		{"nothing is known of an opaque key", credential.Known{Secret: "sk-ant-123"}, "", credential.SourceNone, ""},
		{"a mint date alone means a year", credential.Known{Secret: "opaque", Minted: "2026-03-04"}, "2027-03-04T00:00:00Z", credential.SourceMint, ""},
		{"a lifetime in days", credential.Known{Minted: "2026-03-04", Lifetime: "90d"}, "2026-06-02T00:00:00Z", credential.SourceMint, ""},
		{"a lifetime in hours and a moment", credential.Known{Minted: "2026-03-04T12:00:00+01:00", Lifetime: "24h"}, "2026-03-05T11:00:00Z", credential.SourceMint, ""},
		{"a JWT's claim counts more than what was written down", credential.Known{Secret: jwt(`{"exp":1800000000}`), Minted: "2020-01-01"}, "2027-01-15T08:00:00Z", credential.SourceJWT, ""},
		{"a JWT without an end leaves the mint date", credential.Known{Secret: jwt(`{"user-id":"1"}`), Minted: "2026-03-04"}, "2027-03-04T00:00:00Z", credential.SourceMint, ""},
		{"a wrong day", credential.Known{Minted: "4.3.2026"}, "", credential.SourceNone, "2026-03-04"},
		{"a wrong lifetime", credential.Known{Minted: "2026-03-04", Lifetime: "a year"}, "", credential.SourceNone, "365d"},
		{"no lifetime at all", credential.Known{Minted: "2026-03-04", Lifetime: "0d"}, "", credential.SourceNone, "365d"},
		{"a lifetime beyond reason", credential.Known{Minted: "2026-03-04", Lifetime: "99999999d"}, "", credential.SourceNone, "365d"},
		{"a lifetime without a day", credential.Known{Lifetime: "365d"}, "", credential.SourceNone, "without the day"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at, from, err := credential.Expiry(tc.known)
			got := ""
			if !at.IsZero() {
				got = at.Format(time.RFC3339)
			}
			if got != tc.want || from != tc.from {
				t.Errorf("got %q from %q, want %q from %q", got, from, tc.want, tc.from)
			}
			if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("error %v, want %q in it", err, tc.wrong)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	for value, want := range map[string]string{
		"2026-03-04 05:06:07 UTC":   "2026-03-04T05:06:07Z",
		"2026-03-04 05:06:07 +0100": "2026-03-04T04:06:07Z",
		"2026-03-04T05:06:07Z":      "2026-03-04T05:06:07Z",
		"":                          "",
		"soon":                      "",
	} {
		at, ok := credential.Header(value)
		if got := map[bool]string{true: at.Format(time.RFC3339)}[ok]; got != want {
			t.Errorf("%q is %q, want %q", value, got, want)
		}
	}
}

func FuzzJWT(f *testing.F) {
	f.Add(jwt(`{"exp":1800000000}`))
	f.Add(jwt(`{"exp":1e300}`))
	f.Add(jwt(`{"exp":"1800000000"}`))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if at, ok := credential.JWT(token); ok && (at.Year() < 1970 || at.Year() > 9999) {
			t.Errorf("%q ends in %d", token, at.Year())
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add("2026-03-04 05:06:07 UTC")
	f.Fuzz(func(_ *testing.T, value string) { credential.Header(value) })
}
