package server

import (
	"context"
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/server/page"
	"github.com/belaybot/belay/rules/access"
)

// sessionFor is how long a session lasts at most: as long as GitHub's tokens.
const sessionFor = 8 * time.Hour

// signinFor is how long somebody may take at GitHub.
const signinFor = 10 * time.Minute

// callbackPath is what has to be registered with the App, behind --url.
const callbackPath = access.SignedIn

func (d *dashboard) flow() github.SignIn {
	return github.SignIn{ClientID: d.opts.ClientID, Secret: d.opts.ClientSecret, Callback: d.opts.Public + callbackPath}
}

// local is an address of this page that somebody may be sent to: "/u/1?x=y".
// Everything that leads elsewhere becomes "/".
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

// signin sends a browser to GitHub.
func (d *dashboard) signin(w http.ResponseWriter, req *http.Request) {
	if d.opts.Auth != AuthGitHub {
		http.Redirect(w, req, "/", http.StatusSeeOther)
		return
	}
	out := leaving{State: newSecret(), Verifier: oauth2.GenerateVerifier(), Next: local(req.URL.Query().Get("next")), Until: d.now().Add(signinFor)}
	sealed, err := d.sealer.seal(signinCookie, out)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	d.setCookie(w, signinCookie, sealed, out.Until)
	http.Redirect(w, req, d.opts.People.SignInURL(d.flow(), out.State, out.Verifier), http.StatusSeeOther)
}

// callback takes a browser that comes back from GitHub.
func (d *dashboard) callback(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	var out leaving
	c, err := req.Cookie(d.cookieName(signinCookie))
	if err != nil || !d.sealer.open(signinCookie, c.Value, &out) || !d.now().Before(out.Until) || !hmac.Equal([]byte(out.State), []byte(q.Get("state"))) {
		d.door(w, req, http.StatusBadRequest, "/", "That sign-in was begun elsewhere, or too long ago. Begin it here again.")
		return
	}
	d.setCookie(w, signinCookie, "", time.Time{})
	if q.Get("code") == "" {
		d.door(w, req, http.StatusForbidden, out.Next, "GitHub was not allowed to tell belay who you are.")
		return
	}
	token, err := d.opts.People.Exchange(req.Context(), d.flow(), q.Get("code"), out.Verifier)
	login := ""
	if err == nil {
		login, err = d.opts.People.Whose(req.Context(), token.Secret)
	}
	if err != nil || login == "" {
		d.log.Warn("a sign-in failed", "why", err)
		text, code := "GitHub could not be asked who you are. Try again in a moment.", http.StatusBadGateway
		if errors.Is(err, github.ErrSignIn) {
			text, code = "GitHub does not accept the sign-in. If that stays so, the App's client secret may be wrong.", http.StatusForbidden
		}
		d.door(w, req, code, out.Next, text)
		return
	}
	sess := session{ID: newSecret(), Login: login, Token: token.Secret, Until: d.now().Add(sessionFor)}
	if !token.Until.IsZero() && token.Until.Before(sess.Until) {
		sess.Until = token.Until
	}
	sealed, err := d.sealer.seal(sessionCookie, sess)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	d.setCookie(w, sessionCookie, sealed, sess.Until)
	d.log.Info("signed in", "login", login)
	http.Redirect(w, req, out.Next, http.StatusSeeOther)
}

// signout ends a session, here and at GitHub. Where it cannot be ended, the
// person is told so and keeps the cookie: copies of it would be good all the same.
func (d *dashboard) signout(w http.ResponseWriter, req *http.Request) {
	sess, ok, err := d.who(req)
	if err != nil {
		d.fail(w, req, err)
		return
	}
	if ok {
		if _, err := d.state.Remember(req.Context(), signedOut(sess.ID), sess.Until.Add(time.Hour)); err != nil {
			d.fail(w, req, err)
			return
		}
		d.reaches.forget(sess.ID)
		ctx, cancel := context.WithTimeout(req.Context(), 5*time.Second)
		defer cancel()
		if err := d.opts.People.Revoke(ctx, d.flow(), sess.Token); err != nil {
			d.log.Warn("a token was not ended at GitHub; it ends by itself", "login", sess.Login, "why", err)
		}
		d.log.Info("signed out", "login", sess.Login)
	}
	d.setCookie(w, sessionCookie, "", time.Time{})
	http.Redirect(w, req, "/", http.StatusSeeOther)
}

// door is the page at which people sign in.
func (d *dashboard) door(w http.ResponseWriter, req *http.Request, code int, next, problem string) {
	if strings.HasPrefix(req.URL.Path, "/api/") {
		answer(w, http.StatusUnauthorized, refusal{Error: "sign in at /signin, or send the token as `Authorization: Bearer TOKEN`"})
		return
	}
	v := page.SignIn{Frame: d.frame(req, viewer{}, "Sign in"), Problem: problem}
	v.Live, v.Login, v.Open = "", "", false
	if d.opts.Auth == AuthGitHub {
		v.Href = "/signin?next=" + url.QueryEscape(local(next))
	}
	d.show(w, req, code, "signin", v)
}
