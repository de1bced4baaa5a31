package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Event is the body of the JSON webhook: one event of one upgrade.
type Event struct {
	ID      string    `json:"id"`    // of the event; the same when it is sent again
	Event   string    `json:"event"` // started, updated, backup, aborted, waiting, merged, applied, verified, unverified, failed, closed, obsolete, …
	At      time.Time `json:"at"`
	Who     string    `json:"who"` // "belay", or a login
	Text    string    `json:"text"`
	Detail  string    `json:"detail,omitempty"` // lines of a log
	Alarm   bool      `json:"alarm"`            // a person has to act
	Upgrade Upgrade   `json:"upgrade"`
}

// Upgrade is the upgrade in an Event, as it stands when the event is sent.
type Upgrade struct {
	ID         string `json:"id"`
	Repository string `json:"repository"`
	Service    string `json:"service"`
	From       string `json:"from"`
	To         string `json:"to"`
	State      string `json:"state"`
	Risk       string `json:"risk,omitempty"`
	Pull       int    `json:"pull,omitempty"`
	URL        string `json:"url,omitempty"`
	Ladder     string `json:"ladder,omitempty"` // of a step: the first step's id
	Step       int    `json:"step,omitempty"`   // which it is, from 1
	Steps      int    `json:"steps,omitempty"`  // of how many
	Top        string `json:"top,omitempty"`    // and where they lead
}

// SignatureHeader holds the HMAC of the body: "sha256=" and 64 hexadecimal digits.
const SignatureHeader = "X-Belay-Signature-256"

// webhook sends every event as JSON, in order.
type webhook struct {
	opts   Options
	client *http.Client
}

func (w *webhook) tell(ctx context.Context, s story, t *told, save func() error) error {
	for _, h := range s.news {
		e := Event{ID: fmt.Sprintf("%s.%d", h.u.ID, h.event.ID), Event: h.say.Event, At: h.event.At, Who: h.event.Who, Text: h.say.Text, Detail: h.say.Detail, Alarm: h.say.Alarm,
			Upgrade: Upgrade{ID: h.u.ID, Repository: h.u.Repository, Service: h.u.Service, From: h.u.From, To: h.u.To, State: h.u.State, Risk: h.view.Risk, Pull: h.u.Pull, URL: h.view.URL}}
		if l := h.view.Ladder; l != nil {
			e.Upgrade.Ladder, e.Upgrade.Step, e.Upgrade.Steps, e.Upgrade.Top = l.ID, l.Place, len(l.Rungs), l.Top()
		}
		if err := w.send(ctx, e); err != nil {
			return err
		}
		t.Last = h.event.ID
		if err := save(); err != nil {
			return err
		}
	}
	return nil
}

func (w *webhook) send(ctx context.Context, e Event) error {
	address := w.opts.Webhook()
	if address == "" {
		return &permanent{why: "the address is missing: set BELAY_NOTIFY_WEBHOOK"}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return &permanent{why: err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return &permanent{why: "BELAY_NOTIFY_WEBHOOK is not a URL"} // the cause would show it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "belay")
	req.Header.Set("X-Belay-Event", e.Event)
	req.Header.Set("X-Belay-Delivery", e.ID)
	if w.opts.WebhookSecret != nil {
		if secret := w.opts.WebhookSecret(); secret != "" {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(body)
			req.Header.Set(SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
		}
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return failure(err, address)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	return statusFailure(resp.StatusCode, resp.Header.Get("Retry-After"))
}
