package sandbox_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"

	"github.com/belaybot/belay/bot/sandbox"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// TestAppTokens sends the App's own token in every way that GitHub refuses.
func TestAppTokens(t *testing.T) {
	gh, _ := stand(t, sandbox.Options{})
	key, err := jwt.ParseRSAPrivateKeyFromPEM(gh.PrivateKey())
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claims := func(iss any, iat, exp time.Duration) jwt.MapClaims {
		return jwt.MapClaims{"iss": iss, "iat": now.Add(iat).Unix(), "exp": now.Add(exp).Unix()}
	}
	id := strconv.FormatInt(gh.AppID(), 10)
	good := claims(id, -time.Minute, 5*time.Minute)
	sign := func(m jwt.SigningMethod, c jwt.MapClaims, key any) string {
		s, err := jwt.NewWithClaims(m, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + s
	}
	rs := jwt.SigningMethodRS256
	for _, tc := range []struct {
		name, authorization string
		status              int
		says                string
	}{
		{"a good one", sign(rs, good, key), http.StatusOK, ""},
		{"the App's number as a number", sign(rs, claims(gh.AppID(), -time.Minute, 5*time.Minute), key), http.StatusOK, ""},
		{"ten minutes, the most", sign(rs, claims(id, 0, 10*time.Minute), key), http.StatusOK, ""},
		{"none", "", http.StatusUnauthorized, "could not be decoded"},
		{"something else", "Bearer hello", http.StatusUnauthorized, "could not be decoded"},
		{"signed by another key", sign(rs, good, other), http.StatusUnauthorized, "could not be decoded"},
		{"signed by another method with the same key", sign(jwt.SigningMethodRS512, good, key), http.StatusUnauthorized, "could not be decoded"},
		{"signed with a password", sign(jwt.SigningMethodHS256, good, []byte("password")), http.StatusUnauthorized, "could not be decoded"},
		{"not signed", sign(jwt.SigningMethodNone, good, jwt.UnsafeAllowNoneSignatureType), http.StatusUnauthorized, "could not be decoded"},
		{"expired", sign(rs, claims(id, -10*time.Minute, -time.Second), key), http.StatusUnauthorized, "('exp') must be a numeric value representing the future time"},
		{"without an end", sign(rs, jwt.MapClaims{"iss": id, "iat": now.Unix()}, key), http.StatusUnauthorized, "('exp') must be a numeric value"},
		{"made in the future", sign(rs, claims(id, time.Minute, 5*time.Minute), key), http.StatusUnauthorized, "('iat') must be an Integer"},
		{"without a beginning", sign(rs, jwt.MapClaims{"iss": id, "exp": now.Add(time.Minute).Unix()}, key), http.StatusUnauthorized, "('iat') must be an Integer"},
		{"made at a fraction of a second", sign(rs, jwt.MapClaims{"iss": id, "iat": float64(now.Unix()) - 0.5, "exp": now.Add(time.Minute).Unix()}, key), http.StatusUnauthorized, "('iat') must be an Integer"},
		{"longer than ten minutes", sign(rs, claims(id, 0, 11*time.Minute), key), http.StatusUnauthorized, "('exp') is too far in the future"},
		{"without an App", sign(rs, claims("belay", 0, time.Minute), key), http.StatusUnauthorized, "('iss') must be an Integer"},
		{"of another App", sign(rs, claims("7", 0, time.Minute), key), http.StatusNotFound, "Integration not found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, _, body := do(t, gh, "GET", "/api/v3/app", tc.authorization, "")
			if status != tc.status || !strings.Contains(body, tc.says) {
				t.Errorf("HTTP %d %s, want %d %s", status, body, tc.status, tc.says)
			}
		})
	}
}

// TestInstallationTokens walks through the life of a token.
func TestInstallationTokens(t *testing.T) {
	c := &clock{at: time.Now()}
	gh, repo := stand(t, sandbox.Options{Now: c.now})
	if _, err := gh.AddRepository("bo", "things", map[string]string{"x": "y"}); err != nil {
		t.Fatal(err)
	}
	token := installationToken(t, gh, repo)
	ask := func(name, path, token string, want int, says string) {
		t.Helper()
		if status, _, body := do(t, gh, "GET", path, "token "+token, ""); status != want || !strings.Contains(body, says) {
			t.Errorf("%s: HTTP %d %s, want %d %s", name, status, body, want, says)
		}
	}
	const home = "/api/v3/repos/acme/home-ops"
	ask("a good token", home, token, 200, "acme/home-ops")
	ask("another token", home, "ghs_made-up", 401, "Bad credentials")
	ask("a repository of another installation", "/api/v3/repos/bo/things", token, 404, "Not Found")
	ask("what only the App may ask", "/api/v3/app", token, 401, "could not be decoded")
	gh.Suspend("acme", true)
	ask("a suspended installation", home, token, 403, "This installation has been suspended")
	gh.Suspend("acme", false)
	ask("an installation that is no longer suspended", home, token, 200, "")
	repo.SetInstalled(false)
	ask("a repository that was taken out of the installation", home, token, 404, "Not Found")
	repo.SetInstalled(true)
	c.add(59 * time.Minute)
	ask("a token of 59 minutes", home, token, 200, "")
	c.add(time.Minute)
	ask("a token of an hour", home, token, 401, "Bad credentials")
	token = installationToken(t, gh, repo)
	gh.Uninstall("acme")
	ask("a token of an App that was uninstalled", home, token, 401, "Bad credentials")
	gh.Install("acme")
	ask("a token of an earlier installation", home, token, 401, "Bad credentials")
	token = installationToken(t, gh, repo)
	gh.ExpireTokens()
	ask("a token that was revoked", home, token, 401, "Bad credentials")
	if n := gh.Tokens(); n != 0 {
		t.Errorf("%d tokens are good", n)
	}
}

// TestWithoutAToken asks as the whole world may.
func TestWithoutAToken(t *testing.T) {
	gh, _ := stand(t, sandbox.Options{})
	if _, err := gh.AddUpstream("proj", "web", map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"proj/web": http.StatusOK, "acme/home-ops": http.StatusNotFound, "proj/nothing": http.StatusNotFound, "proj/nothing/releases": http.StatusNotFound} {
		if status, _, body := do(t, gh, "GET", "/api/v3/repos/"+path, "", ""); status != want {
			t.Errorf("%s: HTTP %d %s, want %d", path, status, body, want)
		}
	}
	if status, _, _ := do(t, gh, "GET", "/api/v3/installation/repositories", "", ""); status != http.StatusUnauthorized {
		t.Errorf("what is an installation's: HTTP %d", status)
	}
}
