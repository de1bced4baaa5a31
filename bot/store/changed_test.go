package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/store"
)

func TestNewest(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t)
		for i, final := range []bool{true, false, true, true} {
			p.clock.pass(time.Second)
			u := web(fmt.Sprint("u", i))
			u.Lane = u.ID
			u, _, err := s.CreateUpgrade(ctx, u)
			ok(t, err)
			if u.Final = final; final {
				u.State = "verified"
			}
			must[store.Upgrade](t)(s.SaveUpgrade(ctx, u))
		}
		ids := func(list []store.Changed) (out []string) {
			for _, c := range list {
				out = append(out, fmt.Sprint(c.ID, " v", c.Version))
			}
			return out
		}
		same(t, "with two that are over", []string{"u1 v2", "u2 v2", "u3 v2"}, ids(must[[]store.Changed](t)(s.Newest(ctx, 2))))
		same(t, "with none", []string{"u1 v2"}, ids(must[[]store.Changed](t)(s.Newest(ctx, 0))))
		var got []string
		for _, u := range must[[]store.Upgrade](t)(s.UpgradesByID(ctx, []string{"u3", "gone", "u0"})) {
			got = append(got, u.ID)
		}
		same(t, "by their ids", []string{"u3", "u0"}, got)
		same(t, "no ids", 0, len(must[[]store.Upgrade](t)(s.UpgradesByID(ctx, nil))))
	})
}
