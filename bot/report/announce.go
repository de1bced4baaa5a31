package report

import (
	"slices"
	"strings"
	"unicode"

	"github.com/belaybot/belay/rules/lifecycle"
)

// Happening is one event of an upgrade's audit trail, as far as people are told of it.
type Happening struct {
	What  string // the event's name in the store: a state, or what was done
	Who   string // "belay", or a login
	Why   string
	Again bool // the same happened to the upgrade before
}

// Announcement is what people are told about one event. Its texts are plain:
// whoever shows them escapes them for the place.
type Announcement struct {
	Event     string // the name by which the outside knows it: started, merged, …
	Text      string // one or two sentences on one line
	Detail    string // lines that belay did not write, such as the end of a log; "" for none
	Important bool   // told even where only few words fit: by an incoming webhook
	Alarm     bool   // a person has to act
}

// announced is one row of the table below.
type announced struct {
	event     string
	again     string // the event's name when it happens once more; "" keeps the name
	important bool
	alarm     bool
	detail    func(UpgradeView) string
}

// announcements says which events people are told of, by their name in the
// store. Its text is the template "tell <event>" in announce.tmpl. A new state
// of the lifecycle needs a row here and a text there, or a place in silent.
var announcements = map[string]announced{
	string(lifecycle.Publish):    {event: "started", again: "updated", important: true},
	string(lifecycle.Backup):     {event: "backup"},
	string(lifecycle.Aborted):    {event: "aborted", important: true, alarm: true, detail: func(v UpgradeView) string { return v.BackupDetail }},
	string(lifecycle.Open):       {event: "waiting"},
	string(lifecycle.Merge):      {event: "merged", important: true},
	string(lifecycle.Applying):   {event: "merged", important: true},
	string(lifecycle.Watching):   {event: "applied"},
	string(lifecycle.Verified):   {event: "verified", important: true},
	string(lifecycle.Unverified): {event: "unverified", important: true},
	string(lifecycle.Closed):     {event: "closed"},
	string(lifecycle.Obsolete):   {event: "obsolete"},
	string(lifecycle.Discard):    {event: "obsolete"},

	// What follows a failure.
	string(lifecycle.Undo):        {event: "reverting", again: "revert_updated", important: true, alarm: true, detail: podLog},
	string(lifecycle.Restore):     {event: "restoring", important: true},
	string(lifecycle.Restoring):   {event: "restoring", important: true},
	string(lifecycle.Reverting):   {event: "restored"},
	string(lifecycle.MergeUndo):   {event: "revert_merged"},
	string(lifecycle.Undoing):     {event: "revert_merged"},
	string(lifecycle.DiscardUndo): {event: "revert_applied"},
	string(lifecycle.Rewatching):  {event: "revert_applied"},
	string(lifecycle.Reverted):    {event: "reverted", important: true},
	string(lifecycle.NotDeployed): {event: "not_deployed", important: true, alarm: true},
	string(lifecycle.Failed):      {event: "failed", important: true},
	string(lifecycle.Critical):    {event: "critical", important: true, alarm: true, detail: podLog},
}

func podLog(v UpgradeView) string { return v.Log }

// silent are the events that show in the state of the message and are not told
// by themselves: telling them would be noise.
var silent = []string{string(lifecycle.Queued), string(lifecycle.BackingUp), "command", "newer version", "next step"}

// Told reports whether an event is known: told, or left out on purpose.
func Told(what string) (told, known bool) {
	_, told = announcements[what]
	return told, told || slices.Contains(silent, what)
}

// UpgradeView is what messages about an upgrade speak of.
type UpgradeView struct {
	StatusView
	Repository string   // acme/home-ops
	Pull       int      // 0: none yet
	URL        string   // of the pull request, "" when there is none
	UndoURL    string   // of the one that undoes or mends it, "" when there is none
	Fix        bool     // that one mends instead of undoing
	Automerge  bool     // belay may merge it without a person
	Blockers   []string // why it may not
	Backup     string   // the backup that is configured, "" for none
	BackedUp   bool     // the backup before the merge succeeded
	Security   []string // CVE and GHSA ids that it fixes
	Migration  bool     // the notes speak of a data migration
}

// Announce says what people are told about an event, and whether they are.
func Announce(v UpgradeView, h Happening) (Announcement, bool) {
	row, ok := announcements[h.What]
	if !ok {
		return Announcement{}, false
	}
	a := Announcement{Event: row.event, Important: row.important, Alarm: row.alarm}
	if h.Again && row.again != "" {
		a.Event, a.Important, a.Alarm, row.detail = row.again, false, false, nil
	}
	var b strings.Builder
	execute(&b, "tell "+a.Event, struct {
		UpgradeView
		Happening
	}{v, h})
	a.Text = oneLine(b.String())
	if row.detail != nil {
		a.Detail = ending(row.detail(v))
	}
	return a, true
}

// maxLine and maxDetail bound what a message holds of text that belay did not
// write, in characters.
const (
	maxLine   = 900
	maxDetail = 1500
)

// oneLine makes one line of a text: spaces for everything that is no visible
// character, and no characters that turn the direction of writing.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.Map(visible, s)), " ")
	if r := []rune(s); len(r) > maxLine {
		s = string(r[:maxLine-1]) + "…"
	}
	return s
}

func visible(r rune) rune {
	switch {
	case r == unicode.ReplacementChar, unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
		return -1
	case unicode.IsControl(r):
		return ' '
	}
	return r
}

// ending keeps the last lines of a log.
func ending(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(strings.Map(visible, lines[i]), " ")
	}
	r := []rune(strings.TrimSpace(strings.Join(lines, "\n")))
	if len(r) > maxDetail {
		r = append([]rune("…"), r[len(r)-maxDetail+1:]...)
	}
	return string(r)
}

// sentence gives words a capital and a full stop.
func sentence(s string) string {
	r := []rune(strings.TrimRight(strings.TrimSpace(s), "."))
	if len(r) == 0 {
		return ""
	}
	r[0] = unicode.ToUpper(r[0])
	return string(r) + "."
}
