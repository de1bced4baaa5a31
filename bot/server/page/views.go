package page

import (
	"time"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/rules/command"
	"github.com/belaybot/belay/rules/lifecycle"
)

// Item is an upgrade in a list.
type Item struct {
	ID, Repository, Service, From, To string
	State                             string
	Group                             lifecycle.Group
	Tone                              string
	Says                              string // what it waits for, or why it failed
	Risk                              string
	Security                          bool
	Step                              string // "2/5"; "" when there is one step
	Since                             time.Time
	Pull                              int
}

// Rows are items as a template shows them.
type Rows struct {
	Now   time.Time
	Items []Item
}

// Section is a group in a list.
type Section struct {
	Group lifecycle.Group
	Count int // of all pages
	Items []Item
}

// Choice is one value of a filter.
type Choice struct {
	Value, Text string
	Count       int
	Chosen      bool
	Href        string
}

// List is the view of list.html.
type List struct {
	Frame
	Headline     string
	Tone         string
	Counts       []Choice // by group
	Problems     []Problem
	Credentials  []Credential
	Day          []Dot
	DaySays      string
	Sections     []Section
	Total        int
	Filtered     bool
	Repositories []Choice
	Risks        []Choice
	Repository   string
	Service      string
	Group        string
	Risk         string
	Text         string
	First, Last  int
	Previous     string
	Next         string
}

// Problem is something that concerns more than one upgrade: a freeze, a
// configuration that is wrong.
type Problem struct {
	Repository, Text string
	Tone             string
}

// Button is a command that may be given.
type Button struct {
	Verb     command.Verb
	Args     string // that go with it, where nothing is asked for
	Label    string
	Does     string
	Asks     string // the label of a field; "" for none
	Must     bool   // the field has to be filled in
	Decisive bool
	First    bool
}

// Rung is a step of the ladder.
type Rung struct {
	Version string
	Stands  string // done, here, failed, ahead
	State   string // of its upgrade; "" when there is none yet
	ID      string // of its upgrade, "" where that is the one on show or there is none
}

// Event is an entry of the audit trail.
type Event struct {
	store.Event
	Tone string
	Says string
}

// Upgrade is the view of upgrade.html.
type Upgrade struct {
	Frame
	store.Upgrade
	Shown    reconcile.Shown
	Tone     string
	Ladder   []Rung
	Left     []string // versions that are no rungs, and why
	Stopped  string   // why no step follows by itself
	Timeline []Segment
	Strips   []Strip
	Trail    []Event
	Buttons  []Button
	Token    string // against forged requests
	Head     string // the commit on show
	May      bool   // whoever looks may act
}

// History is the view of history.html.
type History struct {
	Frame
	Repository, Service string
	Items               []Item
	Blocks              []store.Block
}

// Skip is a dispatch that led to nothing in one place.
type Skip struct {
	Image, Tag string
	At         time.Time
	Outcomes   []store.Outcome
}

// Skipped is the view of skipped.html.
type Skipped struct {
	Frame
	Text  string
	Skips []Skip
}

// Repository is the view of repository.html.
type Repository struct {
	Frame
	Name     string
	Problems []Problem
	Limit    string // how the rate limit stands, in words
	Started  int
	Upgrades int // allowed per window
	Counts   []Choice
	Services []Choice
	Bars     []Bar // of the rate limit
	Turn     *Item // whose merge is on its way to the cluster
}

// Bar is one place under the rate limit.
type Bar struct {
	X, W float64
	Full bool
}

// Bars draws a rate limit, with 40 bars at most.
func Bars(started, limit int) []Bar {
	n := max(min(limit, 40), 1)
	out := make([]Bar, n)
	for i := range out {
		w := 1000 / float64(n)
		out[i] = Bar{X: round(float64(i) * w), W: round(max(w-6, 2)), Full: i < started*n/max(limit, 1)}
	}
	return out
}

// Failure is the view of problem.html: a page that could not be shown.
type Failure struct {
	Frame
	Text string
	Way  string // what to do about it
}

// SignIn is the view of signin.html.
type SignIn struct {
	Frame
	Href    string // where signing in begins; "" when it is not set up
	Problem string
}

// Credential is a secret that belay works with, as people see it: by its label,
// and never by its value.
type Credential struct {
	Name, Text string
	Tone       string
}
