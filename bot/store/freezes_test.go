package store_test

import (
	"errors"
	"testing"

	"github.com/belaybot/belay/bot/store"
)

func TestFreezes(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		under := func(repository string) string {
			t.Helper()
			f, err := s.FreezeOf(ctx, repository)
			if errors.Is(err, store.ErrNotFound) {
				return "none"
			}
			if err != nil {
				t.Fatal(err)
			}
			return f.Who + " " + f.Reason
		}
		freeze := func(repository, who, reason string) {
			t.Helper()
			if err := s.Freeze(ctx, store.Freeze{Repository: repository, Who: who, Reason: reason}); err != nil {
				t.Fatal(err)
			}
		}
		if got := under("acme/home-ops"); got != "none" {
			t.Fatalf("at first: %s", got)
		}
		freeze("acme/home-ops", "ana", "incident")
		if a, b := under("Acme/Home-Ops"), under("acme/other"); a != "ana incident" || b != "none" {
			t.Errorf("its own freeze: %q; another repository: %q", a, b)
		}
		freeze("ACME/home-ops", "bo", "still the incident")
		if got := under("acme/home-ops"); got != "bo still the incident" {
			t.Errorf("frozen again: %s", got)
		}
		freeze("", "ana", "holidays")
		if a, b := under("acme/home-ops"), under("acme/other"); a != "bo still the incident" || b != "ana holidays" {
			t.Errorf("with one of all: %q, %q", a, b)
		}
		if was := must[bool](t)(s.Thaw(ctx, "acme/home-ops", "bo")); !was {
			t.Error("thawed, and it was not frozen")
		}
		if got := under("acme/home-ops"); got != "ana holidays" {
			t.Errorf("the freeze of all outlives a repository's own: %s", got)
		}
		if was := must[bool](t)(s.Thaw(ctx, "acme/home-ops", "bo")); was {
			t.Error("thawed twice")
		}
		if was := must[bool](t)(s.Thaw(ctx, "", "ana")); !was || under("acme/other") != "none" {
			t.Error("the freeze of all stays")
		}
		all := must[[]store.Freeze](t)(s.AllFreezes(ctx))
		if len(all) != 3 || all[0].Ended.IsZero() || all[0].EndedBy != "bo" || all[2].EndedBy != "ana" {
			t.Errorf("what there was: %+v", all)
		}
		freeze("acme/home-ops", "ana", "")
		if err := s.Rename(ctx, "acme/home-ops", "acme/cluster"); err != nil {
			t.Fatal(err)
		}
		if a, b := under("acme/home-ops"), under("acme/cluster"); a != "none" || b != "ana " {
			t.Errorf("after the repository got another name: %q, %q", a, b)
		}
	})
}
