package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/sandbox/simcluster"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// story plays the chapters. What does not end as it should is an error.
func (s *stage) story(ctx context.Context) error {
	s.out.start = time.Now()
	s.repo.SetPermission("bo", "read")
	s.out.note(fmt.Sprintf("belay serve runs at %s: open it in a browser and sign in as ana, who may act, or bo, who may look. GitHub is a stand-in at %s with real git; %s, and watches that take minutes take seconds.", s.run.url(), s.gh.URL(), s.cluster.words()))
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
	if err := s.until(ctx, "linkwarden", "merged"); err != nil {
		return err
	}
	rest, graph, _ := s.calls()
	notes := int(s.asked.Load())
	if did := s.cluster.Did(); !slices.ContainsFunc(did, func(x string) bool { return strings.HasPrefix(x, "started dbaas/postgresql-backup-") }) {
		return fmt.Errorf("no backup was made before the merge, only %q", did)
	}
	if err := s.until(ctx, "linkwarden", "verified"); err != nil {
		return err
	}
	s.out.note(fmt.Sprintf("From its start to the merge belay called GitHub's API %d times, and %d times more for the release notes.", rest+graph-notes, notes))
	return s.expect(ctx, "linkwarden", lifecycle.Verified, "stacks/linkwarden/main.tf", "linkwarden/linkwarden:v2.14.0")
}

// caution is an upgrade that waits for a person, and goes up in two steps.
func (s *stage) caution(ctx context.Context) error {
	s.out.chapter("2. CAUTION: a major version that removes a setting in use goes up step by step, each agreed to by a person")
	const main, old, between = "stacks/url/main.tf", "shlinkio/shlink:4.3.4", "shlinkio/shlink:4.6.0"
	s.cluster.Play("url", "4.6.0", simcluster.Script{Ready: time.Second})
	s.cluster.Play("url", "5.0.2", simcluster.Script{Ready: time.Second})
	if err := s.begin(ctx, "url", "docker.io/shlinkio/shlink", "5.0.2"); err != nil {
		return err
	}
	s.quote("url", "upgrade: ", 34)
	waits := func() error {
		return s.eventually(ctx, "url waits for a review", func(st server.Status) bool {
			return slices.ContainsFunc(st.Upgrades, func(u server.Upgrade) bool { return u.Service == "url" && strings.Contains(u.Waits, "review") })
		})
	}
	if err := errors.Join(waits(), s.expect(ctx, "url", lifecycle.Open, main, old)); err != nil {
		return err
	}
	for _, command := range []string{"status", "aprove", "approve"} {
		if err := s.comment(ctx, "url", command); err != nil {
			return err
		}
	}
	for _, event := range []string{"verified", "started"} {
		if err := s.until(ctx, "url", event); err != nil {
			return err
		}
	}
	s.quote("url", "upgrade: ", 22)
	if err := errors.Join(waits(), s.expect(ctx, "url", lifecycle.Open, main, between), s.comment(ctx, "url", "step all")); err != nil {
		return err
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
	if failed := s.cluster.FailedAt(service); !failed.IsZero() {
		s.out.note(fmt.Sprintf("From the crash until the pull request that undoes it was open and told: %.1f s.", time.Since(failed).Seconds()))
	}
	s.quote(service, "revert: ", 28)
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
	if err == nil {
		s.out.say(plainTone, "belay", reason)
	}
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
	s.out.chapter("git log --format=%s main")
	for _, subject := range s.repo.Log("main") {
		fmt.Fprintln(s.out.out, subject)
	}
	rest, graph, git := s.calls()
	s.out.chapter("All of it ended as it should")
	s.out.note(fmt.Sprintf("%d dispatches, %d pull requests, %d calls of GitHub's API (%d REST, %d of them for release notes, and %d GraphQL), %d requests of git, in %.0f s.",
		len(st.Dispatches), len(s.repo.Pulls()), rest+graph, rest, s.asked.Load(), graph, git, time.Since(s.out.start).Seconds()))
	return nil
}

// addresses says where to look around.
func (s *stage) addresses() {
	fmt.Fprintf(s.out.out, `
Everything still runs, until Ctrl-C. The page: %s (sign in as ana, who may act, or bo, who may look)

  BELAY_DIUN_TOKEN=%s belay status --server %s
  BELAY_DIUN_TOKEN=%s belay dispatch --server %s --image shlinkio/shlink-web-client --tag 4.6.0
  curl %s/metrics
  git -C %s log -p main
`, s.run.url(), demoToken, s.run.url(), demoToken, s.run.url(), s.run.url(), s.repo.Dir())
}
