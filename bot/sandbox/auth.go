package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// longest is how far ahead an App's own token may end.
const longest = 10 * time.Minute

// jwt checks the App's own token as GitHub does: RS256 by the App's key, made in
// the past, ending within ten minutes, all in whole seconds. Apps make these
// tokens with the machine's clock, so it is this clock that counts.
func (g *GitHub) jwt(r *http.Request) *problem {
	refused := func(text string) *problem { return &problem{http.StatusUnauthorized, text} }
	raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return refused("A JSON web token could not be decoded")
	}
	claims := jwt.MapClaims{}
	p := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation(), jwt.WithJSONNumber())
	if _, err := p.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return &g.key.PublicKey, nil }); err != nil {
		return refused("A JSON web token could not be decoded")
	}
	now := time.Now()
	issuer, issued, ends := claims["iss"], moment(claims["iat"]), moment(claims["exp"])
	switch {
	case !whole(issuer):
		return refused("'Issuer' claim ('iss') must be an Integer")
	case ends.IsZero() || !ends.After(now):
		return refused("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case issued.IsZero() || issued.After(now):
		return refused("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case ends.Sub(now) > longest:
		return refused("'Expiration time' claim ('exp') is too far in the future")
	case text(issuer) != strconv.Itoa(appID):
		return &problem{http.StatusNotFound, "Integration not found"}
	}
	return nil
}

// text is a claim as it is written: 1042 and "1042" are the same issuer.
func text(claim any) string {
	switch v := claim.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func whole(claim any) bool {
	_, err := strconv.ParseInt(text(claim), 10, 64)
	return err == nil
}

// moment is a claim that is a time; zero when it is none.
func moment(claim any) time.Time {
	n, ok := claim.(json.Number)
	if !ok {
		return time.Time{}
	}
	seconds, err := n.Int64()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// bearer finds the installation whose token a request carries.
func (g *GitHub) bearer(r *http.Request) (token, *problem) {
	_, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return g.lookup(raw)
}

// lookup finds the installation of a token.
func (g *GitHub) lookup(raw string) (token, *problem) {
	t, ok := g.tokens[raw]
	in := g.installations[t.owner]
	if ok && t.workflow != nil && g.opts.Now().Before(t.until) {
		return t, nil
	}
	switch {
	case !ok || !g.opts.Now().Before(t.until) || in == nil || in.id != t.installation:
		return t, &problem{http.StatusUnauthorized, "Bad credentials"}
	case in.suspended:
		return t, &problem{http.StatusForbidden, "This installation has been suspended"}
	}
	return t, nil
}

func (c *call) accessToken() (int, any, error) {
	in := c.g.byID(c.number("installation_id"))
	if in == nil {
		return 0, nil, notFound
	}
	if in.suspended {
		return 0, nil, &problem{http.StatusForbidden, "This installation has been suspended"}
	}
	key := "ghs_" + rand.Text()
	c.g.tokens[key] = token{owner: in.owner, installation: in.id, until: c.g.opts.Now().Add(c.g.opts.TokenLife)}
	// Clients compare with the machine's clock.
	out := with(c.example(201), object{"token": key, "expires_at": stamp(time.Now().Add(c.g.opts.TokenLife))})
	delete(out, "repositories") // of an installation that was narrowed down
	return http.StatusCreated, out, nil
}

// ExpireTokens ends every installation token that was given out, as when
// somebody revokes them.
func (g *GitHub) ExpireTokens() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.tokens)
}

// Tokens is how many installation tokens are good now.
func (g *GitHub) Tokens() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for raw := range g.tokens {
		if _, p := g.lookup(raw); p == nil {
			n++
		}
	}
	return n
}

// Secrets are all tokens that were given out, the webhook secret and the secret
// for signing in: what must never turn up in a log.
func (g *GitHub) Secrets() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := []string{g.opts.Secret, g.oauth.secret}
	for raw := range g.oauth.tokens {
		out = append(out, raw)
	}
	for raw := range g.tokens {
		out = append(out, raw)
	}
	return out
}
