package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/intake"
	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/access"
	"github.com/belaybot/belay/rules/lifecycle"
)

// events are those that GitHub sends to belay's App.
var events = append(access.Events(), access.Unasked()...)

// known keeps the metric's labels to the events that belay knows.
func known(event string) string {
	if slices.Contains(events, event) {
		return event
	}
	return "other"
}

// hook is what is read of any webhook.
type hook struct {
	Action      string `json:"action"`
	Number      int    `json:"number"`
	Ref         string `json:"ref"`
	SHA         string `json:"sha"`
	PullRequest struct {
		Number int     `json:"number"`
		User   account `json:"user"`
	} `json:"pull_request"`
	Issue struct {
		Number      int              `json:"number"`
		Body        string           `json:"body"`
		User        account          `json:"user"`
		PullRequest *json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	CheckRun struct {
		HeadSHA string `json:"head_sha"`
	} `json:"check_run"`
	CheckSuite struct {
		HeadSHA string `json:"head_sha"`
	} `json:"check_suite"`
	Repository struct {
		FullName      string `json:"full_name"`
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
	Repositories []named `json:"repositories"`
	Added        []named `json:"repositories_added"`
	Removed      []named `json:"repositories_removed"`
	Sender       account `json:"sender"`
	Changes      struct {
		Body struct {
			From *string `json:"from"`
		} `json:"body"`
		Repository struct {
			Name struct {
				From string `json:"from"`
			} `json:"name"`
		} `json:"repository"`
		Owner struct {
			From struct {
				User         *account `json:"user"`
				Organization *account `json:"organization"`
			} `json:"from"`
		} `json:"owner"`
	} `json:"changes"`
	ClientPayload json.RawMessage `json:"client_payload"`
}

type named struct {
	FullName string `json:"full_name"`
}

type account struct {
	Login string `json:"login"`
	Type  string `json:"type"` // User, Bot, Organization
}

// formerly is the full name that a repository had before it was renamed or
// given to another owner, "" when it was not.
func (h hook) formerly() string {
	owner, name, _ := strings.Cut(h.Repository.FullName, "/")
	from := h.Changes.Owner.From
	switch {
	case h.Action == "renamed" && h.Changes.Repository.Name.From != "":
		return owner + "/" + h.Changes.Repository.Name.From
	case h.Action == "transferred" && from.User != nil && from.User.Login != "":
		return from.User.Login + "/" + name
	case h.Action == "transferred" && from.Organization != nil && from.Organization.Login != "":
		return from.Organization.Login + "/" + name
	}
	return ""
}

// errMalformed means that a webhook's body is not what GitHub sends. Sending it
// again would not help.
var errMalformed = errors.New("the webhook's body cannot be read")

// Take carries out one webhook whose signature has been checked: it wakes the
// upgrades concerned. A delivery that was taken before is ignored. It returns
// errMalformed for a body that is no webhook's.
func (s *Server) Take(ctx context.Context, event, guid string, body []byte) error {
	var h hook
	if err := json.Unmarshal(body, &h); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	names := deliveryNames(event, guid, body)
	for _, name := range names {
		known, err := s.opts.Store.Remembers(ctx, name)
		if err != nil || known {
			return err
		}
	}
	if err := s.route(ctx, event, h); err != nil {
		return err
	}
	// Remembered after it was carried out: a webhook that is taken twice only
	// makes belay look twice, one that is lost may be missed.
	for _, name := range names {
		if _, err := s.opts.Store.Remember(ctx, name, s.opts.Now().Add(keepDeliveries)); err != nil {
			return err
		}
	}
	return nil
}

// deliveryNames are what a delivery is remembered by: its id, and its body where
// the body says more than "look again". The id is not signed: somebody who has
// an old body could send it under another one.
func deliveryNames(event, guid string, body []byte) []string {
	var out []string
	if guid != "" {
		out = append(out, "delivery "+guid)
	}
	if event == "repository" || event == "issues" {
		sum := sha256.Sum256(body)
		out = append(out, "webhook "+hex.EncodeToString(sum[:]))
	}
	return out
}

func (s *Server) route(ctx context.Context, event string, h hook) error {
	repository := h.Repository.FullName
	switch event {
	case "pull_request", "pull_request_review":
		if h.Action == "edited" && h.Sender.Type == "Bot" && h.Sender.Login == h.PullRequest.User.Login {
			return nil // belay's own words
		}
		return s.wakePull(ctx, repository, max(h.Number, h.PullRequest.Number))
	case "issue_comment":
		if h.Action != "created" {
			return nil
		}
		if h.Issue.PullRequest == nil {
			return s.opts.Board.BoardTouched(ctx, h.boardIssue())
		}
		return s.wakePull(ctx, repository, h.Issue.Number)
	case "issues":
		return s.issue(ctx, h)
	case "check_run":
		return s.wakeCommit(ctx, repository, h.CheckRun.HeadSHA)
	case "check_suite":
		return s.wakeCommit(ctx, repository, h.CheckSuite.HeadSHA)
	case "status":
		return s.wakeCommit(ctx, repository, h.SHA)
	case "push":
		if h.Ref != "refs/heads/"+h.Repository.DefaultBranch {
			return nil
		}
		if err := s.opts.Board.BoardMoved(ctx, repository); err != nil {
			return err
		}
		return s.wakeAll(ctx, repository)
	case "repository_dispatch":
		want, err := s.opts.Event(ctx, repository)
		if err != nil {
			return err
		}
		if h.Action != want {
			s.opts.Log.Info("a repository_dispatch was left alone: its event_type is not the one of dispatch.event", "repo", repository, "event_type", h.Action, "dispatch.event", want)
			return nil
		}
		d, err := intake.Parse(h.ClientPayload)
		if err != nil {
			s.opts.Log.Warn("a repository_dispatch was refused", "repo", repository, "why", err)
			s.received("repository_dispatch", http.StatusBadRequest)
			return nil
		}
		_, isNew, err := s.keep(ctx, d, "repository_dispatch", repository)
		if err != nil {
			s.received("repository_dispatch", http.StatusServiceUnavailable)
			return err
		}
		s.received("repository_dispatch", takenCode(isNew))
	case "repository":
		if from := h.formerly(); from != "" && from != repository {
			s.opts.Forget(from)
			if err := s.opts.Store.Rename(ctx, from, repository); err != nil {
				return err
			}
		}
		return s.wakeAll(ctx, repository)
	case "installation", "installation_repositories":
		for _, list := range [][]named{h.Repositories, h.Added, h.Removed} {
			for _, r := range list {
				s.opts.Forget(r.FullName)
			}
		}
		return s.wakeAll(ctx, "")
	}
	return nil
}

func (h hook) boardIssue() reconcile.BoardIssue {
	return reconcile.BoardIssue{Repository: h.Repository.FullName, Number: h.Issue.Number, Author: h.Issue.User.Login, Body: h.Issue.Body}
}

// issue takes what happened to an issue: only the dashboard's matters.
func (s *Server) issue(ctx context.Context, h hook) error {
	switch h.Action {
	case "edited":
		if h.Changes.Body.From == nil { // its title
			return nil
		}
		return s.opts.Board.BoardEdited(ctx, reconcile.BoardEdit{BoardIssue: h.boardIssue(),
			Login: h.Sender.Login, Bot: h.Sender.Type != "User", Before: *h.Changes.Body.From})
	case "closed", "reopened", "deleted", "transferred":
		return s.opts.Board.BoardTouched(ctx, h.boardIssue())
	}
	return nil
}

func (s *Server) wakePull(ctx context.Context, repository string, number int) error {
	u, err := s.opts.Store.UpgradeByPull(ctx, repository, number)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.opts.Queue.Wake(ctx, u.ID)
}

// wakeCommit wakes the upgrades whose head or merge is a commit, and those that
// wait for CI: it may have cut their run for this commit's. See rules/lifecycle.Applied.
func (s *Server) wakeCommit(ctx context.Context, repository, sha string) error {
	if len(sha) < 40 {
		return nil
	}
	open, err := s.opts.Store.OpenUpgrades(ctx, repository)
	if err != nil {
		return err
	}
	for _, u := range open {
		waits := u.State == string(lifecycle.Applying) || u.State == string(lifecycle.Undoing)
		if waits || strings.Contains(string(u.Data), sha) {
			if err := s.opts.Queue.Wake(ctx, u.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) wakeAll(ctx context.Context, repository string) error {
	open, err := s.opts.Store.OpenUpgrades(ctx, repository)
	if err != nil {
		return err
	}
	for _, u := range open {
		if err := s.opts.Queue.Wake(ctx, u.ID); err != nil {
			return err
		}
	}
	return nil
}

// cursorKey holds the time up to which the delivery log has been read.
const cursorKey = "deliveries"

// maxReplay is how far back the delivery log is read at a first start.
const maxReplay = 72 * time.Hour

// Replay takes the webhooks that GitHub could not deliver while belay was down,
// and says how many. After an error, the next one begins where this one began:
// what was taken is remembered, and what was not is tried again. One that cannot
// be taken keeps none of the others from it.
func (s *Server) Replay(ctx context.Context, app *github.App) (int, error) {
	since := s.opts.Now().Add(-maxReplay)
	value, err := s.opts.Store.Get(ctx, cursorKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	if t, err := time.Parse(time.RFC3339Nano, value); err == nil && t.After(since) {
		since = t
	}
	list, err := app.Deliveries(ctx, since)
	if err != nil {
		return 0, err
	}
	n := 0
	var failed error
	for _, d := range list {
		if !slices.Contains(events, d.Event) {
			continue
		}
		switch known, err := s.opts.Store.Remembers(ctx, "delivery "+d.GUID); {
		case err != nil:
			return n, fmt.Errorf("webhook delivery %s: %w", d.GUID, err)
		case known:
			continue
		}
		payload, err := app.Payload(ctx, d.ID)
		if errors.Is(err, github.ErrNotFound) {
			continue
		}
		if err != nil {
			return n, err
		}
		if err := s.Take(ctx, d.Event, d.GUID, payload); errors.Is(err, errMalformed) {
			s.opts.Log.Warn("a webhook in the delivery log was passed over", "delivery", d.GUID, "why", err)
			continue
		} else if err != nil {
			failed = fmt.Errorf("webhook delivery %s: %w", d.GUID, err)
			continue
		}
		n++
	}
	if failed != nil {
		return n, failed
	}
	// A little is read twice, so that clocks need not agree.
	return n, s.opts.Store.Put(ctx, cursorKey, s.opts.Now().Add(-10*time.Minute).UTC().Format(time.RFC3339Nano))
}
