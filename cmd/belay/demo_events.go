package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/rules/lifecycle"
)

// patienceOfDemo is how long one thing may take on a busy machine before the
// demo says that it did not happen.
const patienceOfDemo = 2 * time.Minute

// begin sends a dispatch and waits for its pull request.
func (s *stage) begin(ctx context.Context, service, image, tag string) error {
	if err := s.dispatch(ctx, image, tag); err != nil {
		return err
	}
	return s.until(ctx, service, "started")
}

// turns are the events after which the story of an upgrade is another one.
var turns = []string{"aborted", "verified", "unverified", "closed", "obsolete", "reverting", "reverted", "not_deployed", "failed", "critical"}

// until prints what belay tells people until it tells one event of a service.
func (s *stage) until(ctx context.Context, service, event string) error {
	wait, cancel := context.WithTimeout(ctx, patienceOfDemo)
	defer cancel()
	for {
		for len(s.told[service]) > 0 {
			e := s.told[service][0]
			s.told[service] = s.told[service][1:]
			if e.Event == event {
				return nil
			}
			if slices.Contains(turns, e.Event) {
				return fmt.Errorf("%s: %q where %q was to be expected: %s", service, e.Event, event, e.Text)
			}
		}
		select {
		case <-wait.Done():
			return late(ctx, fmt.Sprintf("%s: %q is not told", service, event))
		case e := <-s.events:
			s.show(e)
		}
	}
}

// late is the error of what did not happen in time.
func late(ctx context.Context, what string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%s within %s: --verbose shows why", what, patienceOfDemo)
}

// show prints an event, and keeps it for until.
func (s *stage) show(e notify.Event) {
	s.told[e.Upgrade.Service] = append(s.told[e.Upgrade.Service], e)
	tone := plainTone
	switch {
	case e.Alarm:
		tone = alarm
	case e.Event == "verified" || e.Event == "reverted":
		tone = success
	}
	name := e.Upgrade.Service
	if e.Upgrade.Pull != 0 {
		name = fmt.Sprintf("%s #%d", name, e.Upgrade.Pull)
	}
	s.out.say(tone, name, e.Text)
	s.out.more(e.Detail)
}

// quote prints the beginning of a service's pull request.
func (s *stage) quote(service, kind string, lines int) {
	p := s.pull(service, kind)
	s.out.quote(fmt.Sprintf("#%d  %s  [%s]", p.Number, p.Title, strings.Join(p.Labels, ", ")), p.Body, lines)
}

// pull is a service's newest pull request of a kind: "upgrade: ", "revert: ".
func (s *stage) pull(service, kind string) sandbox.Pull {
	for _, p := range slices.Backward(s.repo.Pulls()) {
		if strings.HasPrefix(p.Title, kind+service+" ") {
			return p
		}
	}
	return sandbox.Pull{}
}

// comment has a person give a command, and prints belay's answer to it.
func (s *stage) comment(ctx context.Context, service, command string) error {
	number := s.pull(service, "upgrade: ").Number
	s.repo.Comment(number, "ana", "/upgrade "+command)
	s.out.say(person, "ana", fmt.Sprintf("comments on #%d: /upgrade %s", number, command))
	said := ""
	err := s.eventually(ctx, "/upgrade "+command+" is answered", func(server.Status) bool {
		said = answerTo(s.pull(service, "upgrade: ").Comments, command)
		return said != ""
	})
	if err == nil {
		s.out.say(plainTone, "belay", "answers: "+said)
	}
	return err
}

// answerTo finds the answer to a command in belay's comment, which has a table
// with a row for each.
func answerTo(comments []sandbox.Comment, command string) string {
	for _, c := range comments {
		for line := range strings.Lines(c.Body) {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			if len(cells) == 3 && strings.Trim(cells[1], "` ") == command {
				return strings.TrimSuffix(cells[2], " |")
			}
		}
	}
	return ""
}

// eventually waits until belay's status is as it should be.
func (s *stage) eventually(ctx context.Context, what string, f func(server.Status) bool) error {
	wait, cancel := context.WithTimeout(ctx, patienceOfDemo)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := s.status(ctx)
		if err != nil {
			return err
		}
		if f(st) {
			return nil
		}
		select {
		case <-wait.Done():
			return late(ctx, "not so: "+what)
		case e := <-s.events:
			s.show(e)
		case <-tick.C:
		}
	}
}

// expect holds an upgrade's state and what main pins against what they should be.
func (s *stage) expect(ctx context.Context, service string, state lifecycle.State, path, text string) error {
	st, err := s.status(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(st.Upgrades, func(u server.Upgrade) bool { return u.Service == service })
	if i < 0 || st.Upgrades[i].State != string(state) {
		return fmt.Errorf("%s is not %s: %+v", service, state, st.Upgrades)
	}
	content, err := s.repo.File("main", path)
	if err == nil && !strings.Contains(content, text) {
		err = fmt.Errorf("%s is %s, and %s on main does not have %s", service, state, path, text)
	}
	return err
}

// calls counts what the stand-in was asked: REST, GraphQL, git.
func (s *stage) calls() (rest, graph, git int) {
	for name, n := range s.gh.Calls() {
		switch {
		case name == "GRAPHQL":
			graph += n
		case strings.HasPrefix(name, "git-"):
			git += n
		default:
			rest += n
		}
	}
	return rest, graph, git
}
