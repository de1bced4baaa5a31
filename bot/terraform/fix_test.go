package terraform_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/bot/terraform"
	"github.com/belaybot/belay/rules/watch"
)

// limited is a Deployment of namespace paperless with one container, which has the given lines.
func limited(lines ...string) string {
	return "resource \"kubernetes_deployment\" \"p\" {\n  metadata {\n    name      = \"paperless\"\n    namespace = \"paperless\"\n  }\n  spec {\n    template {\n      spec {\n        container {\n          name  = \"paperless\"\n          image = \"ghcr.io/paperless-ngx/paperless-ngx:2.20.14\"\n          " +
		strings.Join(lines, "\n          ") + "\n        }\n      }\n    }\n  }\n}\n"
}

func resources(limit, request string) []string {
	out := []string{"resources {", "  limits = {", "    memory = " + limit + " # measured", "  }"}
	if request != "" {
		out = append(out, "  requests = {", "    memory = "+request, "  }")
	}
	return append(out, "}")
}

var paperless = watch.Workload{Kind: "Deployment", Namespace: "paperless", Name: "paperless"}

func TestFixMemory(t *testing.T) {
	oom := terraform.Trouble{Cause: watch.CauseOOM, Workload: paperless, Container: "paperless"}
	chart := terraform.Trouble{Cause: watch.CauseOOM, Workload: watch.Workload{Kind: "Deployment", Namespace: "web", Name: "app-server"}, Container: "server"}
	for _, tc := range []struct {
		name, files string
		trouble     terraform.Trouble
		at          string // "path:line"; "" when there is no fix
		line        int
		before      string
		after       string
		why         string
	}{
		{"a limit of 1Gi", "-- web/main.tf --\n" + limited(resources(`"1Gi"`, "")...), oom, "web/main.tf", 14,
			`              memory = "1Gi" # measured`, `              memory = "2Gi" # measured`, "memory limit of 1Gi: the limit is doubled to 2Gi"},
		{"a request equal to the limit", "-- web/main.tf --\n" + limited(resources(`"512Mi"`, `"512Mi"`)...), oom, "web/main.tf", 14,
			"              memory = \"512Mi\" # measured\n            }\n            requests = {\n              memory = \"512Mi\"", "              memory = \"1Gi\" # measured\n            }\n            requests = {\n              memory = \"1Gi\"", "so is its request"},
		{"a smaller request stays", "-- web/main.tf --\n" + limited(resources(`"512Mi"`, `"256Mi"`)...), oom, "web/main.tf", 14,
			`              memory = "512Mi" # measured`, `              memory = "1Gi" # measured`, ""},
		{"limits as a block, and line endings of Windows", "-- web/main.tf --\n" + strings.ReplaceAll(limited("resources {", "  limits {", `    memory = "1500M"`, "  }", "}"), "\n", "\r\n"), oom, "web/main.tf", 14,
			`              memory = "1500M"`, `              memory = "3G"`, ""},
		{"a limit in a local", "-- web/main.tf --\nlocals {\n  memory = \"1Gi\"\n}\n" + limited(resources("local.memory", "local.memory")...), oom, "web/main.tf", 2,
			`  memory = "1Gi"`, `  memory = "2Gi"`, ""},
		{"a limit given to a module that others use with theirs", "-- modules/w/main.tf --\nvariable \"memory\" {}\n" + limited(resources("var.memory", "")...) + "-- web/main.tf --\nmodule \"w\" {\n  source = \"../modules/w\"\n  memory = \"1Gi\"\n}\n-- other/main.tf --\nmodule \"w\" {\n  source = \"../modules/w\"\n  memory = \"4Gi\"\n}\n", oom, "web/main.tf", 3,
			`  memory = "1Gi"`, `  memory = "2Gi"`, ""},
		{"a module's default that others use too says so", "-- modules/w/main.tf --\nvariable \"memory\" { default = \"1Gi\" }\n" + limited(resources("var.memory", "")...) + "-- web/main.tf --\nmodule \"w\" {\n  source = \"../modules/w\"\n}\n-- other/main.tf --\nmodule \"w\" {\n  source = \"../modules/w\"\n}\n", oom, "modules/w/main.tf", 1,
			`variable "memory" { default = "1Gi" }`, `variable "memory" { default = "2Gi" }`, "also the limit of other/paperless"},
		{"the container that is named", "-- web/main.tf --\n" + strings.Replace(limited(resources(`"1Gi"`, "")...), "        container {", "        container {\n          name = \"proxy\"\n          resources {\n            limits = { memory = \"64Mi\" }\n          }\n        }\n        container {", 1), oom, "web/main.tf", 20,
			`              memory = "1Gi" # measured`, `              memory = "2Gi" # measured`, ""},
		{"a manifest", "-- web/main.tf --\nresource \"kubectl_manifest\" \"m\" {\n  yaml_body = <<YAML\nkind: Deployment\nmetadata: {name: paperless, namespace: paperless}\nspec:\n  template:\n    spec:\n      containers:\n        - name: paperless\n          image: ghcr.io/paperless-ngx/paperless-ngx:2.20.14\n          resources:\n            limits:\n              memory: 1Gi\nYAML\n}\n", oom, "web/main.tf", 13,
			`              memory: 1Gi`, `              memory: 2Gi`, ""},
		{"a chart's values in a file", "-- web/main.tf --\n" + helm("  namespace = \"web\"\n  values = [file(\"values.yaml\")]") + "-- web/values.yaml --\nserver:\n  resources:\n    limits:\n      memory: \"1Gi\" # enough\nworker:\n  resources:\n    limits:\n      memory: 2Gi\n", chart, "web/values.yaml", 4,
			`      memory: "1Gi" # enough`, `      memory: "2Gi" # enough`, ""},
		{"a chart's only limit, whatever its key", "-- web/main.tf --\n" + helm("  namespace = \"web\"\n  values = [yamlencode({ resources = { limits = { memory = \"1Gi\" } } })]"), chart, "web/main.tf", 6,
			`  values = [yamlencode({ resources = { limits = { memory = "1Gi" } } })]`, `  values = [yamlencode({ resources = { limits = { memory = "2Gi" } } })]`, ""},
		{"a chart with several limits, none of them by that name", "-- web/main.tf --\n" + helm("  namespace = \"web\"\n  values = [yamlencode({ a = { resources = { limits = { memory = \"1Gi\" } } }, b = { resources = { limits = { memory = \"1Gi\" } } } })]"), chart, "", 0, "", "", ""},
		{"no limit is written", "-- web/main.tf --\n" + limited(), oom, "", 0, "", "", ""},
		{"a limit that is computed", "-- web/main.tf --\n" + limited(resources(`"${data.x.y}Gi"`, "")...), oom, "", 0, "", "", ""},
		{"no amount of memory", "-- web/main.tf --\n" + limited(resources(`"lots"`, "")...), oom, "", 0, "", "", ""},
		{"another failure", "-- web/main.tf --\n" + limited(resources(`"1Gi"`, "")...), terraform.Trouble{Cause: watch.CauseCrash, Workload: paperless}, "", 0, "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkFix(t, tree(tc.files), tc.trouble, tc.at, tc.line, tc.before, tc.after, tc.why, false)
		})
	}
}

func checkFix(t *testing.T, files memory, trouble terraform.Trouble, at string, line int, before, after, why string, needs bool) {
	t.Helper()
	fix, ok := scan(t, files).Fix("web", trouble)
	if ok != (at != "") {
		t.Fatalf("Fix is %v: %+v", ok, fix)
	}
	if !ok {
		return
	}
	if fix.Path != at || fix.Line != line || fix.NeedsValue != needs || !strings.Contains(fix.Why, why) {
		t.Errorf("%s:%d, needs a value: %v: %s", fix.Path, fix.Line, fix.NeedsValue, fix.Why)
	}
	if diff := cmp.Diff(before, fix.Before); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(after, fix.After); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	// The content is the file with those lines in the place of the others.
	lines := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	for _, c := range fix.Changes {
		if want := strings.Replace(lines(files[c.Path]), before, after, 1); c.Path == at && lines(string(c.Content)) != want {
			t.Errorf("content (-want +got):\n%s", cmp.Diff(want, lines(string(c.Content))))
		}
	}
}

func TestFixVariable(t *testing.T) {
	missing := terraform.Trouble{Cause: watch.CauseCrash, Workload: paperless, Container: "paperless", Variable: "SECRET_KEY_BASE"}
	known := missing
	known.Value = `a "${b}"`
	env := []string{"env {", `  name  = "A"`, `  value = "1"`, "}"}
	for _, tc := range []struct {
		name, files string
		trouble     terraform.Trouble
		at          string
		line        int
		before      string
		after       string
		needs       bool
	}{
		{"after the last variable", "-- web/main.tf --\n" + limited(append(env, resources(`"1Gi"`, "")...)...), missing, "web/main.tf", 15, "          }",
			"          }\n          env {\n            name  = \"SECRET_KEY_BASE\"\n            value = \"CHANGE_ME\"\n          }", true},
		{"after the image where there is none", "-- web/main.tf --\n" + limited(), missing, "web/main.tf", 11, `          image = "ghcr.io/paperless-ngx/paperless-ngx:2.20.14"`,
			"          image = \"ghcr.io/paperless-ngx/paperless-ngx:2.20.14\"\n          env {\n            name  = \"SECRET_KEY_BASE\"\n            value = \"CHANGE_ME\"\n          }", true},
		{"with the value that the notes give, quoted", "-- web/main.tf --\n" + limited(), known, "web/main.tf", 11, `          image = "ghcr.io/paperless-ngx/paperless-ngx:2.20.14"`,
			"          image = \"ghcr.io/paperless-ngx/paperless-ngx:2.20.14\"\n          env {\n            name  = \"SECRET_KEY_BASE\"\n            value = \"a \\\"$${b}\\\"\"\n          }", false},
		{"it is set already", "-- web/main.tf --\n" + limited("env {", `  name  = "SECRET_KEY_BASE"`, `  value = ""`, "}"), missing, "", 0, "", "", false},
		{"a loop may set it", "-- web/main.tf --\n" + limited(`dynamic "env" {`, "  for_each = data.x.y", "  content {", "    name = env.key", "  }", "}"), missing, "", 0, "", "", false},
		{"the module belongs to others too", "-- modules/w/main.tf --\n" + limited() + "-- web/main.tf --\nmodule \"w\" {\n  source = \"../modules/w\"\n}\n", missing, "", 0, "", "", false},
		{"no variable's name", "-- web/main.tf --\n" + limited(), terraform.Trouble{Cause: watch.CauseCrash, Workload: paperless, Variable: `X" }`}, "", 0, "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkFix(t, tree(tc.files), tc.trouble, tc.at, tc.line, tc.before, tc.after, "", tc.needs)
		})
	}
}
