package starter_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/starter"
)

// activated is a configuration with every guess made active.
func activated(config []byte) string {
	prose := regexp.MustCompile(`^# \S`)
	var out []string
	for line := range strings.SplitSeq(string(config), "\n") {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !prose.MatchString(line) {
			line = rest
		}
		out = append(out, line)
	}
	return strings.NewReplacer("NAMESPACE", "namespace", "NAME", "name", "CLAIM", "claim").Replace(strings.Join(out, "\n"))
}

func right(t *testing.T, f starter.Found) string {
	t.Helper()
	config := starter.Configuration(f)
	if _, err := policy.Parse("belay.yml", config); err != nil {
		t.Fatalf("%v\n%s", err, config)
	}
	if _, err := policy.Parse("belay.yml", []byte(activated(config))); err != nil {
		t.Fatalf("with every guess made active: %v\n%s", err, activated(config))
	}
	return string(config)
}

func one(s starter.Service) starter.Found {
	if s.Name == "" {
		s.Name = "web"
	}
	return starter.Found{Pins: 1, Followed: 1, Services: []starter.Service{s}}
}

func set(name, value string) starter.Service {
	return starter.Service{Settings: []starter.Setting{{Name: name, Value: value, At: "stacks/web/main.tf:7"}}}
}

func TestConfiguration(t *testing.T) {
	for _, tc := range []struct {
		name  string
		found starter.Found
		want  []string
		never []string
	}{
		{"an empty repository gets a file that explains itself", starter.Found{}, []string{"No version pins were found", "#  roots:"}, []string{"\nservices:"}},
		{"an address of a database names engine and host, never its password", one(set("DATABASE_URL", "postgres://u:hunter2@db.dbaas:5432/x")),
			[]string{"DATABASE_URL in stacks/web/main.tf:7 is the address of a postgresql database on db.dbaas", "#  web: { backup: { cronjob: NAMESPACE/NAME } }"}, []string{"hunter2"}},
		{"a host of a database", one(set("DB_HOST", "mariadb.dbaas")), []string{"DB_HOST is set in stacks/web/main.tf:7, which speaks of mysql"}, nil},
		{"a host that says nothing of its engine", one(set("PAPERLESS_DBHOST", "10.0.0.4")), []string{"PAPERLESS_DBHOST is set in stacks/web/main.tf:7\n"}, []string{"10.0.0.4"}},
		{"POSTGRES_HOST without a value", one(set("POSTGRES_HOST", "")), []string{"POSTGRES_HOST is set", "postgresql"}, nil},
		{"authentik's spelling", one(set("AUTHENTIK_POSTGRESQL__HOST", "")), []string{"AUTHENTIK_POSTGRESQL__HOST is set"}, nil},
		{"MYSQL_DATABASE", one(set("MYSQL_DATABASE", "x")), []string{"MYSQL_DATABASE is set", "mysql"}, nil},
		{"Redis holds nothing to back up", one(set("REDIS_HOST", "redis.dbaas")), []string{"None was recognised"}, []string{"REDIS"}},
		{"nor does a cache with a database's word in its name", one(set("REDIS_DB_HOST", "x")), []string{"None was recognised"}, nil},
		{"an SQLite file on a volume is saved by a snapshot", one(starter.Service{Settings: set("DATA_FILE", "/data/db.sqlite3").Settings, Claims: []starter.Claim{{Namespace: "web", Name: "data", Path: "/data", At: "x.tf:9"}}}),
			[]string{"#  web: { backup: { volumesnapshot: web/data } }", "speaks of SQLite"}, nil},
		{"a volume and no database may be SQLite", one(starter.Service{Claims: []starter.Claim{{Name: "data", Path: "/data", At: "x.tf:9"}}}),
			[]string{"it keeps files on the volume data, mounted at /data in x.tf:9, maybe SQLite", "volumesnapshot: NAMESPACE/data"}, nil},
		{"a database of its own", one(starter.Service{Images: []string{"ghcr.io/acme/postgres"}}), []string{"it runs its own postgresql (ghcr.io/acme/postgres)"}, nil},
		{"a CronJob that dumps the engine serves every service on it, and its restore is found", starter.Found{Pins: 2, Services: []starter.Service{
			{Name: "dbaas", CronJobs: []starter.CronJob{{Namespace: "dbaas", Name: "postgresql-backup", Text: "pg_dumpall", At: "d.tf:1"}, {Namespace: "dbaas", Name: "postgresql-restore", Text: "psql", At: "d.tf:9"}}},
			{Name: "links", Settings: []starter.Setting{{Name: "DATABASE_URL", Value: "postgresql://db/x", At: "l.tf:1"}}}}},
			[]string{"postgresql: { cronjob: dbaas/postgresql-backup, timeout: 5m, restore: { cronjob: dbaas/postgresql-restore } }", "#  links: { backup: postgresql }"}, []string{"NAMESPACE"}},
		{"a back office is no backup", one(starter.Service{CronJobs: []starter.CronJob{{Namespace: "a", Name: "back-office", At: "x"}}}), []string{"No CronJob in the Terraform looks like a backup"}, nil},
		{"images of a private registry and of the repository's owner", starter.Found{Owner: "Acme", Images: []string{"registry.example.org/blog", "ghcr.io/acme/web", "nginx", "acme/api", "ghcr.io/other/acme", "quay.io/a/b"}},
			[]string{`skip: ["acme/*", "ghcr.io/acme/*", "registry.example.org/*"]`}, nil},
		{"what was taken back before", one(starter.Service{Reverts: []string{"Revert \"web to 2.0\" (12345678)"}}), []string{`- web # taken back before: Revert "web to 2.0" (12345678)`}, nil},
		{"a pipeline", starter.Found{Pipelines: []starter.Pipeline{{Check: "ci/woodpecker/push/default", At: ".woodpecker/default.yml", Why: "runs terraform apply"}}}, []string{`#    - "ci/woodpecker/push/default"`}, nil},
		{"nothing that was found ends a comment", one(starter.Service{Name: "a\nrevert: { automerge: false }", Claims: []starter.Claim{{Name: "x\u2028steps: direct\nsteps: direct", At: "x\rsteps: direct"}}}), nil, []string{"\nsteps", "\nrevert"}},
		{"a service that YAML would take for something else", one(starter.Service{Name: "on", Settings: set("DB_HOST", "").Settings}), []string{`#  "on": {`}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := right(t, tc.found)
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in\n%s", want, got)
				}
			}
			for _, never := range tc.never {
				if strings.Contains(got, never) {
					t.Errorf("%q is in\n%s", never, got)
				}
			}
		})
	}
}

func TestPipelines(t *testing.T) {
	for _, tc := range []struct{ name, path, src, want string }{
		{"Woodpecker's single file", ".woodpecker.yml", "steps: [{name: x, commands: [terraform apply -auto-approve]}]", "ci/woodpecker/push/woodpecker"},
		{"a workflow in a directory", ".woodpecker/default.yml", "when: [{event: push, branch: main}]\nsteps: {apply: {commands: [terragrunt run-all apply]}}", "ci/woodpecker/push/default"},
		{"a workflow that only runs for pull requests", ".woodpecker/plan.yml", "when: {event: pull_request}\nsteps: {x: {commands: [terraform apply]}}", ""},
		{"a workflow that only plans", ".woodpecker/plan.yml", "steps: {x: {commands: [terraform plan]}}", ""},
		{"a job of a GitHub workflow", ".github/workflows/apply.yml", "on: {push: {branches: [main]}}\njobs: {apply: {steps: [{run: tofu apply}]}, test: {steps: [{run: make}]}}", "apply"},
		{"a job with a name", ".github/workflows/apply.yml", "on: push\njobs: {a: {name: Apply to home, steps: [{run: 'terraform -chdir=x apply'}]}}", "Apply to home"},
		{"a workflow for pull requests", ".github/workflows/apply.yml", "on: [pull_request]\njobs: {a: {steps: [{run: terraform apply}]}}", ""},
		{"what does not parse", ".github/workflows/apply.yml", "on: [", ""},
		{"another file", "stacks/x.yml", "commands: terraform apply", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, p := range starter.Pipelines(tc.path, []byte(tc.src)) {
				got = append(got, p.Check)
			}
			if strings.Join(got, ",") != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzConfiguration holds that whatever stands in a repository, the file is right.
func FuzzConfiguration(f *testing.F) {
	f.Add("web", "DATABASE_URL", "postgres://u:p@h/x", "ns", "data", "Revert x", "terraform apply")
	f.Add("a: b", "DB_HOST", "x\ny", "-", "'", "\u0085x", "on: push\njobs: {a: {name: \"x\\ny\", steps: [{run: terraform apply}]}}")
	f.Fuzz(func(t *testing.T, service, name, value, namespace, object, subject, pipeline string) {
		right(t, starter.Found{Pins: 1, Owner: namespace, Images: []string{object}, Roots: []string{"stacks/*"},
			Services: []starter.Service{{Name: service, Images: []string{object}, Settings: []starter.Setting{{Name: name, Value: value, At: namespace}}, URLs: []string{value}, Reverts: []string{subject},
				Claims: []starter.Claim{{Namespace: namespace, Name: object, Path: value, At: name}}, CronJobs: []starter.CronJob{{Namespace: namespace, Name: object + "-backup", Text: value, At: name}}}},
			Pipelines: starter.Pipelines(".github/workflows/x.yml", []byte(pipeline))})
	})
}
