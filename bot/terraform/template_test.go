package terraform

import (
	"fmt"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// render renders a template with n = "3.21", on = true and list = ["a", "b"], taken apart or as a whole.
func render(t *testing.T, src string, apart bool) (string, bool) {
	t.Helper()
	f := &file{path: "t.tpl", src: []byte(src)}
	r := &repo{modules: map[string]*module{}, files: map[string]*file{"t.tpl": f}}
	s := &scope{inst: &instance{repo: r, mod: r.module("")}, template: true, vars: map[string]*value{
		"n": text("3.21"), "on": boolean(true), "list": {kind: kindList, items: []*value{text("a"), text("b")}}}}
	var v *value
	ok := true
	if apart {
		v, ok = s.pieces(f)
	} else {
		x, diags := hclsyntax.ParseTemplate(f.src, f.path, hcl.InitialPos)
		if diags.HasErrors() {
			return "", false
		}
		v = s.eval(x)
	}
	if !ok {
		return "", false
	}
	if v.kind != kindString {
		return fmt.Sprintf("kind %d", v.kind), true
	}
	return v.flatten(), true
}

func TestATemplateTakenApartIsTheSame(t *testing.T) {
	for name, src := range map[string]string{
		"no sequence":                "image: alpine:3.20\n",
		"an interpolation":           "a\nimage: alpine:${n}\nb\n",
		"two in a line":              "x: ${n}-${n}\n",
		"an escaped one":             "replacement: 'x_$${1}'\nimage: alpine:${n}\n",
		"an escaped directive":       "a: %%{ if }\n",
		"braces and strings inside":  "x: ${ { a = \"}\" }[\"a\"] }\ny: ${\"${n}\"}\n",
		"a loop":                     "a:\n%{ for x in list ~}\n  - ${x}\n%{ endfor ~}\nb: ${n}\n",
		"a condition":                "%{ if on }yes${n}%{ else }no%{ endif }\nend\n",
		"a loop in a condition":      "%{ if on ~}\n%{ for x in list ~}\n- ${x}\n%{ endfor ~}\n%{ endif ~}\nlast\n",
		"trimmed on the left":        "a:   ${~ n }b\n",
		"trimmed on both sides":      "a  ${~ n ~}  b\nc\n",
		"trimmed before another one": "a ${ n ~} ${ n } b\n",
		"CRLF":                       "a: ${n}\r\nb: 1\r\n",
		"at the very end":            "a: ${n}",
	} {
		got, ok := render(t, src, true)
		want, parsed := render(t, src, false)
		if !parsed {
			t.Errorf("%s: does not parse", name)
		}
		if !ok || got != want {
			t.Errorf("%s: %q, %v; as a whole %q", name, got, ok, want)
		}
	}
	for name, src := range map[string]string{"an open interpolation": "a: ${n\n", "a loop without an end": "%{ for x in list }\n", "another program's": "a: ${1:-x}\n"} {
		if got, ok := render(t, src, true); ok {
			t.Errorf("%s gives %q", name, got)
		}
	}
}
