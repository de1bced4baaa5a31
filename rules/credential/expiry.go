package credential

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Known is what can be found out about a credential without asking anybody.
type Known struct {
	Secret   string // looked at for a JWT's claim alone, and not kept
	Minted   string // the day it was made, as configured: "2026-03-04" or RFC 3339; "" is not known
	Lifetime string // how long it lives, as configured: "365d", "8760h"; "" is DefaultLifetime
}

// DefaultLifetime is how long a credential with a mint date lives where nothing
// else is said: long-lived OAuth tokens are good for a year.
const DefaultLifetime = 365 * 24 * time.Hour

// Expiry is the end of a credential by what is known of it: its own claim
// before what somebody wrote down. SourceNone means that no end is known; an
// error, that what was written down cannot be read.
func Expiry(k Known) (time.Time, Source, error) {
	if at, ok := JWT(k.Secret); ok {
		return at, SourceJWT, nil
	}
	if k.Minted == "" {
		if k.Lifetime != "" {
			return time.Time{}, SourceNone, fmt.Errorf("a lifetime is given without the day it was made")
		}
		return time.Time{}, SourceNone, nil
	}
	minted, err := day(k.Minted)
	if err != nil {
		return time.Time{}, SourceNone, err
	}
	lifetime := DefaultLifetime
	if k.Lifetime != "" {
		if lifetime, err = Lifetime(k.Lifetime); err != nil {
			return time.Time{}, SourceNone, err
		}
	}
	return minted.Add(lifetime), SourceMint, nil
}

func day(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is not a day: write it as 2026-03-04", s)
}

// maxLifetime keeps what is counted within what a duration holds: a century.
const maxLifetime = 36_500

// Lifetime reads "365d" or a duration of Go, such as "8760h".
func Lifetime(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if number, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(number); err == nil && n > 0 && n <= maxLifetime {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d > 0 && d <= maxLifetime*24*time.Hour {
		return d, nil
	}
	return 0, fmt.Errorf("%.40q is not a lifetime: write it as 365d or 8760h", s)
}

// headerLayouts are the forms in which GitHub writes a moment in the header
// github-authentication-token-expiration: "2026-03-04 05:06:07 UTC" and
// "2026-03-04 05:06:07 +0100".
var headerLayouts = []string{"2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", time.RFC3339}

// HeaderName is the header in which GitHub says when a personal access token ends.
// See https://docs.github.com/rest/authentication/authenticating-to-the-rest-api.
const HeaderName = "Github-Authentication-Token-Expiration"

// Header reads the value of HeaderName. ok is false when there is none that can be read.
func Header(value string) (at time.Time, ok bool) {
	for _, layout := range headerLayouts {
		t, err := time.Parse(layout, strings.TrimSpace(value))
		if err != nil {
			continue
		}
		// A zone by name alone has no offset unless it is UTC; a guess could be wrong by a day at most.
		return t.UTC(), true
	}
	return time.Time{}, false
}

// maxJWT is the longest token in bytes that is looked at.
const maxJWT = 16 << 10

// JWT reads the claim exp of a JSON Web Token (RFC 7519 section 4.1.4). The
// signature is not looked at: nothing is trusted on its account. ok is false
// for what is no JWT, or has no end.
func JWT(token string) (at time.Time, ok bool) {
	token = strings.TrimSpace(token)
	parts := strings.Split(token, ".")
	if len(token) > maxJWT || len(parts) != 3 {
		return time.Time{}, false
	}
	var head struct {
		Alg string `json:"alg"`
	}
	if data, err := base64.RawURLEncoding.DecodeString(parts[0]); err != nil || json.Unmarshal(data, &head) != nil || head.Alg == "" {
		return time.Time{}, false
	}
	var claims struct {
		Exp *float64 `json:"exp"`
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(data, &claims) != nil || claims.Exp == nil {
		return time.Time{}, false
	}
	// Beyond the year 9999 is nonsense, and before the first second too.
	if s := *claims.Exp; s > 0 && s < 253_402_300_800 {
		whole, part := math.Modf(s)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
	}
	return time.Time{}, false
}
