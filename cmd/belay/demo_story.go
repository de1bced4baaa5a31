package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/notify"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/sandbox/simcluster"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// patienceOfDemo is how long one thing may take on a busy machine before the
// demo says that it did not happen.
const patienceOfDemo = 2 * time.Minute

// story plays the chapters. What does not end as it should is an error.
func (s *stage) story(ctx context.Context) error {
	s.out.start = time.Now()
	for _, chapter := range []func(context.Context) error{s.safe, s.caution, s.failing, s.unsaved, s.floating, s.sum} {
		if err := chapter(ctx); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	return nil
}

// safe is an upgrade that belay merges by itself.
func (s *stage) safe(ctx context.Context) error {
	s.out.chapter("1. SAFE: backed up, merged and watched by itself")
	s.cluster.Play("linkwarden", "v2.14.0", simcluster.Script{Ready: time.Second})
	if err := s.begin(ctx, "linkwarden", "docker.io/linkwarden/linkwarden", "v2.14.0"); err != nil {
		return err
	}
	s.quote("linkwarden", "upgrade: ", 16)
	if err := s.until(ctx, "linkwarden", "verified"); err != nil {
		return err
	}
	if did := s.cluster.Did(); !slices.ContainsFunc(did, func(x string) bool { return strings.HasPrefix(x, "started dbaas/postgresql-backup-") }) {
		return fmt.Errorf("no backup was made before the merge, only %q", did)
	}
	rest, graph, _ := s.calls()
	s.out.say(faint, "", fmt.Sprintf("from the dispatch until here: %d calls of GitHub's API, the release notes of 23 versions included", rest+graph))
	return s.expect(ctx, "linkwarden", lifecycle.Verified, "stacks/linkwarden/main.tf", "linkwarden/linkwarden:v2.14.0")
}

// caution is an upgrade that waits for a person.
func (s *stage) caution(ctx context.Context) error {
	s.out.chapter("2. CAUTION: a major version that removes a setting in use waits for a person")
	s.cluster.Play("url", "5.0.2", simcluster.Script{Ready: time.Second})
	if err := s.begin(ctx, "url", "docker.io/shlinkio/shlink", "5.0.2"); err != nil {
		return err
	}
	s.quote("url", "upgrade: ", 30)
	const main, old = "stacks/url/main.tf", "shlinkio/shlink:4.3.4"
	err := s.eventually(ctx, "url waits for a review", func(st server.Status) bool {
		return slices.ContainsFunc(st.Upgrades, func(u server.Upgrade) bool { return u.Service == "url" && strings.Contains(u.Waits, "review") })
	})
	if err = errors.Join(err, s.expect(ctx, "url", lifecycle.Open, main, old)); err != nil {
		return err
	}
	for _, command := range []string{"status", "aprove", "approve"} {
		if err := s.comment(ctx, "url", command); err != nil {
			return err
		}
	}
	if err := s.until(ctx, "url", "verified"); err != nil {
		return err
	}
	return s.expect(ctx, "url", lifecycle.Verified, main, "shlinkio/shlink:5.0.2")
}

// failing is an upgrade that fails while it is watched, and is undone.
func (s *stage) failing(ctx context.Context) error {
	s.out.chapter("3. It fails while it is watched: undone")
	const service, pod = "paperless-ngx", "paperless-ngx-7c9f6d5b84-q2x7m"
	s.cluster.Play(service, "2.20.14", simcluster.Script{Ready: 500 * time.Millisecond, Fails: 1500 * time.Millisecond, Cause: watch.CauseOOM,
		Detail: "container paperless-ngx of pod " + pod + " was killed for want of memory (OOMKilled)",
		Log:    "[INFO] Paperless-ngx 2.20.14 starts\n[INFO] The search index is of an older version\n[INFO] Building the search index anew: 4212 of 11874 documents\nKilled"})
	s.cluster.Play(service, "2.16.4", simcluster.Script{Ready: 500 * time.Millisecond})
	if err := s.begin(ctx, service, "ghcr.io/paperless-ngx/paperless-ngx", "2.20.14"); err != nil {
		return err
	}
	if err := s.until(ctx, service, "reverting"); err != nil {
		return err
	}
	s.quote(service, "revert: ", 25)
	if err := s.until(ctx, service, "reverted"); err != nil {
		return err
	}
	return s.expect(ctx, service, lifecycle.Reverted, "modules/app/main.tf", `default = "2.16.4"`)
}

// unsaved is an upgrade whose backup fails.
func (s *stage) unsaved(ctx context.Context) error {
	s.out.chapter("4. The backup fails: nothing is merged")
	const service = "phpipam"
	s.cluster.Break("dbaas/mysql-backup", "mysqldump: Error: 'Disk full' while dumping phpipam\nwrote 0 of 48 tables")
	if err := s.begin(ctx, service, "docker.io/phpipam/phpipam-www", "v1.7.4"); err != nil {
		return err
	}
	if err := s.until(ctx, service, "aborted"); err != nil {
		return err
	}
	if p := s.pull(service, "upgrade: "); p.State != "open" {
		return fmt.Errorf("%s: #%d is %s without a backup", service, p.Number, p.State)
	}
	return s.expect(ctx, service, lifecycle.Aborted, "stacks/phpipam/terraform.tfvars", `phpipam_version = "v1.7.0"`)
}

// floating is a dispatch that asks for nothing.
func (s *stage) floating(ctx context.Context) error {
	s.out.chapter("5. A tag that names no version: nothing to do, and it says why")
	if err := s.dispatch(ctx, "docker.io/linkwarden/linkwarden", "latest"); err != nil {
		return err
	}
	reason := ""
	err := s.eventually(ctx, "the dispatch of latest is answered", func(st server.Status) bool {
		for _, d := range st.Dispatches {
			if d.Tag == "latest" && len(d.Outcomes) > 0 {
				reason = d.Outcomes[0].Reason
			}
		}
		return reason != ""
	})
	s.out.say(plainTone, "", reason)
	return err
}

// sum shows where everything stands.
func (s *stage) sum(ctx context.Context) error {
	s.out.chapter("belay status")
	st, err := s.status(ctx)
	if err != nil {
		return err
	}
	if err := printStatus(s.out.out, st); err != nil {
		return err
	}
	s.out.chapter("git log --oneline main")
	for _, subject := range s.repo.Log("main") {
		fmt.Fprintln(s.out.out, subject)
	}
	rest, graph, git := s.calls()
	fmt.Fprintf(s.out.out, "\n%d dispatches, %d pull requests, %d calls of GitHub's API (%d REST, %d GraphQL), %d requests of git, in %.0f s.\n",
		len(st.Dispatches), len(s.repo.Pulls()), rest+graph, rest, graph, git, time.Since(s.out.start).Seconds())
	return nil
}

// addresses says where to look around.
func (s *stage) addresses() {
	fmt.Fprintf(s.out.out, `
Everything still runs, until Ctrl-C:

  BELAY_DIUN_TOKEN=%s belay status --server %s
  BELAY_DIUN_TOKEN=%s belay dispatch --server %s --image shlinkio/shlink-web-client --tag 4.6.0
  curl %s/metrics
  git -C %s log -p main
`, demoToken, s.run.url(), demoToken, s.run.url(), s.run.url(), s.repo.Dir())
}

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
		select {
		case <-wait.Done():
			return late(ctx, fmt.Sprintf("%s: %q is not told", service, event))
		case e := <-s.events:
			s.show(e)
			switch {
			case e.Upgrade.Service != service:
			case e.Event == event:
				return nil
			case slices.Contains(turns, e.Event):
				return fmt.Errorf("%s: %q where %q was to be expected: %s", service, e.Event, event, e.Text)
			}
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

func (s *stage) show(e notify.Event) {
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
	for line := range strings.Lines(e.Detail) {
		s.out.say(faint, "", "  "+line)
	}
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
	s.out.say(person, "ana", "comments on #"+fmt.Sprint(number)+": /upgrade "+command)
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
