package planner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/policy"
)

// pinned is sample with another image.
func pinned(ref string) string { return strings.ReplaceAll(sample, "acme/web:2.0.0", ref) }

// TestOneServiceHoldsUpNoOther plans an image that two services use, of which
// one cannot be planned.
func TestOneServiceHoldsUpNoOther(t *testing.T) {
	byDigest := pinned("acme/web:2.0.0@sha256:" + strings.Repeat("a", 64))
	newer := pinned("acme/web:3.0.0@sha256:" + strings.Repeat("a", 64))
	ships := map[string][]upstream.ChartImage{"app": {{Name: "acme/web"}}}
	ahead := map[string][]upstream.ChartImage{"app": {{Name: "acme/web", Tag: "2.0.0"}}}
	broken := errors.New("connection refused")
	for _, tc := range []struct {
		name    string
		other   string // the files of service blog, beside data with a plain tag
		out     outside
		tag     string
		skipped string // of blog, once it is settled
		waits   string // of blog
		others  []string
	}{
		{name: "a tag that the registry does not have, and a pin by digest", other: byDigest, out: outside{tags: map[string]error{"2.1.0": upstream.ErrNotFound}},
			skipped: "blog/main.tf:6: the pin carries a digest, and the registry has no acme/web:2.1.0: send the dispatch again when it is there (not found upstream)", others: []string{"data"}},
		{name: "a registry that refuses", other: byDigest, out: outside{tags: map[string]error{"2.1.0": fmt.Errorf("registry.example.org: %w (HTTP 401)", upstream.ErrRefused)}},
			skipped: "does not show acme/web:2.1.0 to belay: give belay the registry's credentials (docker login), or a dispatch with the digest, and send it again (registry.example.org: refused (HTTP 401))", others: []string{"data"}},
		{name: "a registry that is down is waited for", other: byDigest, out: outside{tags: map[string]error{"2.1.0": broken}},
			waits: "service blog: blog/main.tf:6: the pin carries a digest, and the registry could not be asked for that of acme/web:2.1.0: connection refused", others: []string{"data"}},
		{name: "a pin that stays anyway needs no digest", other: newer, out: outside{tags: map[string]error{"2.1.0": broken}}, skipped: "not newer", others: []string{"data"}},
		{name: "of the same tag the digest is waited for", other: byDigest, tag: "2.0.0", out: outside{tags: map[string]error{"2.0.0": broken}}, waits: "that of acme/web:2.0.0"},
		{name: "a service moves as a whole or not", other: byDigest + strings.ReplaceAll(strings.ReplaceAll(sample, `"web"`, `"more"`), "main", "more"), out: outside{tags: map[string]error{"2.1.0": broken}}, waits: "service blog", others: []string{"data"}},
		{name: "a chart whose version has not come out", other: strings.ReplaceAll(release, "app", "web"), out: outside{images: map[string][]upstream.ChartImage{"web": ahead["app"]}}, tag: "2.2.0", skipped: "chart web ships acme/web, and has no version yet with 2.2.0", others: []string{"data"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.tag == "" {
				tc.tag = "2.1.0"
			}
			inv := scan(t, map[string]string{"blog/main.tf": tc.other, "data/main.tf": sample})
			p := planner.Planner{Policy: policy.Default(), Upstream: &tc.out}
			got, err := p.Plan(context.Background(), inv, dispatch(t, "acme/web", tc.tag))
			if err := planner.About(err, "data"); err != nil {
				t.Errorf("data is concerned: %v", err)
			}
			got, err = got.Settle(err)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if !strings.Contains(text, tc.waits) || tc.waits == "" && err != nil {
				t.Errorf("waits for %q, want %q", text, tc.waits)
			}
			if about := planner.About(err, "blog"); (about != nil) != (tc.waits != "") {
				t.Errorf("about blog: %v", about)
			}
			var services, reasons []string
			for _, u := range got.Upgrades {
				services = append(services, u.Service)
			}
			for _, s := range got.Skipped {
				if s.Service == "blog" {
					reasons = append(reasons, fmt.Sprintf("%s:%d: %s", s.Path, s.Line, s.Reason))
				}
			}
			if !slices.Equal(services, tc.others) {
				t.Errorf("upgrades of %q, want %q", services, tc.others)
			}
			if tc.skipped != "" && (len(reasons) != 1 || !strings.Contains(reasons[0], tc.skipped)) || tc.skipped == "" && len(reasons) > 0 {
				t.Errorf("blog is skipped for %q, want %q", reasons, tc.skipped)
			}
			if got.Refused != "" {
				t.Errorf("refused: %s", got.Refused)
			}
		})
	}
	t.Run("notes that cannot be read hold up their service alone", func(t *testing.T) {
		inv := scan(t, map[string]string{"data/main.tf": sample})
		p := planner.Planner{Policy: policy.Default(), Upstream: &outside{err: broken, images: ships}}
		got, err := p.Plan(context.Background(), inv, dispatch(t, "acme/web", "2.1.0"))
		var stuck *planner.Unplanned
		if !errors.As(err, &stuck) || len(stuck.Stuck) != 1 || stuck.Stuck[0].Service != "data" || !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if len(got.Upgrades) != 0 || got.Refused != "" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("who stops is no trouble of a service", func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		inv := scan(t, map[string]string{"blog/main.tf": byDigest})
		p := planner.Planner{Policy: policy.Default(), Upstream: &outside{err: context.Canceled}}
		var stuck *planner.Unplanned
		if _, err := p.Plan(ctx, inv, dispatch(t, "acme/web", "2.1.0")); !errors.Is(err, context.Canceled) || errors.As(err, &stuck) {
			t.Errorf("got %v", err)
		}
	})
}
