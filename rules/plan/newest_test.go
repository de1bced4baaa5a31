package plan_test

import (
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/pin"
	"github.com/belaybot/belay/rules/plan"
	"github.com/belaybot/belay/rules/policy"
)

func TestNewest(t *testing.T) {
	for _, tc := range []struct {
		name, pinned, tags string
		include, exclude   []string
		want, why          string
	}{
		{"the newest, in any order", "1.2.0", "1.10.0 1.9.0 latest 1.2.0", nil, nil, "1.10.0", ""},
		{"at the newest already", "1.2.0", "1.2.0 1.1.0 latest", nil, nil, "", ""},
		{"no tags at all", "1.2.0", "", nil, nil, "", ""},
		{"the suffix stays", "3.20-alpine", "3.21 3.21-alpine 3.22-bookworm", nil, nil, "3.21-alpine", ""},
		{"a pre-release is not followed", "v1.2.0", "v1.3.0-rc.1 v1.2.1", nil, nil, "v1.2.1", ""},
		{"unless the pin is one", "v1.3.0-rc.1", "v1.3.0-rc.2 v1.2.1", nil, nil, "v1.3.0-rc.2", ""},
		{"as many components as the pin", "2.1", "2.2 2.2.7 3", nil, nil, "2.2", ""},
		{"or more, where there are none", "2.1", "2.2.7 2.2.6", nil, nil, "2.2.7", ""},
		{"a year is no version of a program that has none", "4.0.1", "2021.12.16 4.0.2", nil, nil, "4.0.2", ""},
		{"a calendar version goes on", "2026.2.2", "2026.3.0 2027.1.0 5.0.0", nil, nil, "2027.1.0", ""},
		{"build suffixes are numbers", "4.6.3-r1", "4.6.3-r9 4.6.3-r10", nil, nil, "4.6.3-r10", ""},
		{"no v is added", "1.2.0", "v1.3.0", nil, nil, "", ""},
		{"diun.include_tags", "1.2.0", "2.0.0 1.3.0", []string{`^1\.`}, nil, "1.3.0", ""},
		{"diun.include_tags lets nothing through", "1.2.0", "2.0.0", []string{`^1\.`}, nil, "", "diun.include_tags"},
		{"diun.exclude_tags", "1.2.0", "2.0.0 1.3.0", nil, []string{`^2\.`}, "1.3.0", ""},
		{"a broken annotation", "1.2.0", "1.3.0", []string{`(`}, nil, "", "no regular expression"},
		{"a pin that is no version", "main", "1.3.0", nil, nil, "", "not a version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to, why := plan.Newest(pin.Pin{Version: tc.pinned, IncludeTags: tc.include, ExcludeTags: tc.exclude}, strings.Fields(tc.tags))
			if to != tc.want || !strings.Contains(why, tc.why) || tc.why == "" && why != "" {
				t.Errorf("%q, %q; want %q, %q", to, why, tc.want, tc.why)
			}
		})
	}
}

func TestUnasked(t *testing.T) {
	p := policy.Default()
	p.Services.Ignore = []string{"legacy"}
	web := func(change func(*pin.Pin)) pin.Pin {
		ref, err := image.Parse("acme/web")
		if err != nil {
			t.Fatal(err)
		}
		n := pin.Pin{Kind: pin.KindImage, Service: "web", Directory: "stacks/web", Image: ref, Version: "1.2.0"}
		change(&n)
		return n
	}
	for _, tc := range []struct {
		name string
		pin  pin.Pin
		want string
	}{
		{"a followed pin is asked about", web(func(*pin.Pin) {}), ""},
		{"a service that opted out is not", web(func(n *pin.Pin) { n.Service = "legacy" }), "services.ignore"},
		{"nor a pin with a comment", web(func(n *pin.Pin) { n.Reason = pin.OptedOut }), "ignored by comment"},
		{"nor one with diun.enable = false", web(func(n *pin.Pin) { n.Reason = pin.OptedOutDiun }), "ignored by diun"},
		{"nor a database", web(func(n *pin.Pin) { n.Image.Repository = "library/postgres" }), `"*postgres*"`},
		{"nor what is no version", web(func(n *pin.Pin) { n.Version = "main" }), "not a version"},
		{"nor a tag whose image only the chart knows", web(func(n *pin.Pin) { n.Image.Repository = "" }), "the chart says"},
		{"a chart is asked about", pin.Pin{Kind: pin.KindChart, Service: "auth", Chart: pin.Chart{Name: "authentik"}, Version: "2026.2.2"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := plan.Unasked(tc.pin, p)
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
