package server

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// session is somebody who has signed in. It is kept in a cookie that only belay
// can read: the state holds no token of a person, and any replica knows them.
type session struct {
	ID    string    `json:"i"`
	Login string    `json:"l"`
	Token string    `json:"t"` // GitHub's, a secret
	Until time.Time `json:"u"`
}

// leaving is somebody on the way to GitHub and back.
type leaving struct {
	State    string    `json:"s"`
	Verifier string    `json:"v"` // RFC 7636
	Next     string    `json:"n"` // where they wanted to go
	Until    time.Time `json:"u"`
}

// sealer keeps values in cookies: encrypted and authenticated, each kind for
// itself. Its key comes from the App's client secret, so that replicas share it
// and nothing has to be stored; another secret ends all sessions.
type sealer struct{ secret func() string }

func (s sealer) key(use string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(s.secret()), nil, "belay "+use, 32)
	if err != nil {
		panic(err) // the length is a constant
	}
	return key
}

func (s sealer) aead(use string) cipher.AEAD {
	block, err := aes.NewCipher(s.key(use))
	if err != nil {
		panic(err) // so is that of the key
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// seal encrypts a value.
func (s sealer) seal(use string, v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead(use).Seal(nil, nil, data, []byte(use))), nil //nolint:gosec // the AEAD makes its own nonce, and wants none
}

// open reads a sealed value. It reports false for what was not sealed with the
// secret as it is now, for the same use.
func (s sealer) open(use, text string, v any) bool {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || s.secret() == "" {
		return false
	}
	plain, err := s.aead(use).Open(nil, nil, data, []byte(use))
	return err == nil && json.Unmarshal(plain, v) == nil
}

// token is what forms of a session carry, so that no other site can make them.
func (s sealer) token(sess session) string {
	mac := hmac.New(sha256.New, s.key("forms"))
	mac.Write([]byte(sess.ID + "\n" + sess.Login))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s sealer) checks(sess session, token string) bool {
	return hmac.Equal([]byte(token), []byte(s.token(sess)))
}

// The cookies. On HTTPS their names begin with __Host-: browsers then take them
// from this host alone.
const (
	sessionCookie = "belay_session"
	signinCookie  = "belay_signin"
)

func (d *dashboard) cookieName(name string) string {
	if d.secure() {
		return "__Host-" + name
	}
	return name
}

// secure reports whether people reach belay by HTTPS.
func (d *dashboard) secure() bool { return strings.HasPrefix(d.opts.Public, "https://") }

func (d *dashboard) setCookie(w http.ResponseWriter, name, value string, until time.Time) {
	c := &http.Cookie{Name: d.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteLaxMode, Expires: until} //nolint:gosec // Secure wherever belay is reached by HTTPS; by HTTP it is on loopback only
	if value == "" {
		c.MaxAge, c.Expires = -1, time.Unix(1, 0)
	}
	http.SetCookie(w, c)
}

// who is the session of a request; false when nobody has signed in. An error
// means that it cannot be told: whether the session was ended stands in the state.
func (d *dashboard) who(req *http.Request) (session, bool, error) {
	c, _ := req.Cookie(d.cookieName(sessionCookie))
	if c == nil {
		return session{}, false, nil
	}
	var s session
	if !d.sealer.open(sessionCookie, c.Value, &s) || s.Login == "" || !d.now().Before(s.Until) {
		return session{}, false, nil
	}
	if gone, err := d.state.Remembers(req.Context(), signedOut(s.ID)); err != nil || gone {
		return session{}, false, err
	}
	return s, true, nil
}

// signedOut is the name under which the end of a session is remembered.
func signedOut(id string) string { return "signed out " + id }

func newSecret() string { return rand.Text() }
