package pin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/pin"
)

func TestSplices(t *testing.T) {
	span := pin.Span{Path: "main.tf", Line: 3, Start: 10, End: 15, Text: "1.2.3", Role: pin.RoleTag}
	digest := pin.Span{Path: "main.tf", Line: 3, Start: 16, End: 87, Text: "sha256:old", Role: pin.RoleDigest}
	for _, tc := range []struct {
		name, prefix, suffix, tag, digest string
		carries                           bool
		reason                            pin.Reason
		want                              []string
		err                               string
	}{
		{name: "the whole tag", tag: "1.2.4", want: []string{"1.2.4"}},
		{name: "a v outside stays outside", prefix: "v", tag: "v1.2.4", want: []string{"1.2.4"}},
		{name: "a suffix outside stays outside", prefix: "v", suffix: "-cuda", tag: "v1.2.4-cuda", want: []string{"1.2.4"}},
		{name: "tag and digest move together", tag: "1.2.4", digest: "sha256:new", carries: true, want: []string{"1.2.4", "sha256:new"}},
		{name: "a digest is not added where there is none", tag: "1.2.4", digest: "sha256:new", want: []string{"1.2.4"}},
		{name: "never a tag with a stale digest", tag: "1.2.4", carries: true, err: "digest"},
		{name: "a tag without the v", prefix: "v", tag: "1.2.4", err: `does not begin with "v"`},
		{name: "a tag without the suffix", suffix: "-cuda", tag: "1.2.4", err: `does not end with "-cuda"`},
		{name: "a tag that is prefix and suffix alone", prefix: "v", suffix: "-cuda", tag: "v-cuda", err: "does not end"},
		{name: "a pin that is not followed", reason: pin.Computed, tag: "1.2.4", err: "not followed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := pin.Pin{Span: span, Prefix: tc.prefix, Suffix: tc.suffix, Reason: tc.reason}
			if tc.carries {
				p.Digest = &digest
			}
			got, err := p.Splices(tc.tag, tc.digest)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v does not say %q", err, tc.err)
				}
				if tc.carries && !errors.Is(err, pin.ErrNoDigest) {
					t.Errorf("%v is not ErrNoDigest", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, s := range got {
				texts = append(texts, s.New)
			}
			if diff := cmp.Diff(tc.want, texts); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
