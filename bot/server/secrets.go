package server

import (
	"github.com/belaybot/belay/bot/server/page"
	"github.com/belaybot/belay/rules/credential"
)

// credentials shows what is known of the secrets to those who could mend one:
// who may write somewhere. What needs a person is said at the top as well.
func (d *dashboard) credentials(view *page.List, v viewer) {
	if !v.anywhere() {
		return
	}
	now := d.now()
	for _, c := range d.opts.Credentials.List() {
		tone := "good"
		switch c.State(now) {
		case credential.Refused, credential.Expired, credential.Critical:
			tone = "bad"
		case credential.Warning, credential.Stale:
			tone = "ask"
		case credential.Never:
			tone = "wait" // it may not have been asked yet
		case credential.OK:
		}
		view.Credentials = append(view.Credentials, page.Credential{Name: c.Name, Text: c.Line(now), Tone: tone})
		if tone == "bad" || tone == "ask" {
			view.Problems = append(view.Problems, page.Problem{Tone: tone, Text: "Credential " + c.Name + ": " + c.Line(now)})
		}
	}
}

// anywhere reports whether somebody may write in a repository, or nobody signs in.
func (r reach) anywhere() bool {
	for _, writes := range r.may {
		if writes {
			return true
		}
	}
	return r.all
}
