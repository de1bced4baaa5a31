package terraform

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// FuzzQuoted has HCL read what quoted writes.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "https://login.example.org", `C:\data "x"`, "two\nlines\r\n\tand a tab", "${var.x} %{if} $${y} $ { 100% $$", "é 日本 \U0001F512", "\x00\x1b[31m\u2028\U000E0001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		expr, diags := hclsyntax.ParseExpression([]byte(quoted(s)), "x.tf", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", quoted(s), diags)
		}
		v, diags := expr.Value(nil)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", quoted(s), diags)
		}
		// HCL normalises what it reads, and so would Terraform.
		if want := normal(s); v.AsString() != want {
			t.Errorf("%s is read as %q, want %q", quoted(s), v.AsString(), want)
		}
	})
}

func normal(s string) string { return cty.StringVal(string([]rune(s))).AsString() }
