package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/belaybot/belay/bot/report"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/ladder"
	"github.com/belaybot/belay/rules/lifecycle"
)

// story is what there is to say about an upgrade. The steps of a ladder are one
// story: people follow a service on its way, not a row of pull requests.
type story struct {
	key  string        // its id, or that of the ladder's first step
	u    store.Upgrade // of a ladder, the newest step
	view report.UpgradeView
	ids  int64       // id of the last event of any kind
	all  []happening // the events that people are told of, oldest first
	news []happening // those of all that a place does not know
}

// happening is one event with what is said about it.
type happening struct {
	u     store.Upgrade // whose event it is
	view  report.UpgradeView
	event store.Event
	say   report.Announcement
}

func (s story) last() int64 { return s.ids }

// record is the part of an upgrade's record that messages speak of.
type record struct {
	Waits     string         `json:"waits"`
	Risk      string         `json:"risk"`
	Security  []string       `json:"security"`
	Migration bool           `json:"migration"`
	Automerge bool           `json:"automerge"`
	Blockers  []string       `json:"blockers"`
	Gone      string         `json:"gone"`
	Health    string         `json:"health"`
	Ladder    *ladder.Ladder `json:"ladder"`
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

// story reads an upgrade as it stands now, with the other steps of its ladder.
func (n *Notifier) story(ctx context.Context, id string) (story, error) {
	u, err := n.opts.State.Upgrade(ctx, id)
	if err != nil {
		return story{}, err
	}
	steps := []store.Upgrade{u}
	if u.Ladder != "" {
		if steps, err = n.opts.State.Ladder(ctx, u.Ladder); err != nil {
			return story{}, err
		}
	}
	s := story{key: keyOf(u)}
	for _, u := range steps {
		if err := n.add(ctx, &s, u); err != nil {
			return story{}, err
		}
	}
	slices.SortFunc(s.all, func(a, b happening) int { return cmp.Compare(a.event.ID, b.event.ID) })
	return s, nil
}

// keyOf is the id under which is kept what was told of an upgrade.
func keyOf(u store.Upgrade) string { return cmp.Or(u.Ladder, u.ID) }

// add adds an upgrade to a story, which is then its last.
func (n *Notifier) add(ctx context.Context, s *story, u store.Upgrade) error {
	events, err := n.opts.State.Events(ctx, u.ID)
	if err != nil {
		return err
	}
	var rec record
	if err := json.Unmarshal(u.Data, &rec); err != nil {
		return fmt.Errorf("upgrade %s: its record cannot be read: %w", u.ID, err)
	}
	view := n.view(u, rec)
	// A step that has nothing to show yet does not take the place of the one before.
	if s.u.ID == "" || u.Pull != 0 {
		s.u, s.view = u, view
	}
	happened := map[string]bool{}
	for _, e := range events {
		s.ids = max(s.ids, e.ID)
		if say, ok := report.Announce(view, report.Happening{What: e.What, Who: e.Who, Why: e.Why, Again: happened[e.What]}); ok {
			s.all = append(s.all, happening{u: u, view: view, event: e, say: say})
		}
		happened[e.What] = true
		if e.What == string(lifecycle.Rewatching) { // a revert after that, or after a fix that does not help, is news
			delete(happened, string(lifecycle.Undo))
		}
	}
	return nil
}

func (n *Notifier) view(u store.Upgrade, rec record) report.UpgradeView {
	v := report.UpgradeView{
		StatusView: report.StatusView{Service: u.Service, From: u.From, To: u.To, State: lifecycle.State(u.State), Waits: rec.Waits, Risk: rec.Risk,
			MergeSHA: rec.Merge.SHA, MergedBy: rec.Merge.By, Unbacked: rec.Merge.Unbacked, BackupDetail: rec.Backup.Detail, Health: rec.Health, Gone: rec.Gone,
			Failure: rec.Failure.Why, Log: rec.Failure.Log, Undo: rec.Undo.Pull, Clashes: rec.Undo.Clashes, Ladder: rec.Ladder},
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
