package intake_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/intake"
	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/plan"
)

const digest = "sha256:216e3ae7de4ca8b553eb11ef7abda00651e79e537e85c46108284e5e91673e01"

// diunPayload has the keys of DIUN v4's webhook notifier.
const diunPayload = `{"diun_version":"4.31.0","hostname":"node-1","status":"new","provider":"kubernetes",
"image":"docker.io/library/nginx:1.27.1","hub_link":"https://hub.docker.com/_/nginx","mime_type":"application/vnd.oci.image.index.v1+json",
"digest":"` + digest + `","created":"2026-03-26T12:23:56Z","platform":"linux/amd64","metadata":{"pod_name":"web"}}`

var nginx = plan.Dispatch{
	Image: image.Ref{Registry: "docker.io", Repository: "library/nginx"}, Tag: "1.27.1", Digest: digest,
	Status: "new", Provider: "kubernetes", HubLink: "https://hub.docker.com/_/nginx",
}

func TestParse(t *testing.T) {
	vaultwarden := plan.Dispatch{
		Image: image.Ref{Registry: "docker.io", Repository: "vaultwarden/server"}, Tag: "1.35.8",
		Status: "update", Provider: "kubernetes",
	}
	bare := func(d plan.Dispatch) plan.Dispatch { d.Status, d.Provider = "", ""; return d }
	for _, tc := range []struct {
		name, in string
		want     plan.Dispatch
	}{
		{"DIUN's own webhook", diunPayload, nginx},
		{"DIUN's own webhook inside a repository_dispatch event",
			`{"action":"diun","branch":"main","client_payload":` + diunPayload + `}`, nginx},
		{"the flattened form without a tag in the image",
			`{"diun_entry_status":"update","diun_entry_image":"docker.io/vaultwarden/server","diun_entry_imagetag":"1.35.8","diun_entry_provider":"kubernetes"}`, vaultwarden},
		{"the flattened form with a tag in the image",
			`{"diun_entry_status":"update","diun_entry_image":"docker.io/vaultwarden/server:1.35.8","diun_entry_provider":"kubernetes"}`, vaultwarden},
		{"the minimal form", `{"image":"vaultwarden/server","tag":"1.35.8"}`, bare(vaultwarden)},
		{"the tag field wins over the tag in the image", `{"image":"vaultwarden/server:1.0.0","tag":"1.35.8"}`, bare(vaultwarden)},
		{"unknown fields are ignored", `{"image":"vaultwarden/server","tag":"1.35.8","more":[1,2]}`, bare(vaultwarden)},
		{"an empty client_payload is none", `{"image":"vaultwarden/server","tag":"1.35.8","client_payload":null}`, bare(vaultwarden)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := intake.Parse([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, in, field, text string
	}{
		{"nothing", ``, "", "empty"},
		{"text", `hello`, "", "not JSON: 1:1"},
		{"half a payload", `{"image":"nginx",`, "", "not JSON"},
		{"a broken second line", "{\"image\":\"nginx\",\n  tag: 1}", "", "not JSON: 2:3"},
		{"an array", `[]`, "", "array where an object is expected"},
		{"two values", `{"image":"nginx","tag":"1.2"} {}`, "", "more than one JSON value"},
		{"no image", `{"tag":"1.2"}`, "image", "missing"},
		{"no tag", `{"image":"nginx"}`, "tag", "missing"},
		{"a flattened payload without image", `{"diun_entry_imagetag":"1.2"}`, "diun_entry_image", "missing"},
		{"a flattened payload without tag", `{"diun_entry_image":"nginx"}`, "diun_entry_imagetag", "missing"},
		{"a tag that is a number", `{"image":"nginx","tag":1.2}`, "tag", "number where a string"},
		{"a tag with a space", `{"image":"nginx","tag":"1.2 3"}`, "tag", "not a tag"},
		{"a tag that would break out of a string", `{"image":"nginx","tag":"1.2\"}"}`, "tag", "not a tag"},
		{"an image without a name", `{"image":":1.2","tag":"1.2"}`, "image", "name"},
		{"a digest that is none", `{"image":"nginx","tag":"1.2","digest":"abc"}`, "digest", "not a digest"},
		{"a nested envelope", `{"client_payload":{"client_payload":{"image":"nginx","tag":"1.2"}}}`, "image", "missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := intake.Parse([]byte(tc.in))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %q does not say %q", err, tc.text)
			}
			var field *intake.FieldError
			if errors.As(err, &field) != (tc.field != "") || tc.field != "" && field.Field != tc.field {
				t.Errorf("error %v does not name field %q", err, tc.field)
			}
		})
	}
}

func TestParseRefusesMoreThanAMegabyte(t *testing.T) {
	big := `{"image":"nginx","tag":"` + strings.Repeat("1", intake.MaxPayload) + `"}`
	if _, err := intake.Parse([]byte(big)); !errors.Is(err, intake.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{diunPayload, `{"client_payload":` + diunPayload + `}`, `{"image":"a/b:c@d","tag":"x"}`,
		`{"diun_entry_image":"nginx","diun_entry_imagetag":"1"}`, `[]`, `null`, `{"image":`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := intake.Parse(data)
		if err != nil {
			return
		}
		if d.Image.Name() == "" || !image.ValidTag(d.Tag) {
			t.Errorf("accepted %q as image %q tag %q", data, d.Image, d.Tag)
		}
	})
}
