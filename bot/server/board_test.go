package server_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/server"
)

// board notes what it is told of dashboard issues.
type board struct{ told []string }

func (b *board) BoardEdited(_ context.Context, e reconcile.BoardEdit) error {
	b.told = append(b.told, fmt.Sprintf("edited %s#%d by %s bot=%v %q %q", e.Repository, e.Number, e.Login, e.Bot, e.Before, e.Body))
	return nil
}

func (b *board) BoardTouched(_ context.Context, i reconcile.BoardIssue) error {
	b.told = append(b.told, fmt.Sprintf("touched %s#%d of %s", i.Repository, i.Number, i.Author))
	return nil
}

func (b *board) BoardMoved(_ context.Context, repository string) error {
	b.told = append(b.told, "moved "+repository)
	return nil
}

func TestWebhooksOfIssues(t *testing.T) {
	const issue = `"issue":{"number":7,"body":"new","user":{"login":"belay[bot]"}},"repository":{"full_name":"acme/home-ops","default_branch":"main"}`
	for _, row := range []struct{ name, event, body, want string }{
		{"a person edits the body", "issues", `{"action":"edited","changes":{"body":{"from":"old"}},"sender":{"login":"ana","type":"User"},` + issue + `}`, `edited acme/home-ops#7 by ana bot=false "old" "new"`},
		{"a bot does", "issues", `{"action":"edited","changes":{"body":{"from":"old"}},"sender":{"login":"belay[bot]","type":"Bot"},` + issue + `}`, `edited acme/home-ops#7 by belay[bot] bot=true "old" "new"`},
		{"an empty body is filled", "issues", `{"action":"edited","changes":{"body":{"from":""}},"sender":{"login":"ana","type":"User"},` + issue + `}`, `edited acme/home-ops#7 by ana bot=false "" "new"`},
		{"a title is edited", "issues", `{"action":"edited","changes":{"title":{"from":"old"}},"sender":{"login":"ana","type":"User"},` + issue + `}`, ""},
		{"an issue is closed", "issues", `{"action":"closed",` + issue + `}`, "touched acme/home-ops#7 of belay[bot]"},
		{"and opened again", "issues", `{"action":"reopened",` + issue + `}`, "touched acme/home-ops#7 of belay[bot]"},
		{"and deleted", "issues", `{"action":"deleted",` + issue + `}`, "touched acme/home-ops#7 of belay[bot]"},
		{"an issue is pinned", "issues", `{"action":"pinned",` + issue + `}`, ""},
		{"a comment on an issue", "issue_comment", `{"action":"created",` + issue + `}`, "touched acme/home-ops#7 of belay[bot]"},
		{"a comment on a pull request", "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{}},"repository":{"full_name":"acme/home-ops"}}`, ""},
		{"a push to the default branch", "push", `{"ref":"refs/heads/main",` + issue + `}`, "moved acme/home-ops"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := &board{}
			g := newGate(t, func(o *server.Options) { o.Board = b })
			var want []string
			if row.want != "" {
				want = []string{row.want}
			}
			for _, guid := range []string{"a", "b"} { // an old body under another id asks for nothing again
				if code, said := g.post(row.event, guid, row.body); code != 202 {
					t.Fatalf("HTTP %d %s", code, said)
				}
				if row.event != "issues" {
					break
				}
			}
			if !slices.Equal(b.told, want) {
				t.Errorf("told %q, want %q", b.told, want)
			}
		})
	}
}
