package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// delivery is one webhook.
type delivery struct {
	id      int64
	guid    string
	event   string
	action  string
	body    []byte
	at      time.Time
	status  int
	install int64
	again   bool // sent again by hand
}

func split(name string) (event, action string) {
	event, action, _ = strings.Cut(name, " ")
	return event, action
}

// emit queues a webhook about a repository, made of GitHub's example with the
// given values. name is event and action. Nobody is told where the App is not
// installed. g.mu is held.
func (g *GitHub) emit(r *Repository, name string, values object) {
	in := g.installations[r.owner]
	if in == nil || r.hidden || r.public {
		return
	}
	base := g.contract.hookExample(name)
	repository, _ := base["repository"].(object)
	values = with(values, object{"repository": with(repository, object{"id": r.id, "name": r.name, "full_name": r.FullName(), "default_branch": defaultBranch,
		"owner": object{"login": r.owner}, "updated_at": stamp(g.opts.Now())}),
		"installation": object{"id": in.id, "node_id": "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9uMQ=="}})
	g.emitFor(in, name, values)
}

// emitFor queues a webhook to an installation. g.mu is held.
func (g *GitHub) emitFor(in *installation, name string, values object) {
	event, action := split(name)
	payload := with(g.contract.hookExample(name), values)
	if _, ok := values["action"]; !ok && action != "" {
		payload["action"] = action
	}
	d := &delivery{id: g.id(), guid: guid(), event: event, action: action, at: g.opts.Now(), install: in.id}
	body, err := json.Marshal(complete(g.contract.hookSchema(name), payload))
	if err != nil {
		g.violation("webhook %s: %w", name, err)
		return
	}
	d.body = body
	if g.opts.Validate {
		if err := g.contract.checkHook(name, body); err != nil {
			g.violation("%w", err)
		}
	}
	g.deliveries = append(g.deliveries, d)
	g.sending.Broadcast()
}

func guid() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// SetWebhook has webhooks sent to an address. While it is "", they fail and are
// only found in the delivery log.
func (g *GitHub) SetWebhook(url string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hookURL = url
}

// Flush waits until every webhook that is queued was tried.
func (g *GitHub) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.sending.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.sent < len(g.deliveries) && ctx.Err() == nil && !g.closed {
		g.sending.Wait()
	}
	if g.closed {
		return errClosed
	}
	return ctx.Err()
}

// RedeliverAll sends every webhook so far again, in the given order of their
// numbers from 0, each with its own id.
func (g *GitHub) RedeliverAll(order []int) {
	g.mu.Lock()
	list := g.deliveries[:len(g.deliveries):len(g.deliveries)]
	g.mu.Unlock()
	for _, i := range order {
		g.send(list[i%len(list)])
	}
}

// Deliveries is how many webhooks were made.
func (g *GitHub) Deliveries() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.deliveries)
}

// deliver sends webhooks one after the other, as they are made.
func (g *GitHub) deliver() {
	defer close(g.done)
	for {
		g.mu.Lock()
		for g.sent >= len(g.deliveries) && !g.closed {
			g.sending.Wait()
		}
		if g.closed {
			g.mu.Unlock()
			return
		}
		d := g.deliveries[g.sent]
		g.mu.Unlock()
		status := g.send(d)
		g.mu.Lock()
		d.status = status
		g.sent++
		g.sending.Broadcast()
		g.mu.Unlock()
	}
}

var hookClient = &http.Client{Timeout: 10 * time.Second} // GitHub waits ten seconds

func (g *GitHub) send(d *delivery) int {
	g.mu.Lock()
	url := g.hookURL
	g.mu.Unlock()
	if url == "" {
		return http.StatusBadGateway
	}
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(d.body))
	if err != nil {
		return http.StatusBadGateway
	}
	mac := hmac.New(sha256.New, []byte(g.opts.Secret))
	mac.Write(d.body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "GitHub-Hookshot/sandbox")
	req.Header.Set("X-GitHub-Event", d.event)
	req.Header.Set("X-GitHub-Delivery", d.guid)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := hookClient.Do(req)
	if err != nil {
		return http.StatusBadGateway
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// user is an account as webhooks and answers show it.
func (g *GitHub) user(login string) object {
	base := with(g.contract.example("POST", "/repos/{owner}/{repo}/pulls", 201)["user"].(object), object{"login": login, "type": "User"})
	if strings.HasSuffix(login, "[bot]") {
		base["type"] = "Bot"
	}
	return base
}

func (r *Repository) hookPull(p *pull) object {
	base := r.g.contract.hookExample("pull_request opened")["pull_request"].(object)
	out := object{"number": p.number, "title": p.title, "body": p.body, "state": p.state, "draft": p.draft, "merged": p.merged, "user": r.g.user(p.author),
		"head": object{"ref": p.head, "sha": p.sha}, "base": object{"ref": p.base}}
	if p.merged {
		out["merged_at"], out["merge_commit_sha"], out["closed_at"] = stamp(p.updated), p.mergeSHA, stamp(p.updated)
		out["merged_by"] = r.g.user(p.mergedBy)
	} else if p.state == "closed" {
		out["closed_at"] = stamp(p.updated)
	}
	return with(base, out)
}

func (r *Repository) hookIssue(p *pull) object {
	url := r.g.URL() + "/" + r.FullName() + "/pull/" + itoa(p.number)
	return object{"number": p.number, "title": p.title, "state": p.state, "pull_request": object{"url": url, "html_url": url, "diff_url": url + ".diff", "patch_url": url + ".patch"}}
}

func (r *Repository) hookComment(c *comment) object {
	return object{"id": c.id, "body": c.body, "user": r.g.user(c.login), "created_at": stamp(c.created), "updated_at": stamp(c.created)}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
