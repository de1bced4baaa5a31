package planner

import (
	"context"
	"errors"
	"fmt"

	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
)

// maxChartsOpened is how many newer versions of a chart are opened to look for
// one that ships a tag.
const maxChartsOpened = 12

// chartFor finds the chart version that ships the dispatched tag, by appVersion.
// An image with a tag of its own in the chart, such as a cache beside the
// program, does not follow appVersion: there the newer versions are opened, the
// nearest first. why says why there is none.
func (p *Planner) chartFor(ctx context.Context, n pin.Pin, own upstream.ChartImage, d plan.Dispatch) (to, why string, err error) {
	versions, err := p.Upstream.ChartVersions(ctx, n.Chart)
	if err != nil {
		return "", "", err
	}
	app := make([]plan.ChartVersion, len(versions))
	for i, v := range versions {
		app[i] = plan.ChartVersion{Version: v.Version, AppVersion: v.AppVersion}
	}
	none := fmt.Sprintf("chart %s ships %s, and has no version yet with %s", n.Chart.Name, d.Image.Familiar(), d.Tag)
	if plan.FollowsApp(n.Version, own.Tag, app) {
		if to, ok := plan.ChartFor(n.Version, d.Tag, app); ok {
			return to, "", nil
		}
		return "", none, nil
	}
	newer := plan.NewerCharts(n.Version, app)
	for _, v := range newer[:min(len(newer), maxChartsOpened)] {
		images, err := p.Upstream.ChartImages(ctx, n.Chart, v)
		if errors.Is(err, upstream.ErrOffline) || errors.Is(err, upstream.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		if i, ok := ships(images, d.Image); ok && plan.SameTag(i.Tag, d.Tag) {
			return v, "", nil
		}
	}
	return "", none, nil
}
