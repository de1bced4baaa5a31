// Package intake turns what arrives from outside into a dispatch: DIUN's webhook
// JSON, the flattened form that older pipelines send, the minimal
// {"image", "tag"} form, and any of the three inside a repository_dispatch event.
//
// In go bytes; out comes a plan.Dispatch or an error that names the field. It
// decides nothing about the dispatch: filters are rules/plan's. See SPEC section 3.
package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/belaybot/belay/rules/image"
	"github.com/belaybot/belay/rules/plan"
)

// MaxPayload is the largest payload in bytes that Parse accepts.
const MaxPayload = 1 << 20

// ErrTooLarge means that a payload is longer than MaxPayload.
var ErrTooLarge = fmt.Errorf("payload is larger than %d bytes", MaxPayload)

// FieldError says which field of a payload is missing or wrong.
type FieldError struct {
	Field string // as the sender spells it: "image", "diun_entry_imagetag"
	Text  string // what is wrong and what to send instead
}

// Error names the field and the way out.
func (e *FieldError) Error() string { return fmt.Sprintf("field %q: %s", e.Field, e.Text) }

// payload holds every accepted spelling. DIUN's own keys are those of its
// webhook notifier (https://crazymax.dev/diun/notif/webhook/).
type payload struct {
	Status   string `json:"status"`
	Provider string `json:"provider"`
	Image    string `json:"image"`
	Tag      string `json:"tag"`
	Digest   string `json:"digest"`
	HubLink  string `json:"hub_link"`

	// A Helm chart in place of an image: belay's own form, for bulk runs.
	Chart           string `json:"chart"`
	ChartRepository string `json:"chart_repository"`

	FlatStatus   string `json:"diun_entry_status"`
	FlatImage    string `json:"diun_entry_image"`
	FlatTag      string `json:"diun_entry_imagetag"`
	FlatProvider string `json:"diun_entry_provider"`
	FlatHubLink  string `json:"diun_entry_hublink"`
	FlatDigest   string `json:"diun_entry_digest"`

	ClientPayload json.RawMessage `json:"client_payload"`
}

// Parse reads one payload. The error is ErrTooLarge, a *FieldError, or says
// where the JSON breaks.
func Parse(data []byte) (plan.Dispatch, error) {
	return parse(data, true)
}

func parse(data []byte, envelope bool) (plan.Dispatch, error) {
	if len(data) > MaxPayload {
		return plan.Dispatch{}, ErrTooLarge
	}
	var p payload
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&p); err != nil {
		return plan.Dispatch{}, explain(data, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return plan.Dispatch{}, errors.New("more than one JSON value: send one dispatch per payload")
	}
	if envelope && len(p.ClientPayload) > 0 && string(p.ClientPayload) != "null" {
		d, err := parse(p.ClientPayload, false)
		if err != nil {
			return d, fmt.Errorf("client_payload: %w", err)
		}
		return d, nil
	}
	return p.dispatch()
}

func (p payload) dispatch() (plan.Dispatch, error) {
	if p.Chart != "" && p.Image == "" && p.FlatImage == "" {
		return p.chart()
	}
	imageField, tagField, digestField := "image", "tag", "digest"
	if p.Image == "" && p.FlatImage != "" || p.Image == "" && p.FlatTag != "" {
		imageField, tagField, digestField = "diun_entry_image", "diun_entry_imagetag", "diun_entry_digest"
		p.Image, p.Tag, p.Status, p.Provider, p.Digest, p.HubLink =
			p.FlatImage, p.FlatTag, p.FlatStatus, p.FlatProvider, p.FlatDigest, p.FlatHubLink
	}
	d, err := New(p.Image, p.Tag)
	var field *FieldError
	if errors.As(err, &field) {
		return plan.Dispatch{}, &FieldError{map[string]string{"image": imageField, "tag": tagField}[field.Field], field.Text}
	}
	if p.Digest != "" {
		if !digestForm.MatchString(p.Digest) {
			return plan.Dispatch{}, &FieldError{digestField, fmt.Sprintf("%q is not a digest: send sha256: and 64 hexadecimal digits, or leave it out", p.Digest)}
		}
		d.Digest = p.Digest
	}
	d.Status, d.Provider, d.HubLink = p.Status, p.Provider, p.HubLink
	return d, nil
}

// chartForm matches the names of charts: "authentik", "kube-prometheus-stack";
// not "a/b" and not "../x".
var chartForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// chart is a dispatch of a Helm chart.
func (p payload) chart() (plan.Dispatch, error) {
	d := plan.Dispatch{Tag: strings.TrimSpace(p.Tag), Status: p.Status, Provider: p.Provider, HubLink: p.HubLink}
	d.Chart.Name, d.Chart.Repository = strings.TrimSpace(p.Chart), strings.TrimSpace(p.ChartRepository)
	if !chartForm.MatchString(d.Chart.Name) || len(d.Chart.Name) > 250 {
		return d, &FieldError{"chart", fmt.Sprintf("%q is not the name of a chart", d.Chart.Name)}
	}
	if r := d.Chart.Repository; r != "" && !strings.Contains(r, "://") || strings.ContainsAny(r, " \t\r\n") {
		return d, &FieldError{"chart_repository", fmt.Sprintf("%q is not the address of a chart repository: https://… or oci://…", r)}
	}
	if d.Tag == "" {
		return d, &FieldError{"tag", fmt.Sprintf("missing: send the new version of chart %s", d.Chart.Name)}
	}
	if !chartVersionForm.MatchString(d.Tag) {
		return d, &FieldError{"tag", fmt.Sprintf("%q is not a chart's version", d.Tag)}
	}
	return d, nil
}

// chartVersionForm matches versions of charts, which may hold a "+" where a tag
// may not: "2026.2.2", "1.2.3-rc.1+build5".
var chartVersionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

// digestForm matches the digests that registries use:
// "sha256:" with 64 digits, "sha512:" with 128; not "sha256:abc".
var digestForm = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)

// New makes a dispatch from an image name, with or without a tag in it, and a
// tag, which wins over the one in the name. Errors are *FieldError with the
// fields "image" and "tag".
func New(name, tag string) (plan.Dispatch, error) {
	if strings.TrimSpace(name) == "" {
		return plan.Dispatch{}, &FieldError{"image", `missing: send the image's name, such as "vaultwarden/server"`}
	}
	ref, err := image.Parse(name)
	if err != nil {
		return plan.Dispatch{}, &FieldError{"image", err.Error()}
	}
	tag = strings.TrimSpace(tag)
	if tag == "" {
		tag = ref.Tag
	}
	if tag == "" {
		return plan.Dispatch{}, &FieldError{"tag", fmt.Sprintf("missing: send the new tag of %s", ref.Familiar())}
	}
	if !image.ValidTag(tag) {
		return plan.Dispatch{}, &FieldError{"tag", fmt.Sprintf("%q is not a tag: letters, digits, '.', '_' and '-', at most 128", tag)}
	}
	d := plan.Dispatch{Image: ref, Tag: tag, Digest: ref.Digest}
	d.Image.Tag, d.Image.Digest = "", ""
	return d, nil
}

// explain turns an error of encoding/json into one with a line and column, and
// the field where a value has the wrong type.
func explain(data []byte, err error) error {
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typed) && typed.Field == "":
		return fmt.Errorf("not a dispatch: a JSON %s where an object is expected", typed.Value)
	case errors.As(err, &typed):
		return &FieldError{typed.Field, fmt.Sprintf("a JSON %s where a %s is expected", typed.Value, typed.Type)}
	case errors.As(err, &syntax):
		line, column := position(data, syntax.Offset)
		return fmt.Errorf("not JSON: %d:%d: %w", line, column, err)
	case errors.Is(err, io.EOF):
		return errors.New("empty: send a JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not JSON: it ends in the middle of a value")
	}
	return fmt.Errorf("not JSON: %w", err)
}

func position(data []byte, offset int64) (line, column int) {
	before := data[:min(int(offset), len(data))]
	line = bytes.Count(before, []byte("\n")) + 1
	column = len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return line, max(column, 1)
}
