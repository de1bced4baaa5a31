package terraform_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/pin"
)

// deploy is a Deployment whose only container has the given image expression.
func deploy(image string) string {
	return `resource "kubernetes_deployment" "app" {
  spec {
    template {
      spec {
        container {
          image = ` + image + `
        }
      }
    }
  }
}
`
}

// helm is a release of a chart with the given body.
func helm(body string) string {
	return `resource "helm_release" "app" {
  name       = "app"
  repository = "https://charts.example.org"
  chart      = "app"
` + body + `
}
`
}

// Each row is a shape or a trap of SPEC section 4: the files, the pins that
// they hold, and, for the first followed pin, the changed lines when it moves.
var shapes = []struct {
	name, files string
	roots       []string
	pins        []string
	to          string   // tag to move the followed pins to
	after       []string // the changed lines, "path:line after"
}{
	{name: "a literal", files: "-- web/main.tf --\n" + deploy(`"vaultwarden/server:1.35.4" # keep`),
		pins: []string{"web: vaultwarden/server 1.35.4 | literal | web/main.tf:6"},
		to:   "1.35.8", after: []string{`web/main.tf:6           image = "vaultwarden/server:1.35.8" # keep`}},
	{name: "a variable's default", files: "-- web/main.tf --\n" + deploy(`"ghcr.io/acme/web:${var.v}"`) + "-- web/vars.tf --\nvariable \"v\" {\n  type    = string\n  default = \"v1.2.3\"\n}\n",
		pins: []string{"web: ghcr.io/acme/web v1.2.3 | variable | web/vars.tf:3"},
		to:   "v1.3.0", after: []string{`web/vars.tf:3   default = "v1.3.0"`}},
	{name: "a tfvars value over the default", files: "-- web/main.tf --\n" + deploy(`"acme/web:${var.v}"`) + "variable \"v\" { default = \"1.0.0\" }\n-- web/terraform.tfvars --\nv = \"1.1.0\"\n-- web/z.auto.tfvars --\nv = \"1.2.0\"\n",
		pins: []string{"web: acme/web 1.2.0 | tfvars | web/z.auto.tfvars:1"},
		to:   "1.3.0", after: []string{`web/z.auto.tfvars:1 v = "1.3.0"`}},
	{name: "a file with the version alone", files: "-- web/main.tf --\n" + deploy(`"acme/web:${trimspace(file("${path.module}/VERSION"))}"`) + "-- web/VERSION --\n\n 1.2.3\n\n",
		pins: []string{"web: acme/web 1.2.3 | literal | web/VERSION:2"}, to: "1.3.0", after: []string{`web/VERSION:2  1.3.0`}},
	{name: "a file whose last newline is taken off", files: "-- web/main.tf --\n" + deploy(`"acme/web:${chomp(file("${path.module}/VERSION"))}"`) + "-- web/VERSION --\n1.2.3\r\n\n",
		pins: []string{"web: acme/web 1.2.3 | literal | web/VERSION:1"}, to: "1.3.0", after: []string{"web/VERSION:1 1.3.0"}},
	{name: "a whole image in a file", files: "-- web/main.tf --\n" + deploy(`trimspace(file("${path.module}/image.txt"))`) + "-- web/image.txt --\nacme/web:1.2.3\n",
		pins: []string{"web: acme/web 1.2.3 | literal | web/image.txt:1"}, to: "1.3.0", after: []string{"web/image.txt:1 acme/web:1.3.0"}},
	{name: "a newline that nothing takes off", files: "-- web/main.tf --\n" + deploy(`"acme/web:${file("${path.module}/VERSION")}"`) + "-- web/VERSION --\n1.2.3\n",
		pins: []string{"web: acme/web 1.2.3\n | literal | web/VERSION:1 | not an image"}},
	{name: "a local", files: "-- web/main.tf --\nlocals {\n  image = \"acme/web:1.0.0\"\n}\n" + deploy(`local.image`),
		pins: []string{"web: acme/web 1.0.0 | local | web/main.tf:2"}, to: "1.0.1", after: []string{`web/main.tf:2   image = "acme/web:1.0.1"`}},
	{name: "a chain of locals", files: "-- web/main.tf --\nlocals {\n  repo = \"acme/web\"\n  tag = local.newest\n  newest = \"1.0.0\"\n}\n" + deploy(`"${local.repo}:${local.tag}"`),
		pins: []string{"web: acme/web 1.0.0 | local | web/main.tf:4"}, to: "1.0.1", after: []string{`web/main.tf:4   newest = "1.0.1"`}},
	{name: "arguments of two calls and one default", files: "-- modules/f/main.tf --\nvariable \"tag\" { default = \"26.1.0\" }\n" + deploy(`"acme/f:${var.tag}"`) +
		"-- web/main.tf --\nmodule \"a\" {\n  source = \"../modules/f\"\n  tag = \"26.8.1\"\n}\nmodule \"b\" {\n  source = \"../modules/f\"\n  tag = \"26.7.0\"\n}\nmodule \"c\" {\n  source = \"../modules/f\"\n}\n",
		pins: []string{"web: acme/f 26.1.0 | variable | modules/f/main.tf:1", "web: acme/f 26.8.1 | module argument | web/main.tf:3", "web: acme/f 26.7.0 | module argument | web/main.tf:7"},
		to:   "26.9.0", after: []string{`modules/f/main.tf:1 variable "tag" { default = "26.9.0" }`, `web/main.tf:3   tag = "26.9.0"`, `web/main.tf:7   tag = "26.9.0"`}},
	{name: "an argument three modules deep", files: "-- m1/main.tf --\nvariable \"t\" {}\nmodule \"m2\" {\n  source = \"../m2\"\n  t = var.t\n}\n-- m2/main.tf --\nvariable \"t\" {}\nmodule \"m3\" {\n  source = \"../m3\"\n  t = var.t\n}\n-- m3/main.tf --\nvariable \"t\" {}\n" + deploy(`"acme/x:${var.t}"`) + "-- web/main.tf --\nmodule \"m1\" {\n  source = \"../m1\"\n  t = \"1.0\"\n}\n",
		pins: []string{"web: acme/x 1.0 | module argument | web/main.tf:3"}, to: "1.1", after: []string{`web/main.tf:3   t = "1.1"`}},
	{name: "elements of a map", files: "-- web/main.tf --\nvariable \"images\" {\n  default = {\n    web = \"acme/web:1.2.0\"\n    db  = \"acme/db:3.0.0\"\n  }\n}\n" + deploy(`var.images["web"]`),
		pins: []string{"web: acme/web 1.2.0 | element | web/main.tf:3"}, to: "1.3.0", after: []string{`web/main.tf:3     web = "acme/web:1.3.0"`}},
	{name: "for_each over a map", files: "-- web/main.tf --\nlocals {\n  apps = {\n    a = { image = \"acme/a:1.0.0\" }\n    b = { image = \"acme/b:2.0.0\" }\n  }\n}\n" + strings.Replace(deploy(`each.value.image`), "  spec {", "  for_each = local.apps\n  spec {", 1),
		pins: []string{"web: acme/a 1.0.0 | element | web/main.tf:3", "web: acme/b 2.0.0 | element | web/main.tf:4"}, to: "3.0.0",
		after: []string{`web/main.tf:3     a = { image = "acme/a:3.0.0" }`, `web/main.tf:4     b = { image = "acme/b:3.0.0" }`}},
	{name: "a dynamic block", files: "-- web/main.tf --\nlocals {\n  side = [\"acme/s:1.0.0\"]\n}\n" + strings.Replace(deploy(`"acme/web:1.0.0"`), "        container {", "        dynamic \"init_container\" {\n          for_each = local.side\n          content {\n            image = init_container.value\n          }\n        }\n        container {", 1),
		pins: []string{"web: acme/s 1.0.0 | element | web/main.tf:2", "web: acme/web 1.0.0 | literal | web/main.tf:15"}},
	{name: "a suffix outside the variable", files: "-- web/main.tf --\nvariable \"v\" { default = \"v0.8.0\" }\n" + deploy(`"acme/web:${var.v}-cuda"`),
		pins: []string{"web: acme/web v0.8.0-cuda | variable | web/main.tf:1 | *-cuda"}, to: "v0.9.0-cuda", after: []string{`web/main.tf:1 variable "v" { default = "v0.9.0" }`}},
	{name: "a v outside the variable", files: "-- web/main.tf --\nvariable \"v\" { default = \"0.8.0\" }\n" + deploy(`"acme/web:v${var.v}"`),
		pins: []string{"web: acme/web v0.8.0 | variable | web/main.tf:1 | v*"}, to: "v0.9.0", after: []string{`web/main.tf:1 variable "v" { default = "0.9.0" }`}},
	{name: "one variable for two images", files: "-- web/main.tf --\nvariable \"v\" { default = \"v2.7.4\" }\n" + strings.Replace(deploy(`"acme/server:${var.v}"`), "        container {", "        container {\n          image = \"acme/ml:${var.v}\"\n        }\n        container {", 1),
		pins: []string{"web: acme/ml v2.7.4 | variable | web/main.tf:1", "web: acme/server v2.7.4 | variable | web/main.tf:1"}, to: "v2.7.5", after: []string{`web/main.tf:1 variable "v" { default = "v2.7.5" }`}},
	{name: "format and join", files: "-- web/main.tf --\nlocals { t = \"1.0.0\" }\n" + strings.Replace(deploy(`format("%s:%s", "acme/a", local.t)`), "        container {", "        container {\n          image = join(\":\", [\"acme/b\", local.t])\n        }\n        container {", 1),
		pins: []string{"web: acme/a 1.0.0 | local | web/main.tf:1", "web: acme/b 1.0.0 | local | web/main.tf:1"}, to: "1.1.0", after: []string{`web/main.tf:1 locals { t = "1.1.0" }`}},
	{name: "optional attributes with defaults", files: "-- m/main.tf --\nvariable \"app\" {\n  type = object({\n    name  = string\n    image = optional(string, \"acme/app:1.0.0\")\n  })\n}\n" + deploy(`var.app.image`) + "-- web/main.tf --\nmodule \"m\" {\n  source = \"../m\"\n  app = { name = \"x\" }\n}\n",
		pins: []string{"web: acme/app 1.0.0 | variable | m/main.tf:4"}, to: "1.1.0", after: []string{`m/main.tf:4     image = optional(string, "acme/app:1.1.0")`}},
	{name: "both arms of an unknown condition", files: "-- web/main.tf --\nvariable \"gpu\" {}\n" + deploy(`var.gpu ? "acme/web:1.0.0-cuda" : "acme/web:1.0.0"`),
		pins: []string{"web: acme/web 1.0.0-cuda | literal | web/main.tf:7", "web: acme/web 1.0.0 | literal | web/main.tf:7"}},
	{name: "a known condition", files: "-- web/main.tf --\nvariable \"gpu\" { default = false }\n" + deploy(`var.gpu ? "acme/web:1.0.0-cuda" : "acme/web:1.0.0"`),
		pins: []string{"web: acme/web 1.0.0 | literal | web/main.tf:7"}},
	{name: "terragrunt inputs", files: "-- modules/w/main.tf --\nvariable \"tag\" {}\n" + deploy(`"acme/w:${var.tag}"`) + "-- live/root.hcl --\ninputs = { domain = \"example.org\" }\n-- live/w/terragrunt.hcl --\ninclude \"root\" {\n  path = find_in_parent_folders(\"root.hcl\")\n}\nterraform {\n  source = \"../../modules//w\"\n}\ninputs = {\n  tag = \"1.0.0\"\n}\n",
		pins: []string{"w: acme/w 1.0.0 | terragrunt | live/w/terragrunt.hcl:8"}, to: "1.1.0", after: []string{`live/w/terragrunt.hcl:8   tag = "1.1.0"`}},
	{name: "a chart's version", files: "-- web/main.tf --\n" + helm(`  version    = "2026.2.2"`),
		pins: []string{"web: chart app 2026.2.2 | chart | web/main.tf:5"}, to: "2026.5.0", after: []string{`web/main.tf:5   version    = "2026.5.0"`}},
	{name: "a chart's version through a local", files: "-- web/main.tf --\nlocals { c = \"1.0.0\" }\n" + helm(`  version = local.c`),
		pins: []string{"web: chart app 1.0.0 | local | web/main.tf:1"}},
	{name: "a chart without version, a range, an OCI chart", files: "-- a/main.tf --\n" + helm("") + "-- b/main.tf --\n" + helm(`version = "~> 4"`) + "-- c/main.tf --\nresource \"helm_release\" \"x\" {\n  name = \"x\"\n  chart = \"oci://ghcr.io/acme/charts/web\"\n  version = \"1.0.0\"\n}\n",
		pins: []string{"a: chart app - | - | (a/main.tf:1) | no tag", "b: chart app ~> 4 | chart | b/main.tf:5 | not a version", "c: chart web 1.0.0 | chart | c/main.tf:4"}},
	{name: "values by yamlencode", files: "-- web/main.tf --\n" + helm("  version = \"1.0.0\"\n  values = [yamlencode({\n    image = {\n      repository = \"acme/web\"\n      tag = \"v3.0.0\"\n    }\n  })]"),
		pins: []string{"web: chart app 1.0.0 | chart | web/main.tf:5", "web: acme/web v3.0.0 | values | web/main.tf:9"}},
	{name: "a set block for the chart's own image", files: "-- web/main.tf --\n" + helm("  version = \"1.0.0\"\n  set {\n    name = \"image.tag\"\n    value = \"v3.0.0\"\n  }"),
		pins: []string{"web: chart app 1.0.0 | chart | web/main.tf:5", "web: image of chart app v3.0.0 | values | web/main.tf:8"}},
	{name: "a whole reference below an image's key", files: "-- web/main.tf --\n" + helm("  version = \"1.0.0\"\n  set {\n    name = \"image.repositoryAndTag\"\n    value = \"acme/runner:v2.3.0\"\n  }"),
		pins: []string{"web: chart app 1.0.0 | chart | web/main.tf:5", "web: acme/runner v2.3.0 | values | web/main.tf:8"}},
	{name: "a list of set objects", files: "-- web/main.tf --\n" + helm("  version = \"1.0.0\"\n  set = [{\n    name = \"image.tag\"\n    value = \"v3.0.0\"\n  }]"),
		pins: []string{"web: chart app 1.0.0 | chart | web/main.tf:5", "web: image of chart app v3.0.0 | values | web/main.tf:8"}},
	{name: "values in a heredoc", files: "-- web/main.tf --\n" + helm("  values = [<<-EOT\n    image:\n      repository: acme/web # ours\n      tag: \"1.0.0\"   # bump me\n    EOT\n  ]"),
		pins: []string{"web: chart app - | - | (web/main.tf:1) | no tag", "web: acme/web 1.0.0 | values | web/main.tf:8"}, to: "1.1.0", after: []string{`web/main.tf:8       tag: "1.1.0"   # bump me`}},
	{name: "values in a file", files: "-- web/main.tf --\n" + helm("  values = [file(\"${path.module}/values.yaml\")]") + "-- web/values.yaml --\n# köhler's\nimage: {registry: ghcr.io, repository: acme/web, tag: 1.0.0}\nsidecar:\n  image: acme/side:2.0\n",
		pins: []string{"web: chart app - | - | (web/main.tf:1) | no tag", "web: ghcr.io/acme/web 1.0.0 | values | web/values.yaml:2", "web: acme/side 2.0 | values | web/values.yaml:4"}, to: "3.0.0",
		after: []string{`web/values.yaml:2 image: {registry: ghcr.io, repository: acme/web, tag: 3.0.0}`, `web/values.yaml:4   image: acme/side:3.0.0`}},
	{name: "values in a template", files: "-- web/main.tf --\nlocals { t = \"1.0.0\" }\n" + helm("  values = [templatefile(\"values.tftpl\", { tag = local.t })]") + "-- web/values.tftpl --\nimage:\n  repository: acme/web\n  tag: ${tag}\nother:\n  image: acme/other:2.0.0\n",
		pins: []string{"web: acme/web 1.0.0 | local | web/main.tf:1", "web: chart app - | - | (web/main.tf:2) | no tag", "web: acme/other 2.0.0 | values | web/values.tftpl:5"}},
	{name: "values that are another program's template", files: "-- web/main.tf --\n" + helm("  values = [file(\"values.yaml\")]") + "-- web/values.yaml --\n{{- if .x }}\nimage:\n  repository: acme/web\n  tag: 1.0.0\n{{- end }}\n",
		pins: []string{"web: chart app - | - | (web/main.tf:1) | no tag", "web: acme/web 1.0.0 | values | web/values.yaml:4"}, to: "1.1.0", after: []string{`web/values.yaml:4   tag: 1.1.0`}},
	{name: "a manifest in YAML", files: "-- web/main.tf --\nresource \"kubectl_manifest\" \"x\" {\n  yaml_body = <<YAML\nkind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: x\n          image: acme/x:1.0.0\nYAML\n}\n",
		pins: []string{"web: acme/x 1.0.0 | manifest | web/main.tf:9"}, to: "1.1.0", after: []string{`web/main.tf:9           image: acme/x:1.1.0`}},
	{name: "a digest", files: "-- web/main.tf --\n" + deploy(`"acme/web:1.0.0@sha256:`+strings.Repeat("a", 64)+`"`),
		pins: []string{"web: acme/web 1.0.0 | literal | web/main.tf:6"}, to: "1.1.0", after: []string{`web/main.tf:6           image = "acme/web:1.1.0@sha256:` + strings.Repeat("b", 64) + `"`}},
	{name: "a digest alone", files: "-- web/main.tf --\n" + deploy(`"acme/web@sha256:`+strings.Repeat("a", 64)+`"`),
		pins: []string{"web: acme/web - | literal | web/main.tf:6 | digest only"}},
	{name: "CRLF, alignment and trailing space stay", files: "-- web/main.tf --\n" + strings.ReplaceAll(deploy(`"acme/web:1.0.0"   `), "\n", "\r\n"),
		pins: []string{"web: acme/web 1.0.0 | literal | web/main.tf:6"}, to: "1.1.0", after: []string{`web/main.tf:6           image = "acme/web:1.1.0"   `}},

	// What must not happen.
	{name: "commented-out lines", files: "-- web/main.tf --\n# image = \"acme/web:0.1\"\n// image = \"acme/web:0.2\"\n/*\n" + deploy(`"acme/web:0.3"`) + "*/\n" + deploy(`"acme/web:1.0.0" # was acme/web:0.9`),
		pins: []string{"web: acme/web 1.0.0 | literal | web/main.tf:21"}},
	{name: "strings that only look like images", files: "-- web/main.tf --\nlocals { note = \"acme/web:1.0.0\" }\nresource \"kubernetes_config_map\" \"c\" {\n  data = { image = \"acme/web:1.0.0\" }\n}\nresource \"digitalocean_droplet\" \"d\" {\n  image = \"ubuntu-22-04-x64\"\n}\n", pins: nil},
	{name: "a function computes it", files: "-- web/main.tf --\nlocals { t = \"v1.0.0\" }\n" + deploy(`"acme/web:${replace(local.t, "v", "")}"`),
		pins: []string{"web: acme/web - | - | (web/main.tf:7) | computed"}},
	{name: "a data source has it", files: "-- web/main.tf --\n" + deploy(`data.http.version.body`), pins: []string{"web: ? - | - | (web/main.tf:6) | computed"}},
	{name: "a variable without value", files: "-- web/main.tf --\nvariable \"v\" {}\n" + deploy(`"acme/web:${var.v}"`), pins: []string{"web: acme/web - | - | (web/main.tf:7) | no value"}},
	{name: "a cycle of locals", files: "-- web/main.tf --\nlocals {\n  a = local.b\n  b = local.a\n}\n" + deploy(`"acme/web:${local.a}"`), pins: []string{"web: acme/web - | - | (web/main.tf:10) | no value"}},
	{name: "a module that calls itself", files: "-- web/main.tf --\nmodule \"w\" { source = \"./\" }\n" + deploy(`"acme/web:1.0"`), pins: []string{"web: acme/web 1.0 | literal | web/main.tf:7"}},
	{name: "ignore_changes on one container", files: "-- web/main.tf --\n" + strings.Replace(strings.Replace(deploy(`"acme/web:1.0.0"`), "        container {", "        container {\n          image = \"acme/side:1.0.0\"\n        }\n        container {", 1), "  spec {", "  lifecycle {\n    ignore_changes = [spec[0].template[0].spec[0].container[1].image]\n  }\n  spec {", 1),
		pins: []string{"web: acme/side 1.0.0 | literal | web/main.tf:9", "web: acme/web 1.0.0 | literal | web/main.tf:12 | ignored by Terraform"}},
	{name: "ignore_changes on everything", files: "-- web/main.tf --\n" + strings.Replace(deploy(`"acme/web:1.0.0"`), "  spec {", "  lifecycle {\n    ignore_changes = all\n  }\n  spec {", 1),
		pins: []string{"web: acme/web 1.0.0 | literal | web/main.tf:9 | ignored by Terraform"}},
	{name: "opted out on the line and above it", files: "-- a/main.tf --\n" + deploy(`"acme/web:1.0.0" # belay:ignore too old`) + "-- b/main.tf --\n" + strings.Replace(deploy(`"acme/web:1.0.0"`), "          image", "          // belay:ignore\n          image", 1),
		pins: []string{"a: acme/web 1.0.0 | literal | a/main.tf:6 | ignored by comment", "b: acme/web 1.0.0 | literal | b/main.tf:7 | ignored by comment"}},
	{name: "diun.enable is false", files: "-- web/main.tf --\n" + strings.Replace(deploy(`"acme/web:1.0.0"`), "  spec {", "  metadata {\n    annotations = { \"diun.enable\" = \"false\" }\n  }\n  spec {", 1),
		pins: []string{"web: acme/web 1.0.0 | literal | web/main.tf:9 | ignored by diun"}},
	{name: "floating, absent and odd tags", files: "-- a/main.tf --\n" + deploy(`"acme/web:latest"`) + "-- b/main.tf --\n" + deploy(`"acme/web"`) + "-- c/main.tf --\n" + deploy(`"acme/web:3fa9c1d"`),
		pins: []string{"a: acme/web latest | literal | a/main.tf:6 | floating tag", "b: acme/web - | literal | b/main.tf:6 | no tag", "c: acme/web 3fa9c1d | literal | c/main.tf:6 | not a version"}},

	{name: "count is 0", files: "-- web/main.tf --\nvariable \"on\" { default = false }\n" + strings.Replace(deploy(`"acme/web:1.0.0"`), "  spec {", "  count = var.on ? 1 : 0\n  spec {", 1),
		pins: []string{"web: acme/web 1.0.0 | literal | web/main.tf:8 | disabled"}},

	// Services.
	{name: "configured roots", roots: []string{"stacks/*"}, files: "-- stacks/url/main.tf --\n" + deploy(`"acme/a:1.0"`) + "-- stacks/url/sub/main.tf --\n" + deploy(`"acme/b:1.0"`) + "-- other/main.tf --\n" + deploy(`"acme/c:1.0"`),
		pins: []string{"other: acme/c 1.0 | literal | other/main.tf:6 | outside services.roots", "url: acme/a 1.0 | literal | stacks/url/main.tf:6", "url: acme/b 1.0 | literal | stacks/url/sub/main.tf:6"}},
	{name: "root modules of the same name", files: "-- prod/url/main.tf --\n" + deploy(`"acme/a:1.0"`) + "-- test/url/main.tf --\n" + deploy(`"acme/a:1.1"`),
		pins: []string{"prod/url: acme/a 1.0 | literal | prod/url/main.tf:6", "test/url: acme/a 1.1 | literal | test/url/main.tf:6"}},
	{name: "a module outside the repository", files: "-- web/main.tf --\nmodule \"x\" {\n  source = \"acme/app/kubernetes\"\n  image = \"acme/web:1.0.0\"\n}\nmodule \"vm\" {\n  source = \"acme/vm/cloud\"\n  image = \"ubuntu-22.04\"\n}\n",
		pins: []string{"web: acme/web 1.0.0 | module argument | web/main.tf:3"}, to: "1.1.0", after: []string{`web/main.tf:3   image = "acme/web:1.1.0"`}},
	{name: "an OpenTofu file in the place of a Terraform one", files: "-- web/main.tf --\n" + deploy(`"acme/web:1.0"`) + "-- web/main.tofu --\n" + deploy(`"acme/web:2.0"`), pins: []string{"web: acme/web 2.0 | literal | web/main.tofu:6"}},
}

func TestShapes(t *testing.T) {
	for _, tc := range shapes {
		t.Run(tc.name, func(t *testing.T) {
			files := tree(tc.files)
			inv := scan(t, files, tc.roots...)
			if diff := cmp.Diff(tc.pins, lines(inv)); diff != "" {
				t.Fatalf("pins (-want +got):\n%s\nproblems: %v", diff, inv.Problems)
			}
			if tc.to == "" {
				return
			}
			var splices []pin.Splice
			for _, p := range inv.Pins {
				if p.Reason != pin.Followed {
					continue
				}
				s, err := p.Splices(tc.to, "sha256:"+strings.Repeat("b", 64))
				if err != nil {
					t.Fatal(err)
				}
				splices = append(splices, s...)
			}
			changes, edits, err := inv.Apply(splices)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range edits {
				got = append(got, fmt.Sprintf("%s:%d %s", e.Path, e.Line, e.After))
			}
			if diff := cmp.Diff(tc.after, got); diff != "" {
				t.Errorf("changed lines (-want +got):\n%s", diff)
			}
			for _, c := range changes {
				if n := differing(files[c.Path], c.Content); n != linesOf(edits, c.Path) {
					t.Errorf("%s: %d lines differ, %d are said to", c.Path, n, linesOf(edits, c.Path))
				}
			}
		})
	}
}

func linesOf(edits []pin.Edit, path string) int {
	n := 0
	for _, e := range edits {
		if e.Path == path {
			n++
		}
	}
	return n
}

// differing counts the lines that differ, line endings included.
func differing(before string, after []byte) int {
	a, b := strings.Split(before, "\n"), bytes.Split(after, []byte("\n"))
	if len(a) != len(b) {
		return -1
	}
	n := 0
	for i := range a {
		if a[i] != string(b[i]) {
			n++
		}
	}
	return n
}
