package planner_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/planner"
	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/bot/upstream"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/notes"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/risk"
	"github.com/belaybot/belay/rules/version"
)

// outside answers what the planner asks, from fields.
type outside struct {
	notes  upstream.Notes
	err    error                            // of Repository and Notes
	images map[string][]upstream.ChartImage // by chart, or by chart and version
	charts error
	tags   map[string]error // what the registry says of tags; nil: it has all
	asked  []string         // charts whose images were asked for
}

func (o *outside) Repository(context.Context, image.Ref, string, string) (string, string, error) {
	return "acme/web", "test", o.err
}

func (o *outside) ChartRepository(context.Context, pin.Chart) (string, string, error) {
	return "acme/chart", "test", o.err
}

func (o *outside) Notes(context.Context, string, version.Tag, version.Tag) (upstream.Notes, error) {
	return o.notes, o.err
}

func (o *outside) ChartVersions(context.Context, pin.Chart) ([]upstream.ChartVersion, error) {
	return []upstream.ChartVersion{{Version: "1.2.0", AppVersion: "2.1.0"}, {Version: "1.1.0", AppVersion: "2.1.0"}, {Version: "1.0.0", AppVersion: "2.0.0"}}, o.charts
}

func (o *outside) ChartImages(_ context.Context, c pin.Chart, version string) ([]upstream.ChartImage, error) {
	o.asked = append(o.asked, c.Name)
	if o.charts != nil {
		return nil, o.charts
	}
	if images, ok := o.images[c.Name+" "+version]; ok {
		return images, nil
	}
	return o.images[c.Name], nil
}

func (o *outside) Digest(_ context.Context, _ image.Ref, tag string) (string, error) {
	if err, ok := o.tags[tag]; ok || o.tags != nil {
		return "sha256:" + strings.Repeat("b", 64), err
	}
	return "sha256:" + strings.Repeat("b", 64), o.err
}

const sample = `resource "kubernetes_deployment" "web" {
  spec {
    template {
      spec {
        container {
          image = "acme/web:2.0.0"
        }
      }
    }
  }
}
`

const release = `resource "helm_release" "app" {
  name       = "app"
  repository = "https://charts.example.org"
  chart      = "app"
  version    = "1.0.0"
}
`

func scan(t *testing.T, files map[string]string) *terraform.Inventory {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := planner.Tree(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	inv, err := terraform.Scan(context.Background(), tree, terraform.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func dispatch(t *testing.T, name, tag string) plan.Dispatch {
	t.Helper()
	ref, err := image.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Dispatch{Image: ref, Tag: tag}
}

func TestPlan(t *testing.T) {
	found := upstream.Notes{Repository: "acme/web", From: "GitHub releases", Releases: []notes.Release{{Tag: "v2.1.0", Body: "- Faster search"}}}
	broken := errors.New("the network is down")
	direct, chart := map[string]string{"web/main.tf": sample}, map[string]string{"app/main.tf": release}
	ships := map[string][]upstream.ChartImage{"app": {{Name: "acme/web"}}}
	// The chart's own program is at 2.0.0; this one runs beside it and moves later.
	beside := map[string][]upstream.ChartImage{"app 1.0.0": {{Name: "acme/web", Tag: "1.9.0"}}, "app 1.1.0": {{Name: "acme/web", Tag: "1.9.0"}}, "app 1.2.0": {{Name: "acme/web", Tag: "v2.1.0"}}}
	for _, tc := range []struct {
		name    string
		files   map[string]string
		out     outside
		image   string
		after   string // the changed line, "" for none
		level   risk.Level
		refused string
		err     string
	}{
		{name: "an image that is pinned", files: direct, out: outside{notes: found}, image: "acme/web", after: `image = "acme/web:2.1.0"`, level: risk.Safe},
		{name: "no source repository is UNKNOWN", files: direct, out: outside{err: upstream.ErrNotFound}, image: "acme/web", after: `image = "acme/web:2.1.0"`, level: risk.Unknown},
		{name: "offline is UNKNOWN", files: direct, out: outside{err: upstream.ErrOffline}, image: "acme/web", after: `image = "acme/web:2.1.0"`, level: risk.Unknown},
		{name: "a broken network is an error", files: direct, out: outside{err: broken}, image: "acme/web", err: "the network is down"},
		{name: "a chart that ships the image", files: chart, out: outside{notes: found, images: ships}, image: "acme/web", after: `version    = "1.1.0"`, level: risk.Unknown},
		{name: "an image that nobody uses", files: direct, out: outside{}, image: "acme/other", refused: "is not used in this repository"},
		{name: "an image with a tag of its own in the chart", files: chart, out: outside{notes: found, images: beside}, image: "acme/web", after: `version    = "1.2.0"`, level: risk.Unknown},
		{name: "a chart that cannot be asked is no answer", files: chart, out: outside{charts: broken}, image: "acme/web", err: "these charts could not be asked whether they ship it: chart app: the network is down"},
		{name: "a chart that refuses is a reason", files: chart, out: outside{charts: upstream.ErrRefused}, image: "acme/web", refused: "is not used here as far as can be seen; these charts could not be asked whether they ship it: chart app: refused: if one does, give belay access"},
		{name: "a skipped image is not looked for", files: direct, out: outside{err: broken}, image: "library/redis", refused: "skip pattern"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv := scan(t, tc.files)
			p := planner.Planner{Policy: policy.Default(), Upstream: &tc.out}
			got, err := p.Plan(context.Background(), inv, dispatch(t, tc.image, "2.1.0"))
			got, err = got.Settle(err)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want an error with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.refused != "" {
				if !strings.Contains(got.Refused, tc.refused) || len(got.Upgrades) != 0 {
					t.Errorf("got %q and %d upgrades, want %q", got.Refused, len(got.Upgrades), tc.refused)
				}
				return
			}
			if len(got.Upgrades) != 1 || len(got.Upgrades[0].Edits) != 1 {
				t.Fatalf("got %+v", got.Upgrades)
			}
			u := got.Upgrades[0]
			if strings.TrimSpace(u.Edits[0].After) != tc.after || u.Risk.Level != tc.level {
				t.Errorf("got %q, %s; want %q, %s", u.Edits[0].After, u.Risk.Level, tc.after, tc.level)
			}
			if len(got.Changes[u.Service]) != 1 {
				t.Errorf("%d files change", len(got.Changes[u.Service]))
			}
		})
	}
}

func TestUnrelatedChartsAreNotAsked(t *testing.T) {
	out := &outside{charts: errors.New("down")}
	inv := scan(t, map[string]string{"web/main.tf": sample, "app/main.tf": release})
	p := planner.Planner{Policy: policy.Default(), Upstream: out}
	if _, err := p.Plan(context.Background(), inv, dispatch(t, "acme/web", "2.1.0")); err != nil || len(out.asked) != 0 {
		t.Errorf("asked %v, %v", out.asked, err)
	}
}
