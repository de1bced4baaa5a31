package terraform_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/pin"
)

// TestProblemsAreReported holds that what cannot be read is named, and that the
// rest of the repository is read all the same.
func TestProblemsAreReported(t *testing.T) {
	good := deploy(`"acme/web:1.0.0"`)
	var deep strings.Builder
	deep.WriteString("locals {\n  x = " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "\n}\n")
	var chain strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&chain, "locals {\n  l%d = local.l%d\n}\n", i, i+1)
	}
	chain.WriteString("locals {\n  l10000 = \"1.0\"\n}\n" + deploy(`"acme/chain:${local.l0}"`))
	for _, tc := range []struct {
		name    string
		files   memory
		problem string
	}{
		{"a file that does not parse", memory{"bad/main.tf": "resource \"x\" {\n  a = \n", "web/main.tf": good}, "bad/main.tf:2"},
		{"a link out of the repository", memory{"web/link.tf": "-> ../../../etc/passwd", "web/main.tf": good}, "leaves the repository"},
		{"a link inside", memory{"web/link.tf": "-> main.tf", "web/main.tf": good}, "read where it points"},
		{"a large file", memory{"web/big.tf": strings.Repeat("# x\n", 3<<20), "web/main.tf": good}, "larger than 8 MB"},
		{"deep brackets", memory{"web/deep.tf": deep.String(), "web/main.tf": good}, "nested 100001 deep"},
		{"Terraform's JSON", memory{"web/x.tf.json": "{}", "web/main.tf": good}, "JSON syntax is not read"},
		{"modules in a circle", memory{"a/main.tf": "module \"b\" {\n  source = \"../b\"\n}\n", "b/main.tf": "module \"a\" {\n  source = \"../a\"\n}\n", "web/main.tf": good}, "calls itself"},
		{"a long chain of locals", memory{"chain/main.tf": chain.String(), "web/main.tf": good}, ""},
		{"a mark, a NUL and bytes that are no text", memory{"bom/main.tf": "\ufeff" + good, "nul/main.tf": "\x00\xff\xfe" + good, "empty/main.tf": "", "web/main.tf": good}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv := scan(t, tc.files)
			if !strings.Contains(strings.Join(lines(inv), "\n"), "web: acme/web 1.0.0 | literal | web/main.tf:6") {
				t.Errorf("the good file's pin is not found: %q", lines(inv))
			}
			if all := fmt.Sprint(inv.Problems); !strings.Contains(strings.ReplaceAll(all, " ", ":"), strings.ReplaceAll(tc.problem, " ", ":")) {
				t.Errorf("problems %v do not say %q", inv.Problems, tc.problem)
			}
		})
	}
}

func TestScanEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := terraform.Scan(ctx, memory{"main.tf": deploy(`"a/b:1"`)}, terraform.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestApplyRefuses(t *testing.T) {
	files := tree("-- web/main.tf --\nlocals { t = \"1.0.0\" }\n" + deploy(`"acme/web:${local.t}"`))
	inv := scan(t, files)
	span := inv.Pins[0].Span
	wrong, outside := span, span
	wrong.Text = "2.0.0"
	outside.Start, outside.End = 10_000, 10_005
	for _, tc := range []struct {
		name string
		s    []pin.Splice
		want string
	}{
		{"text that would end the string", []pin.Splice{{Span: span, New: `1"}`}}, "cannot stand in a version"},
		{"an interpolation", []pin.Splice{{Span: span, New: "${x}"}}, "cannot stand in a version"},
		{"nothing", []pin.Splice{{Span: span, New: ""}}, "cannot stand in a version"},
		{"a file that has changed", []pin.Splice{{Span: wrong, New: "2.0.0"}}, "not there any more"},
		{"a place outside", []pin.Splice{{Span: outside, New: "2.0.0"}}, "not in the file"},
		{"two wishes for one place", []pin.Splice{{Span: span, New: "2.0.0"}, {Span: span, New: "3.0.0"}}, "both"},
		{"a file that is not there", []pin.Splice{{Span: pin.Span{Path: "nowhere.tf", End: 1}, New: "2.0.0"}}, "nowhere.tf"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			changes, edits, err := inv.Apply(tc.s)
			if err == nil || !strings.Contains(err.Error(), tc.want) || changes != nil || edits != nil {
				t.Errorf("got %v, %v, %v; want an error with %q", changes, edits, err, tc.want)
			}
		})
	}
	t.Run("the same wish twice is one", func(t *testing.T) {
		_, edits, err := inv.Apply([]pin.Splice{{Span: span, New: "2.0.0"}, {Span: span, New: "2.0.0"}})
		if err != nil || len(edits) != 1 {
			t.Errorf("got %v, %v", edits, err)
		}
	})
}

// TestApplyNoticesWhatElseMoves: the spliced bytes decide which element of a
// map another container runs, so that the edit would change more than asked.
func TestApplyNoticesWhatElseMoves(t *testing.T) {
	files := tree("-- web/main.tf --\nlocals {\n  v = \"1.0.0\"\n  other = { \"1.0.0\" = \"acme/old:1.0.0\", \"2.0.0\" = \"acme/new:2.0.0\" }\n}\n" +
		strings.Replace(deploy(`"acme/web:${local.v}"`), "        container {", "        container {\n          image = local.other[local.v]\n        }\n        container {", 1))
	inv := scan(t, files)
	for _, p := range inv.Pins {
		if p.Image.Familiar() != "acme/web" {
			continue
		}
		splices, err := p.Splices("2.0.0", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := inv.Apply(splices); err == nil || !strings.Contains(err.Error(), "web/main.tf") {
			t.Errorf("the edit was taken: %v", err)
		}
	}
}

func TestUses(t *testing.T) {
	inv := scan(t, tree(`
-- url/main.tf --
resource "kubernetes_deployment" "shlink" {
  spec {
    template {
      spec {
        container {
          image = "shlinkio/shlink:4.3.4"
          # TRUSTED_PROXIES is not set
          env {
            name  = "REDIRECT_APPEND_EXTRA_PATH"
            value = "true"
          }
          args = ["--log-level=info"]
        }
      }
    }
  }
}
-- web/main.tf --
locals { a = "TRUSTED_PROXIES" }
`))
	got := inv.Uses("url", []string{"REDIRECT_APPEND_EXTRA_PATH", "TRUSTED_PROXIES", "--log-level", "REDIRECT_APPEND"})
	want := map[string][]pin.Location{
		"REDIRECT_APPEND_EXTRA_PATH": {{Path: "url/main.tf", Line: 9}},
		"--log-level":                {{Path: "url/main.tf", Line: 12}},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzScan(f *testing.F) {
	for _, tc := range shapes {
		for _, file := range tree(tc.files) {
			f.Add(file)
		}
	}
	f.Fuzz(func(t *testing.T, src string) {
		inv := scan(t, memory{"web/main.tf": src, "web/values.yaml": src, "web/v.tfvars": src, "web/terragrunt.hcl": src})
		for _, p := range inv.Pins {
			if p.Reason != pin.Followed {
				continue
			}
			if got := src[p.Span.Start:p.Span.End]; got != p.Span.Text || p.Prefix+got+p.Suffix != p.Version {
				t.Errorf("the place of %q holds %q", p.Version, got)
			}
		}
	})
}

func FuzzApply(f *testing.F) {
	for _, tc := range shapes {
		for _, file := range tree(tc.files) {
			f.Add(file, "9.9.9")
		}
	}
	f.Fuzz(func(t *testing.T, src, to string) {
		inv := scan(t, memory{"web/main.tf": src})
		for _, p := range inv.Pins {
			splices, err := p.Splices(p.Prefix+to+p.Suffix, "sha256:"+strings.Repeat("b", 64))
			if err != nil {
				continue
			}
			changes, _, err := inv.Apply(splices)
			if err != nil {
				continue
			}
			if len(changes) != 1 || differing(src, changes[0].Content) < 0 {
				t.Errorf("an edit of one pin changed %d files or the number of lines", len(changes))
			}
		}
	})
}

// FuzzValues reads any text as the values of a chart.
func FuzzValues(f *testing.F) {
	f.Add("image:\n  repository: acme/web\n  tag: 1.0.0\n")
	f.Add("{{ if }}\nimage: {repository: \"ä\", tag: '1'}\n- &a [*a]\n")
	f.Add("a: &a\n  image: x/y:1\nb:\n  <<: *a\n")
	f.Add("\ufeffimage: a/b:1\r\n")
	f.Fuzz(func(t *testing.T, values string) {
		inv := scan(t, memory{"web/main.tf": helm(`values = [file("values.yaml")]`), "web/values.yaml": values})
		for _, p := range inv.Pins {
			if p.Reason == pin.Followed && p.Span.Path == "web/values.yaml" && values[p.Span.Start:p.Span.End] != p.Span.Text {
				t.Errorf("the place of %q holds %q", p.Version, values[p.Span.Start:p.Span.End])
			}
		}
	})
}

// generated is a repository of n files and n/4 images, as many modules deep as
// people write them.
func generated(n int) memory {
	m := memory{"modules/factory/main.tf": "variable \"tag\" { default = \"1.0.0\" }\n" + deploy(`"acme/factory:${var.tag}"`)}
	for i := 0; len(m) < n; i++ {
		dir := fmt.Sprintf("stacks/s%05d", i)
		m[dir+"/main.tf"] = fmt.Sprintf("locals {\n  tag = \"v1.%d.0\"\n  labels = { app = \"s%d\", tier = \"4-aux\" }\n}\n", i%90, i) + deploy(`"ghcr.io/acme/app:${local.tag}"`)
		m[dir+"/service.tf"] = "resource \"kubernetes_service\" \"x\" {\n  metadata {\n    name = \"x\"\n  }\n  spec {\n    port {\n      port = 80\n    }\n  }\n}\n"
		m[dir+"/variables.tf"] = "variable \"tls_secret_name\" {\n  type = string\n  default = \"tls\"\n}\n"
		m[dir+"/README.md"] = "# notes\n"
	}
	return m
}

// TestALargeTemplateTakesNoTime holds a template of 200,000 lines to what one pass
// over it costs: joined line by line, as the parser does, it would take minutes.
func TestALargeTemplateTakesNoTime(t *testing.T) {
	m := memory{"stacks/web/main.tf": "resource \"helm_release\" \"web\" {\n  chart = \"web\"\n  version = \"1.0.0\"\n  values = [templatefile(\"${path.module}/values.tpl\", {})]\n}\n",
		"stacks/web/values.tpl": "image:\n  repository: acme/web\n  tag: 1.2.3\nlines:\n" + strings.Repeat("  - a value that stands in a line\n", 200_000)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan *terraform.Inventory, 1)
	go func() {
		inv, err := terraform.Scan(ctx, m, terraform.Options{})
		if err != nil {
			t.Error(err)
		}
		done <- inv
	}()
	select {
	case inv := <-done:
		if inv == nil || len(inv.Pins) != 2 {
			t.Errorf("want the chart and its image, got %+v", inv)
		}
	case <-ctx.Done():
		t.Error("a minute was not enough")
	}
}

func BenchmarkScan(b *testing.B) {
	for _, n := range []int{1600, 6400, 20_000} {
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			m := generated(n)
			b.ReportAllocs()
			for b.Loop() {
				scan(b, m)
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	inv := scan(b, generated(1600))
	p := inv.Pins[len(inv.Pins)/2]
	splices, err := p.Splices("v9.9.9", "")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := inv.Apply(splices); err != nil {
			b.Fatal(err)
		}
	}
}
