package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/store"
)

func TestSkipped(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		at := p.clock.Now()
		add := func(d store.Dispatch, outcomes ...store.Outcome) {
			at = at.Add(time.Second)
			d.Received = at
			_, _, err := s.AddDispatch(ctx, d, nil)
			ok(t, err)
			for _, o := range outcomes {
				ok(t, s.SetOutcomes(ctx, d.ID, o.Repository, []store.Outcome{o}))
			}
		}
		add(store.Dispatch{ID: "d1", Image: "docker.io/acme/web", Tag: "latest"}, store.Outcome{Repository: "acme/home-ops", Service: "web", Reason: "latest names no version", Path: "stacks/web/main.tf"},
			store.Outcome{Repository: "bo/things", Service: "shop_front", Reason: "opted out"})
		add(store.Dispatch{ID: "d2", Chart: "vault", ChartFrom: "https://charts.example.org", Tag: "1.2.3"}, store.Outcome{Repository: "bo/things", Service: "vault", Reason: "100% newer already"})
		add(store.Dispatch{ID: "d3", Image: "docker.io/acme/web", Tag: "1.2.3"}, store.Outcome{Repository: "acme/home-ops", Service: "web", Upgrade: "u1"})
		add(store.Dispatch{ID: "d4", Image: "docker.io/acme/none", Tag: "1"})
		for _, tc := range []struct {
			name string
			f    store.SkipFilter
			want []string
		}{
			{"of everything, the newest first", store.SkipFilter{All: true}, []string{"d2 vault", "d1 web", "d1 shop_front"}},
			{"of the newest alone", store.SkipFilter{All: true, Limit: 1}, []string{"d2 vault"}},
			{"of some repositories, whatever the case", store.SkipFilter{Repositories: []string{"elsewhere/x", "ACME/home-ops"}}, []string{"d1 web"}},
			{"the limit counts what fits", store.SkipFilter{Repositories: []string{"acme/home-ops"}, Limit: 1}, []string{"d1 web"}},
			{"of nothing", store.SkipFilter{}, nil},
			{"each word counts", store.SkipFilter{All: true, Words: []string{"LATEST", "Opted"}}, []string{"d1 shop_front"}},
			{"of a chart", store.SkipFilter{All: true, Words: []string{"charts.example.org"}}, []string{"d2 vault"}},
			{"of a path", store.SkipFilter{All: true, Words: []string{"main.tf"}}, []string{"d1 web"}},
			{"a percent sign is one", store.SkipFilter{All: true, Words: []string{"0%"}}, []string{"d2 vault"}},
			{"and no more", store.SkipFilter{All: true, Words: []string{"l%t"}}, nil},
			{"so is an underscore", store.SkipFilter{All: true, Words: []string{"p_f"}}, []string{"d1 shop_front"}},
			{"and an exclamation mark", store.SkipFilter{All: true, Words: []string{"!"}}, nil},
		} {
			t.Run(tc.name, func(t *testing.T) {
				var got []string
				for _, d := range must[[]store.Dispatch](t)(s.Skipped(ctx, tc.f)) {
					for _, o := range d.Outcomes {
						got = append(got, fmt.Sprint(d.ID, " ", o.Service))
					}
				}
				same(t, "skipped", tc.want, got)
			})
		}
	})
}

func TestGetAll(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		ok(t, s.Put(ctx, "config a", "1"))
		ok(t, s.Put(ctx, "config b", "2"))
		names := []string{"config a", "config b", "config c"}
		for i := range 600 { // more than one statement has
			names = append(names, fmt.Sprint("other ", i))
		}
		same(t, "facts", map[string]string{"config a": "1", "config b": "2"}, must[map[string]string](t)(s.GetAll(ctx, names)))
		same(t, "no facts", map[string]string{}, must[map[string]string](t)(s.GetAll(ctx, nil)))
	})
}
