package intake_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/intake"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestReadList(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"CSV without headings", "acme/web,1.2.0\nacme/blog,3.0.1\n", "1 acme/web:1.2.0; 2 acme/blog:3.0.1"},
		{"CSV with headings", "Image,Tag\nacme/web,1.2.0\n", "2 acme/web:1.2.0"},
		{"headings in another order, and columns that are not read", "note,tag,image\nnew,1.2.0,acme/web\n", "2 acme/web:1.2.0"},
		{"the tag in the image's column", "acme/web:1.2.0\n", "1 acme/web:1.2.0"},
		{"a digest", "image,tag,digest\nacme/web,1.2.0," + someDigest + "\n", "2 acme/web:1.2.0@sha256:0123"},
		{"what a spreadsheet writes", "\xef\xbb\xbfimage,tag\r\n\"acme/web\",\"1.2.0\"\r\n,\r\n\r\n", "2 acme/web:1.2.0"},
		{"comments and empty lines", "# from the board\n\nacme/web, 1.2.0\n", "3 acme/web:1.2.0"},
		{"what stands twice counts once", "acme/web,1.2.0\ndocker.io/acme/web,1.2.0\nacme/web,1.3.0\n", "1 acme/web:1.2.0; 3 acme/web:1.3.0"},
		{"JSON lines", `{"image":"acme/web","tag":"1.2.0"}` + "\n\n" + `{"image":"ghcr.io/acme/blog:3.0.1","status":"new"}` + "\n", "1 acme/web:1.2.0; 3 ghcr.io/acme/blog:3.0.1"},
		{"the flattened form", `{"diun_entry_image":"acme/web","diun_entry_imagetag":"1.2.0","diun_entry_status":"new"}`, "1 acme/web:1.2.0"},
		{"an event of GitHub", `{"client_payload":{"image":"acme/web","tag":"1.2.0"}}`, "1 acme/web:1.2.0"},
		{"JSON over several lines", "{\n  \"image\": \"acme/web\",\n  \"tag\": \"1.2.0\"\n}\n{\"image\":\"acme/blog\",\"tag\":\"2\"}", "1 acme/web:1.2.0; 5 acme/blog:2"},
		{"a chart", `{"chart":"authentik","chart_repository":"https://charts.goauthentik.io","tag":"2026.2.2"}`, "1 chart authentik https://charts.goauthentik.io 2026.2.2"},

		{"nothing", " \n\n", "! the list is empty"},
		{"comments alone", "# nothing\n", "! holds no dispatch"},
		{"headings alone", "image,tag\n", "! holds no dispatch"},
		{"an array", `[{"image":"acme/web","tag":"1"}]`, "! one JSON object per line"},
		{"each wrong line is named", "acme/web,1.2.0\nacme/blog\n,1.0.0\n", `! line 2: field "tag"` + "\n" + `line 3: field "image"`},
		{"a bad digest", "image,tag,digest\nacme/web,1.2.0,sha256:12\n", `! line 2: field "digest"`},
		{"a wrong JSON line", `{"image":"acme/web","tag":"1"}` + "\n" + `{"image":"acme/web"}`, `! line 2: field "tag"`},
		{"JSON that breaks off", `{"image":"acme/web","tag":"1"}` + "\n" + `{"image":`, "! line 2: not JSON"},
		{"an open quote", "acme/web,\"1.2.0\n", "! line 1: not CSV"},
		{"a chart without a tag", `{"chart":"authentik"}`, `! line 1: field "tag"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			items, err := intake.ReadList(strings.NewReader(tc.in))
			if bad, ok := strings.CutPrefix(tc.want, "! "); ok {
				if err == nil || items != nil || !strings.Contains(err.Error(), strings.Split(bad, "\n")[0]) || !strings.Contains(err.Error(), bad[strings.LastIndex(bad, "\n")+1:]) {
					t.Errorf("%v, %v; want %q", items, err, bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range items {
				d := i.Dispatch
				text := fmt.Sprintf("%d %s:%s", i.Line, d.Image.Familiar(), d.Tag)
				if d.Chart.Name != "" {
					text = fmt.Sprintf("%d chart %s %s %s", i.Line, d.Chart.Name, d.Chart.Repository, d.Tag)
				}
				if d.Digest != "" {
					text += "@" + d.Digest[:11]
				}
				got = append(got, text)
			}
			if s := strings.Join(got, "; "); s != tc.want {
				t.Errorf("%s, want %s", s, tc.want)
			}
		})
	}
}

func TestReadListBounds(t *testing.T) {
	var many strings.Builder
	for i := range intake.MaxListItems + 1 {
		fmt.Fprintf(&many, "acme/web,1.0.%d\n", i)
	}
	for name, in := range map[string]string{"too many": many.String(), "too large": strings.Repeat("#", intake.MaxList+1)} {
		if items, err := intake.ReadList(strings.NewReader(in)); err == nil {
			t.Errorf("%s: %d items", name, len(items))
		}
	}
	bad := strings.Repeat("acme/web\n", 100)
	if _, err := intake.ReadList(strings.NewReader(bad)); err == nil || strings.Count(err.Error(), "\n") != 9 {
		t.Errorf("a hundred problems: %v", err)
	}
}

func FuzzReadList(f *testing.F) {
	f.Add("image,tag\nacme/web,1.2.0\n")
	f.Add("acme/web:1.2.0\n# x\n\"acme/blog\",\"3\"\n")
	f.Add(`{"image":"acme/web","tag":"1.2.0"}` + "\n" + `{"client_payload":{"diun_entry_image":"a:1"}}`)
	f.Add(`{"chart":"authentik","tag":"2026.2.2"}`)
	f.Fuzz(func(t *testing.T, in string) {
		items, err := intake.ReadList(strings.NewReader(in))
		if (err == nil) == (len(items) == 0) {
			t.Fatalf("%d items, %v", len(items), err)
		}
		for _, i := range items {
			if i.Line < 1 || i.Line > strings.Count(in, "\n")+1 || i.Dispatch.Tag == "" || (i.Dispatch.Image.Repository == "") == (i.Dispatch.Chart.Name == "") {
				t.Errorf("%+v of %q", i, in)
			}
		}
		var joined interface{ Unwrap() []error }
		if errors.As(err, &joined) {
			for _, e := range joined.Unwrap() {
				if !strings.HasPrefix(e.Error(), "line ") {
					t.Errorf("%v", e)
				}
			}
		}
	})
}
