package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/belaybot/belay/rules/policy"
	"github.com/belaybot/belay/rules/version"
)

var update = flag.Bool("update", false, "rewrite golden files and generated documents")

// golden compares with a file, or rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v: make golden writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not current, make golden rewrites it (-file +now):\n%s", name, diff)
	}
}

func TestSchemaIsCurrent(t *testing.T) {
	golden(t, filepath.Join("..", "..", "docs", "belay.schema.json"), policy.Schema())
}

func TestReferenceIsCurrent(t *testing.T) {
	golden(t, filepath.Join("..", "..", "docs", "configuration.md"), policy.Reference())
}

const whole = `
services:    { roots: ["stacks/*"], ignore: [legacy, "stacks/old-*"] }
dispatch:    { statuses: [new], skip: ["me/*"], limit: { upgrades: 3, window: 1d12h, service: 2, services: { immich: 1 } } }
scan:        { every: 6h }
sources:     { vaultwarden/server: acme/fork }
charts:      { https://charts.example.org/: acme/charts }
risk:        { always_step: [authentik], automerge: [safe, unknown], strict: false }
steps:       { default: minor, services: { immich: direct } }
databases:
  linkwarden: { backup: postgresql }
  immich:     { backup: { cronjob: immich/postgresql-backup } }
backups:
  postgresql: { cronjob: dbaas/postgresql-backup, timeout: 7m, expect: "dump complete", restore: { cronjob: dbaas/postgresql-restore } }
apply:       { checks: [ci/woodpecker/push/default], woodpecker: { repository: acme/cluster } }
verify:
  safe: 3m
  extend: 20m
  rollout: 30m
  settle: 1m
  workloads: { linkwarden: [links/Deployment/web, links/statefulset/search.1] }
  http: { retries: 5, urls: { linkwarden: [https://links.example.org] } }
  kuma: { monitors: { linkwarden: My links }, status_page: home, beat: 3m }
  prometheus: { queries: { linkwarden: [{ query: "up", above: 0 }, { query: "errors", below: 0.05, above: -1e3 }] } }
revert:      { automerge: false, on_migration: restore }
schedule:    { timezone: Europe/Sofia, merge: "Mon-Fri 09:00-17:00" }
dashboard:   { issue: false }
`

func TestParse(t *testing.T) {
	p, err := policy.Parse("belay.yml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Default()
	want.Services = policy.Services{Roots: []string{"stacks/*"}, Ignore: []string{"legacy", "stacks/old-*"}}
	want.Dispatch.Statuses = []string{"new"}
	want.Dispatch.Skip = append(want.Dispatch.Skip, "me/*")
	want.Dispatch.Limit = policy.Limit{Upgrades: 3, Window: 36 * time.Hour, Service: 2, Services: map[string]int{"immich": 1}}
	want.Scan.Every = 6 * time.Hour
	want.Sources["docker.io/vaultwarden/server"] = "acme/fork"
	want.Charts["https://charts.example.org/"] = "acme/charts"
	want.Risk.AlwaysStep, want.Risk.Automerge, want.Risk.Strict = []string{"authentik"}, []string{"safe", "unknown"}, false
	want.Steps, want.StepsFor = version.StepsMinor, map[string]version.Steps{"immich": version.StepsDirect}
	want.Backups["postgresql"] = policy.Backup{Kind: policy.BackupCronJob, Target: "dbaas/postgresql-backup", Timeout: 7 * time.Minute, MaxAge: time.Hour,
		Expect: "dump complete", Restore: &policy.Restore{Kind: policy.BackupCronJob, Target: "dbaas/postgresql-restore"}}
	want.Databases["linkwarden"] = policy.Database{Backup: "postgresql"}
	want.Databases["immich"] = policy.Database{Inline: &policy.Backup{Kind: policy.BackupCronJob, Target: "immich/postgresql-backup", Timeout: 5 * time.Minute, MaxAge: time.Hour}}
	want.Apply.Checks, want.Apply.Woodpecker = []string{"ci/woodpecker/push/default"}, &policy.Woodpecker{Repository: "acme/cluster"}
	want.Verify.Safe, want.Verify.HTTP.Retries = 3*time.Minute, 5
	want.Verify.HTTP.URLs["linkwarden"] = []string{"https://links.example.org"}
	want.Verify.Extend, want.Verify.Rollout, want.Verify.Settle = 20*time.Minute, 30*time.Minute, time.Minute
	want.Verify.Workloads["linkwarden"] = []policy.Workload{{Namespace: "links", Kind: "deployment", Name: "web"}, {Namespace: "links", Kind: "statefulset", Name: "search.1"}}
	want.Verify.Kuma = policy.Kuma{Monitors: map[string]string{"linkwarden": "My links"}, StatusPage: "home", Beat: 3 * time.Minute}
	zero, low, high := 0.0, -1000.0, 0.05
	want.Verify.Prometheus.Queries["linkwarden"] = []policy.Query{{Query: "up", Above: &zero}, {Query: "errors", Below: &high, Above: &low}}
	want.Revert = policy.Revert{OnMigration: "restore"}
	want.Schedule = policy.Schedule{Timezone: "Europe/Sofia", Merge: "Mon-Fri 09:00-17:00"}
	want.Dashboard = policy.Dashboard{}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if b, ok := p.BackupFor("linkwarden"); !ok || b.Target != "dbaas/postgresql-backup" {
		t.Errorf("BackupFor(linkwarden) = %v, %v", b, ok)
	}
	if _, ok := p.BackupFor("vaultwarden"); ok {
		t.Error("a service without a database has a backup")
	}
	if !p.Ignored("legacy", "stacks/legacy") || !p.Ignored("x", "stacks/old-x") || p.Ignored("url", "stacks/url") {
		t.Error("services.ignore does not match names and directories")
	}
	if p.StepsOf("immich") != version.StepsDirect || p.StepsOf("url") != version.StepsMinor {
		t.Error("steps are not taken by service")
	}
}

// refused are documents with the place and the words of what is wrong. The
// schema refuses them too unless it cannot express the rule.
var refused = []struct {
	name, in, want string
	schemaTakesIt  bool
}{
	{"an unknown key at the top", "dispach: {}\n", `belay.yml:1:1: unknown key "dispach": did you mean "dispatch"?`, false},
	{"an unknown key below", "dispatch:\n  skp: []\n", `belay.yml:2:3: unknown key "dispatch.skp": did you mean "skip"?`, false},
	{"an unknown key far from any", "apply:\n  xylophone: 1\n", `there are checks, timeout, woodpecker`, false},
	{"a workload without a kind", "verify: { workloads: { x: [links/web] } }\n", `write namespace/kind/name`, false},
	{"a workload that is a pod", "verify: { workloads: { x: [links/pod/web] } }\n", `write namespace/kind/name`, true},
	{"a URL without a scheme", "verify: { http: { urls: { x: [web.example.org] } } }\n", `is not a URL`, false},
	{"a URL of a file", "verify: { http: { urls: { x: [\"file:///etc/passwd\"] } } }\n", `is not a URL`, false},
	{"a status page by its address", "verify: { kuma: { status_page: https://status.example.org/status/home } }\n", `is not the slug`, false},
	{"a query without a bound", "verify:\n  prometheus: { queries: { x: [{ query: up }] } }\n", `verify.prometheus.queries.x[0]: a bound is missing`, false},
	{"a bound without a query", "verify:\n  prometheus: { queries: { x: [{ below: 1 }] } }\n", `verify.prometheus.queries.x[0]: query is missing`, false},
	{"a bound that is no number", "verify:\n  prometheus: { queries: { x: [{ query: up, below: few }] } }\n", `"few" is not a number`, false},
	{"looks that are far apart", "verify:\n  interval: 5m\n", `belay.yml:2:13: verify.interval: 5m0s is longer than 1m`, true},
	{"a Woodpecker repository without its owner", "apply: { woodpecker: { repository: home-ops } }\n", `write owner/repository`, false},
	{"a key that stands twice", "steps: every\nsteps: minor\n", `belay.yml:2:1: key "steps" stands twice`, true},
	{"a text where a list belongs", "services: { roots: stacks/* }\n", `services.roots: a list is expected, such as [stacks/*]`, false},
	{"a list where a key belongs", "services: [stacks]\n", `services: keys are expected here: there are roots, ignore`, false},
	{"a backup's name where its key belongs", "databases: { linkwarden: postgresql }\n", `databases.linkwarden: keys are expected here: write { backup: postgresql }`, false},
	{"a text where free keys belong", "databases: postgresql\n", `databases: keys are expected here: write { NAME: … }`, false},
	{"a list of windows", "schedule: { merge: [a, b] }\n", `schedule.merge: a schedule is expected, such as "Mon-Fri 09:00-17:00, Sat 10:00-12:00": one text, with commas between the windows`, false},
	{"a list where a number belongs", "dispatch: { limit: { upgrades: [1] } }\n", `dispatch.limit.upgrades: an integer is expected, such as 3`, false},
	{"a bad duration", "apply: { timeout: soon }\n", `"soon" is not a duration: write 30s, 15m, 6h or 2d`, false},
	{"a negative duration", "apply: { timeout: -5m }\n", `not a duration`, false},
	{"a scan that the registries would not like", "scan:\n  every: 30s\n", `belay.yml:2:10: scan.every: "30s" is too often for the registries: 10m at least`, true},
	{"a service's limit of none", "dispatch: { limit: { services: { immich: 0 } } }\n", `dispatch.limit.services.immich: "0" is not a whole number above 0`, false},
	{"an empty window", "schedule:\n  merge: \"Mon 09:00-09:00\"\n", `belay.yml:2:10: schedule.merge: "Mon 09:00-09:00" is empty, since it ends when it begins`, true},
	{"no window at all", "schedule:\n  open: \"\"\n", `belay.yml:2:9: schedule.open: is empty: leave the key out for always`, false},
	{"a bad number", "dispatch: { limit: { upgrades: 0 } }\n", `"0" is not a whole number above 0`, false},
	{"a bad truth", "risk: { strict: maybe }\n", `"maybe" is neither true nor false`, false},
	{"a bad choice", "steps: often\n", `"often" is none of every, minor, major, direct`, false},
	{"caution merged by itself", "risk: { automerge: [caution] }\n", `"caution" is none of safe, unknown`, false},
	{"a bad regular expression", "backups: { x: { cronjob: a/b, expect: \"(\" } }\n", `is not a regular expression`, true},
	{"a bad time zone", "schedule: { timezone: Mars/Olympus }\n", `is not a time zone`, true},
	{"a bad window", "schedule: { merge: \"Mon-Fri 9-17\" }\n", `is not a window`, true},
	{"a repository that is a URL", "sources: { nginx: \"https://github.com/nginx/nginx\" }\n", `write owner/repository`, false},
	{"an image that is none", "sources: { \":1\": a/b }\n", `no name`, true},
	{"a CronJob without a namespace", "backups: { x: { cronjob: backup } }\n", `write namespace/name`, false},
	{"a backup without a kind", "backups:\n  x: { timeout: 5m }\n", `belay.yml:2:6: backups.x: one of cronjob`, false},
	{"a backup of two kinds", "backups: { x: { cronjob: a/b, none: why } }\n", `cronjob and none exclude each other`, false},
	{"a restore of two kinds", "backups: { x: { cronjob: a/b, restore: { cronjob: a/c, job: x.yaml } } }\n", `backups.x.restore: one of cronjob, volumesnapshot and job`, false},
	{"a restore of no kind", "backups: { x: { cronjob: a/b, restore: {} } }\n", `backups.x.restore: one of cronjob, volumesnapshot and job`, false},
	{"a snapshot put back that is not taken", "backups: { x: { cronjob: a/b, restore: { volumesnapshot: a/data } } }\n", `backups.x.restore.volumesnapshot: the backup is no volumesnapshot`, true},
	{"a snapshot of another claim put back", "backups: { x: { volumesnapshot: a/data, restore: { volumesnapshot: a/date } } }\n", `backups.x.restore.volumesnapshot: "a/date" is not the claim of the backup, "a/data"`, true},
	{"a database whose backup is not there", "databases:\n  x: { backup: postgres }\nbackups: { postgresql: { cronjob: a/b } }\n", `belay.yml:2:16: databases.x.backup: there is no "postgres" in backups: there are postgresql`, true},
	{"a database without backup", "databases:\n  x: {}\n", `backup is missing`, true},
	{"broken YAML", "a: [\n", `belay.yml:`, true},
	{"a tab", "services:\n\troots: []\n", `indent with spaces, not tabs`, true},
	{"two documents", "steps: every\n---\nsteps: minor\n", `more than one YAML document`, true},
	{"a list at the top", "- a\n", `keys are expected here`, false},
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range refused {
		t.Run(tc.name, func(t *testing.T) {
			_, err := policy.Parse("belay.yml", []byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v does not say %q", err, tc.want)
			}
		})
	}
}

func TestParseReportsEveryProblem(t *testing.T) {
	_, err := policy.Parse("belay.yml", []byte("stepz: every\napply: { timeout: x }\nrisk: { strict: 1 }\n"))
	for _, want := range []string{"belay.yml:1:1", "belay.yml:2:19", "belay.yml:3:17"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}

func TestEmptyIsDefault(t *testing.T) {
	for _, in := range []string{"", "\n", "# only a comment\n", "services:\n", "dispatch:\n  skip:\n"} {
		p, err := policy.Parse("belay.yml", []byte(in))
		if diff := cmp.Diff(policy.Default(), p); err != nil || diff != "" {
			t.Errorf("%q: %v %s", in, err, diff)
		}
	}
}

func TestSchemaAndParseAgree(t *testing.T) {
	c := jsonschema.NewCompiler()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(policy.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("belay.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("belay.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(in string) error {
		var v any
		if err := yaml.Unmarshal([]byte(in), &v); err != nil {
			return err
		}
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		inst, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return err
		}
		return schema.Validate(inst)
	}
	for _, in := range []string{whole, "{}", "steps: direct", "services:\n"} {
		if err := validate(in); err != nil {
			t.Errorf("the schema refuses what Parse takes: %q: %v", in, err)
		}
	}
	for _, tc := range refused {
		if !tc.schemaTakesIt && validate(tc.in) == nil {
			t.Errorf("%s: the schema takes what Parse refuses: %q", tc.name, tc.in)
		}
	}
}

func TestAliasBombEnds(t *testing.T) {
	in := "services: { roots: &a [x,x,x,x,x,x,x,x,x] }\ndispatch: { statuses: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a], skip: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b] }\n"
	if _, err := policy.Parse("belay.yml", []byte(in)); err == nil {
		t.Error("lists of lists accepted")
	}
}

const olderConfig = `{
 "github_repo_overrides": {"vaultwarden/server": "dani-garcia/vaultwarden", "acme/web": "acme/website", "amruthpillai/reactive-resume": "AmruthPillworking/Reactive-Resume", "bad": "nowhere"},
 "helm_chart_repo_overrides": {"https://charts.goauthentik.io/": "goauthentik/authentik", "oci://registry.example:5000/charts": "acme/charts"},
 "db_backed_services": {
  "linkwarden": {"type": "postgresql", "db_name": "linkwarden", "shared": true},
  "immich": {"type": "postgresql", "dedicated": true, "backup_cronjob": "postgresql-backup", "backup_namespace": "immich"},
  "authentik": {"type": "postgresql", "dedicated": true, "notes": "Uses PgBouncer"},
  "grafana": {"type": "mysql", "shared": true, "notes": "dashboards"},
  "odd": {"type": "oracle", "shared": true}},
 "backup_infrastructure": {"postgresql": {"cronjob_name": "postgresql-backup", "namespace": "dbaas", "host": "pg.dbaas"}, "mysql": {"cronjob_name": "mysql-backup", "namespace": "dbaas"}, "broken": {}},
 "version_jump_always_step": ["authentik"],
 "auto_detect_rules": {"ghcr.io/{org}/{repo}": "Use org/repo"},
 "skip_image_patterns": ["me/*", "*postgres*"],
 "breaking_change_keywords": ["breaking", "BREAKING", "drops support"],
 "more": 1}`

func TestImportGolden(t *testing.T) {
	out, report, err := policy.Import([]byte(olderConfig))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/import.golden", []byte(string(out)+"\nREPORT\n"+strings.Join(report, "\n")+"\n"))
}

func TestImportRefuses(t *testing.T) {
	for _, in := range []string{"", "hello", "[]", "{}", `{"services": {}}`} {
		if _, _, err := policy.Import([]byte(in)); err == nil {
			t.Errorf("%q imported", in)
		}
	}
}

func TestWindows(t *testing.T) {
	sofia, err := time.LoadLocation("Europe/Sofia")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, sofia)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tc := range []struct{ name, windows, now, next string }{
		{"no window is always", "", "2026-11-24 03:00", "2026-11-24 03:00"},
		{"inside", "Mon-Fri 09:00-17:00", "2026-11-24 09:00", "2026-11-24 09:00"},
		{"before", "Mon-Fri 09:00-17:00", "2026-11-24 08:59", "2026-11-24 09:00"},
		{"the end is outside", "Mon-Fri 09:00-17:00", "2026-11-24 17:00", "2026-11-25 09:00"},
		{"over the weekend", "Mon-Fri 09:00-17:00", "2026-11-27 18:00", "2026-11-30 09:00"},
		{"the earlier of two", "Sat 10:00-12:00, Wed 08:00-09:00", "2026-11-24 18:00", "2026-11-25 08:00"},
		{"over midnight", "Fri 22:00-06:00", "2026-11-28 05:59", "2026-11-28 05:59"},
		{"over midnight, over", "Fri 22:00-06:00", "2026-11-28 06:00", "2026-12-04 22:00"},
		{"a range over the week's end", "Sat-Mon", "2026-11-24 12:00", "2026-11-28 00:00"},
		{"every day", "02:00-04:00", "2026-11-24 12:00", "2026-11-25 02:00"},
		{"spring skips the beginning", "Sun 03:30-06:00", "2026-03-29 02:00", "2026-03-29 04:00"},
		{"autumn has the hour twice", "Sun 03:30-06:00", "2026-10-25 02:00", "2026-10-25 03:30"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ws, err := policy.ParseWindows(tc.windows)
			if err != nil {
				t.Fatal(err)
			}
			next := ws.Next(at(tc.now))
			if got := next.Format("2006-01-02 15:04"); got != tc.next {
				t.Errorf("from %s the next is %s, want %s", tc.now, got, tc.next)
			}
			if !ws.Contains(next) {
				t.Errorf("%s is not inside", next)
			}
		})
	}
	for _, bad := range []string{"Mon 9-17", "Foo 09:00-17:00", "09:00", "09:00-25:00", "Mon Tue 09:00-10:00", "09:00-10:00 Mon", "09:00-09:00", "a b c", ",", ";"} {
		if _, err := policy.ParseWindows(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	for _, tc := range refused {
		f.Add(tc.in)
	}
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, in string) {
		p, err := policy.Parse("belay.yml", []byte(in))
		if err == nil && (p.Dispatch.Limit.Window <= 0 || p.Verify.Interval <= 0 || p.Dispatch.Limit.Upgrades < 1) {
			t.Errorf("%q accepted with a zero", in)
		}
	})
}

func FuzzImport(f *testing.F) {
	f.Add(olderConfig)
	f.Add(`{"db_backed_services": {"a b": {"shared": true}}}`)
	f.Fuzz(func(t *testing.T, in string) {
		out, _, err := policy.Import([]byte(in))
		if err != nil {
			return
		}
		if _, err := policy.Parse("belay.yml", out); err != nil {
			t.Errorf("imported configuration is refused: %v\n%s", err, out)
		}
	})
}

func FuzzWindows(f *testing.F) {
	f.Add("Mon-Fri 09:00-17:00, Sat 22:00-06:00", int64(1780000000), "Europe/Sofia")
	f.Add("Sun 03:30-03:40", int64(1774738800), "Europe/Sofia")
	f.Add("00:00-00:30", int64(1774738800), "Asia/Beirut")
	f.Fuzz(func(t *testing.T, in string, unix int64, name string) {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return
		}
		ws, err := policy.ParseWindows(in)
		if err != nil || len(ws) > 20 || unix < 0 || unix > 4e9 {
			return
		}
		now := time.Unix(unix, 0).In(zone)
		if next := ws.Next(now); !next.IsZero() && next.Before(now) || !ws.Contains(next) {
			t.Errorf("%q from %s: next is %s", in, now, next)
		}
	})
}

func TestBackupsOf(t *testing.T) {
	p, err := policy.Parse("belay.yml", []byte(`
backups:
  shared: { cronjob: dbaas/all, max_age: 2h, restore: { cronjob: dbaas/restore } }
databases:
  web: { backup: shared }
  blog: { backup: shared }
  wiki: { backup: { cronjob: dbaas/all, max_age: 1h } }
  photos: { backup: { velero: velero/photos } }
  static: { backup: { none: "holds nothing" } }
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name     string
		services []string
		want     string
	}{
		{"none is configured", []string{"nobody"}, ""},
		{"one", []string{"web"}, "web: cronjob dbaas/all restore"},
		{"that of one that moves along", []string{"nobody", "web"}, "web: cronjob dbaas/all restore"},
		{"one backup for two", []string{"blog", "web"}, "blog: cronjob dbaas/all restore"},
		{"of which one has no way back", []string{"blog", "wiki"}, "blog: cronjob dbaas/all"},
		{"none with a reason", []string{"static"}, "static: none holds nothing"},
		{"none beside one", []string{"static", "web"}, "web: cronjob dbaas/all restore"},
		{"two different ones", []string{"photos", "static", "web"}, "photos: velero velero/photos, web: cronjob dbaas/all restore"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			list := p.BackupsOf(tc.services)
			for _, x := range list {
				one := fmt.Sprintf("%s: %s %s", x.Service, x.Backup.Kind, x.Backup.Target)
				if x.Backup.Restore != nil {
					one += " restore"
				}
				got = append(got, one)
			}
			if strings.Join(got, ", ") != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if why := policy.Differ(list); (why != "") != (len(list) > 1) {
				t.Errorf("%q of %d", why, len(list))
			}
		})
	}
	if list := p.BackupsOf([]string{"blog", "wiki"}); list[0].Backup.MaxAge != time.Hour {
		t.Errorf("the stricter age holds: %s", list[0].Backup.MaxAge)
	}
}
