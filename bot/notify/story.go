package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/lifecycle"
)

// story is what there is to say about an upgrade.
type story struct {
	u    store.Upgrade
	view report.UpgradeView
	ids  int64       // id of the last event of any kind
	all  []happening // the events that people are told of, oldest first
	news []happening // those of all that a place does not know
}

// happening is one event with what is said about it.
type happening struct {
	event store.Event
	say   report.Announcement
}

func (s story) last() int64 { return s.ids }

// record is the part of an upgrade's record that messages speak of.
type record struct {
	Waits     string   `json:"waits"`
	Risk      string   `json:"risk"`
	Security  []string `json:"security"`
	Migration bool     `json:"migration"`
	Automerge bool     `json:"automerge"`
	Blockers  []string `json:"blockers"`
	Gone      string   `json:"gone"`
	Health    string   `json:"health"`
	Held      *struct {
		Login  string `json:"login"`
		Reason string `json:"reason"`
	} `json:"held"`
	Backup struct {
		Config struct{ Kind, Target string } `json:"config"`
		State  string                        `json:"state"`
		Detail string                        `json:"detail"`
	} `json:"backup"`
	Merge struct {
		SHA      string `json:"sha"`
		By       string `json:"by"`
		Unbacked bool   `json:"unbacked"`
	} `json:"merge"`
	Failure struct {
		Why string `json:"why"`
		Log string `json:"log"`
	} `json:"failure"`
	Undo struct {
		Pull    int      `json:"pull"`
		Fix     bool     `json:"fix"`
		Clashes []string `json:"clashes"`
	} `json:"undo"`
}

// story reads an upgrade as it stands now.
func (n *Notifier) story(ctx context.Context, id string) (story, error) {
	u, err := n.opts.State.Upgrade(ctx, id)
	if err != nil {
		return story{}, err
	}
	events, err := n.opts.State.Events(ctx, id)
	if err != nil {
		return story{}, err
	}
	var rec record
	if err := json.Unmarshal(u.Data, &rec); err != nil {
		return story{}, fmt.Errorf("upgrade %s: its record cannot be read: %w", id, err)
	}
	s := story{u: u, view: n.view(u, rec)}
	happened := map[string]bool{}
	for _, e := range events {
		s.ids = max(s.ids, e.ID)
		if say, ok := report.Announce(s.view, report.Happening{What: e.What, Who: e.Who, Why: e.Why, Again: happened[e.What]}); ok {
			s.all = append(s.all, happening{event: e, say: say})
		}
		happened[e.What] = true
		if e.What == string(lifecycle.Rewatching) { // a revert after that, or after a fix that does not help, is news
			delete(happened, string(lifecycle.Undo))
		}
	}
	return s, nil
}

func (n *Notifier) view(u store.Upgrade, rec record) report.UpgradeView {
	v := report.UpgradeView{
		StatusView: report.StatusView{Service: u.Service, From: u.From, To: u.To, State: lifecycle.State(u.State), Waits: rec.Waits, Risk: rec.Risk,
			MergeSHA: rec.Merge.SHA, MergedBy: rec.Merge.By, Unbacked: rec.Merge.Unbacked, BackupDetail: rec.Backup.Detail, Health: rec.Health, Gone: rec.Gone,
			Failure: rec.Failure.Why, Log: rec.Failure.Log, Undo: rec.Undo.Pull, Clashes: rec.Undo.Clashes},
		Repository: u.Repository, Pull: u.Pull, Automerge: rec.Automerge, Blockers: rec.Blockers,
		BackedUp: rec.Backup.State == string(lifecycle.Good), Security: rec.Security, Migration: rec.Migration, Fix: rec.Undo.Fix,
	}
	if rec.Held != nil {
		v.HeldBy, v.HeldFor = rec.Held.Login, rec.Held.Reason
	}
	if rec.Backup.Config.Kind != "" {
		v.Backup = strings.TrimSpace(rec.Backup.Config.Kind + " " + rec.Backup.Config.Target)
	}
	v.URL, v.UndoURL = n.address(u.Repository, u.Pull), n.address(u.Repository, rec.Undo.Pull)
	return v
}

// address is where people see a pull request, "" where there is none.
func (n *Notifier) address(repository string, pull int) string {
	if pull <= 0 {
		return ""
	}
	return fmt.Sprintf("%s/%s/pull/%d", strings.TrimSuffix(n.opts.GitHub, "/"), repository, pull)
}
