package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
)

// deliveries is the delivery log, newest first. GitHub pages it by a cursor:
// new deliveries come in front while somebody reads.
func (c *call) deliveries() (int, any, error) {
	q := c.r.URL.Query()
	var list []*delivery
	for i := len(c.g.deliveries) - 1; i >= 0; i-- {
		if d := c.g.deliveries[i]; d.status != 0 { // 0: not tried yet
			list = append(list, d)
		}
	}
	if id, ok := strings.CutPrefix(q.Get("cursor"), "v1_"); ok {
		list = after(list, func(d *delivery) bool { return itoa(int(d.id)) == id })
	}
	if size := pageSize(q); len(list) > size {
		list = list[:size]
		c.linkNext("cursor", "v1_"+itoa(int(list[size-1].id)))
	}
	out := []any{}
	for _, d := range list {
		out = append(out, c.deliveryFields(c.example(200), d))
	}
	return http.StatusOK, out, nil
}

func (c *call) deliveryFields(base object, d *delivery) object {
	out := with(base, object{"id": d.id, "guid": d.guid, "event": d.event, "action": nil, "delivered_at": stamp(d.at), "status": http.StatusText(d.status), "status_code": d.status,
		"redelivery": d.again, "installation_id": nil, "repository_id": nil})
	if d.action != "" {
		out["action"] = d.action
	}
	if d.install != 0 {
		out["installation_id"] = d.install
	}
	return out
}

func (c *call) delivery() (int, any, error) {
	for _, d := range c.g.deliveries {
		if d.id != c.number("delivery_id") {
			continue
		}
		var payload any
		if err := json.Unmarshal(d.body, &payload); err != nil {
			return 0, nil, err
		}
		out := c.deliveryFields(c.example(200), d)
		out["request"] = object{"headers": object{"X-GitHub-Event": d.event, "X-GitHub-Delivery": d.guid}, "payload": payload}
		return http.StatusOK, out, nil
	}
	return 0, nil, notFound
}

// Ping sends what GitHub sends when a webhook was set up.
func (g *GitHub) Ping() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.emitFor(&installation{}, "ping", object{"zen": "Keep it logically awesome.", "hook_id": 7, "hook": object{"type": "App", "id": 7, "app_id": appID, "events": []any{"push"}}})
}

// Redeliver has somebody send a webhook again from the delivery log: the same
// body under the same id (the GUID), as another entry.
func (g *GitHub) Redeliver(guid string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.deliveries {
		if d.guid == guid {
			again := *d
			again.id, again.at, again.status, again.again = g.id(), g.opts.Now(), 0, true
			g.deliveries = append(g.deliveries, &again)
			g.sending.Broadcast()
			return
		}
	}
}

// Delivery is one entry of the delivery log.
type Delivery struct {
	GUID   string
	Event  string // "pull_request opened"
	Status int    // of the answer; 0 while it was not tried
	Again  bool   // sent again by hand
}

// DeliveryLog lists the webhooks that were made, oldest first.
func (g *GitHub) DeliveryLog() []Delivery {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]Delivery, 0, len(g.deliveries))
	for _, d := range g.deliveries {
		out = append(out, Delivery{d.guid, strings.TrimSpace(d.event + " " + d.action), d.status, d.again})
	}
	return out
}
