package terraform_test

import (
	"strings"
	"testing"
)

// TestSettingsAreNamesOnly holds every way of writing a setting against what is
// sent to an adviser: the name, and never a value.
func TestSettingsAreNamesOnly(t *testing.T) {
	const never = "hunter2"
	for _, tc := range []struct{ name, files, want string }{
		{"env blocks", `env {
            name  = "DB_PASSWORD"
            value = "hunter2"
          }
          env {
            name = "DB_HOST"
            value_from {
              secret_key_ref {
                name = "hunter2"
                key  = "hunter2"
              }
            }
          }`, "DB_HOST DB_PASSWORD"},
		{"a computed name is left out", "env {\n name = \"X_${var.hunter2}\"\n value = \"1\"\n}", ""},
		{"another block's name is no setting", "port {\n name = \"hunter2\"\n}", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv := scan(t, tree("-- web/main.tf --\n"+strings.Replace(deploy(`"acme/web:1.0.0"`), "          image", "          "+tc.files+"\n          image", 1)))
			holds(t, inv.Settings("web"), tc.want, never)
		})
	}
	for _, tc := range []struct{ name, files, want string }{
		{"keys of objects and variables in lists", `values = [yamlencode({ image = { repository = "acme/web", tag = "1.0.0" }, smtp = { password = "hunter2" }, env = [{ name = "LOG_LEVEL", value = "hunter2" }] })]`,
			"LOG_LEVEL env image name password repository smtp tag value"},
		{"keys of YAML in a heredoc", "values = [<<-EOT\n    image:\n      tag: 1.0.0\n    admin-password: hunter2\n    token: ${var.token}hunter2\n    script: |\n      hunter2: x\n      export HUNTER_TWO=hunter2\n    after: 1\n    EOT\n  ]",
			"admin-password after image script tag token"},
		{"set blocks", "set {\n name = \"auth.password\"\n value = \"hunter2\"\n}", "auth.password"},
		{"what looks like a secret used as a key", `values = [yamlencode({ a9f8e7d6c5b4a3f2e1d0 = "x", "hunter2@example.org" = "x", "hunter2 hunter2" = "x", fine = "x" })]`, "fine"},
		{"values of another file", "values = [file(\"values.yaml\")]\n}\n-- web/values.yaml --\nimage:\n  repository: acme/web\n  tag: 1.0.0\nenv:\n  - name: API_KEY\n    value: hunter2\nurl: https://ana:hunter2@example.org\nlist:\n  - hunter2\n  - \"hunter2: x\"\n# COMMENT: hunter2\n-- web/other.tf --\nlocals {",
			"API_KEY env image list name repository tag url value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv := scan(t, tree("-- web/main.tf --\n"+helm("  version = \"1.0.0\"\n  "+tc.files)))
			holds(t, inv.Settings("web"), tc.want, never)
		})
	}
	if got := scan(t, tree("-- web/main.tf --\n"+deploy(`"acme/web:1.0.0"`))).Settings("another"); len(got) != 0 {
		t.Errorf("of a service that is not there: %q", got)
	}
}

func holds(t *testing.T, got []string, want, never string) {
	t.Helper()
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if strings.Contains(strings.ToLower(strings.Join(got, " ")), never) {
		t.Errorf("a value is among them: %q", got)
	}
}

func TestSettingsOfTheSample(t *testing.T) {
	got := strings.Join(scan(t, sample(t), "stacks/*").Settings("url"), " ")
	for _, want := range []string{"DEFAULT_DOMAIN", "DB_DRIVER", "REDIRECT_APPEND_EXTRA_PATH"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	for _, never := range []string{"go.example.org", "mysql", "shlinkio"} {
		if strings.Contains(got, never) {
			t.Errorf("the value %s is in %s", never, got)
		}
	}
}
