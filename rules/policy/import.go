package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belaybot/belay/rules/image"
)

// older is upgrade-config.json, as the scripts before belay had it.
type older struct {
	Sources   map[string]string          `json:"github_repo_overrides"`
	Charts    map[string]string          `json:"helm_chart_repo_overrides"`
	Databases map[string]olderDatabase   `json:"db_backed_services"`
	Backups   map[string]json.RawMessage `json:"backup_infrastructure"`
	Always    []string                   `json:"version_jump_always_step"`
	Detect    map[string]string          `json:"auto_detect_rules"`
	Skip      []string                   `json:"skip_image_patterns"`
	Keywords  []string                   `json:"breaking_change_keywords"`
}

type olderDatabase struct {
	Type      string `json:"type"`
	Shared    bool   `json:"shared"`
	CronJob   string `json:"backup_cronjob"`
	Namespace string `json:"backup_namespace"`
	Notes     string `json:"notes"`
}

type olderBackup struct {
	CronJob   string `json:"cronjob_name"`
	Namespace string `json:"namespace"`
}

// corrections are repository names that an older configuration is known to have
// mangled, by image.
var corrections = map[string]string{"docker.io/amruthpillai/reactive-resume": "AmruthPillai/Reactive-Resume"}

// importer writes the new configuration and notes what it leaves behind.
type importer struct {
	out    bytes.Buffer
	report []string
}

// Import turns an upgrade-config.json into belay.yml. report says, line by
// line, what could not be carried over and what was corrected. What the
// built-in tables and defaults already say is left out. It returns an error for
// what is no such file.
func Import(data []byte) (config []byte, report []string, err error) {
	var in older
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&in); err != nil {
		return nil, nil, fmt.Errorf("not an upgrade-config.json: %w", err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, nil, fmt.Errorf("not an upgrade-config.json: %w", err)
	}
	m := &importer{}
	known := []string{"github_repo_overrides", "helm_chart_repo_overrides", "db_backed_services", "backup_infrastructure",
		"version_jump_always_step", "auto_detect_rules", "skip_image_patterns", "breaking_change_keywords"}
	found := false
	for _, k := range sorted(keys) {
		if slices.Contains(known, k) {
			found = true
			continue
		}
		m.note("%s: not known, left out", k)
	}
	if !found {
		return nil, nil, fmt.Errorf("not an upgrade-config.json: none of its keys is there (%s)", strings.Join(known, ", "))
	}
	fmt.Fprintf(&m.out, "# yaml-language-server: $schema=%s\n# Imported from an upgrade-config.json. Built-in values are left out.\n", SchemaID)
	m.skip(in.Skip)
	m.sources(in.Sources)
	m.charts(in.Charts)
	m.risk(in.Always, in.Keywords)
	m.databases(in.Databases, m.backups(in.Backups))
	if len(in.Detect) > 0 {
		m.note("auto_detect_rules: built in, left out; images of registries other than ghcr.io, docker.io, quay.io and lscr.io need an entry in sources")
	}
	if _, err := Parse("belay.yml", m.out.Bytes()); err != nil {
		return nil, nil, fmt.Errorf("the imported configuration would not be right: %w", err)
	}
	return m.out.Bytes(), m.report, nil
}

func (m *importer) note(format string, args ...any) {
	m.report = append(m.report, fmt.Sprintf(format, args...))
}

// quoted writes a string as YAML would.
func quoted(s string) string {
	out, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSpace(string(out))
}

func (m *importer) mapping(name, comment string, entries map[string]string) {
	if len(entries) == 0 {
		return
	}
	fmt.Fprintf(&m.out, "\n# %s\n%s:\n", comment, name)
	for _, k := range sorted(entries) {
		fmt.Fprintf(&m.out, "  %s: %s\n", quoted(k), quoted(entries[k]))
	}
}

func flow(items []string) string {
	var out []string
	for _, s := range items {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func (m *importer) skip(patterns []string) {
	var own []string
	for _, p := range patterns {
		if !slices.Contains(builtinSkip, p) {
			own = append(own, p)
		}
	}
	if len(own) > 0 {
		fmt.Fprintf(&m.out, "\ndispatch:\n  skip: %s\n", flow(own))
	}
}

func (m *importer) sources(in map[string]string) {
	out := map[string]string{}
	for _, name := range sorted(in) {
		repo := in[name]
		ref, err := image.Parse(name)
		if err != nil {
			m.note("github_repo_overrides: %q: %v; left out", name, err)
			continue
		}
		if right, ok := corrections[ref.Name()]; ok && right != repo {
			m.note("github_repo_overrides: %s: %q corrected to %q", name, repo, right)
			repo = right
		}
		switch {
		case !repoForm.MatchString(repo):
			m.note("github_repo_overrides: %s: %q is not owner/repository; left out", name, repo)
		case builtinSources[ref.Name()] == repo:
		default:
			out[ref.Familiar()] = repo
		}
	}
	m.mapping("sources", "GitHub repositories of images that are not found by themselves.", out)
}

func (m *importer) charts(in map[string]string) {
	out := map[string]string{}
	for _, url := range sorted(in) {
		switch repo := in[url]; {
		case !repoForm.MatchString(repo):
			m.note("helm_chart_repo_overrides: %s: %q is not owner/repository; left out", url, repo)
		case builtinCharts[url] == repo:
		default:
			out[url] = repo
		}
	}
	m.mapping("charts", "GitHub repositories of chart repositories.", out)
}

func (m *importer) risk(always, keywords []string) {
	var lower []string
	for _, k := range keywords {
		if k = strings.ToLower(k); !slices.Contains(lower, k) {
			lower = append(lower, k)
		}
	}
	own := !slices.Equal(slices.Sorted(slices.Values(lower)), slices.Sorted(slices.Values(builtinKeywords)))
	if len(always) == 0 && (len(lower) == 0 || !own) {
		return
	}
	m.out.WriteString("\nrisk:\n")
	if len(always) > 0 {
		fmt.Fprintf(&m.out, "  always_step: %s\n", flow(always))
	}
	if len(lower) > 0 && own {
		fmt.Fprintf(&m.out, "  keywords: %s\n", flow(lower))
	}
}

// backups writes the shared ways and returns their names.
func (m *importer) backups(in map[string]json.RawMessage) map[string]bool {
	ways := map[string]bool{}
	for _, name := range sorted(in) {
		var b olderBackup
		var all map[string]json.RawMessage
		if json.Unmarshal(in[name], &b) != nil || json.Unmarshal(in[name], &all) != nil || !objectForm.MatchString(b.Namespace+"/"+b.CronJob) {
			m.note("backup_infrastructure.%s: no cronjob_name and namespace; left out", name)
			continue
		}
		if len(ways) == 0 {
			m.out.WriteString("\nbackups:\n")
		}
		ways[name] = true
		fmt.Fprintf(&m.out, "  %s: { cronjob: %s/%s }\n", quoted(name), b.Namespace, b.CronJob)
		delete(all, "cronjob_name")
		delete(all, "namespace")
		if len(all) > 0 {
			m.note("backup_infrastructure.%s: %s left out: the CronJob knows them", name, strings.Join(sorted(all), ", "))
		}
	}
	return ways
}

func (m *importer) databases(in map[string]olderDatabase, ways map[string]bool) {
	var lines []string
	for _, service := range sorted(in) {
		d := in[service]
		switch {
		case d.CronJob != "" && objectForm.MatchString(d.Namespace+"/"+d.CronJob):
			lines = append(lines, fmt.Sprintf("  %s: { backup: { cronjob: %s/%s } }\n", quoted(service), d.Namespace, d.CronJob))
		case d.Shared && ways[d.Type]:
			lines = append(lines, fmt.Sprintf("  %s: { backup: %s }\n", quoted(service), quoted(d.Type)))
		case d.Shared:
			m.note("db_backed_services.%s: there is no backup for type %q; left out: nothing is backed up before its upgrades", service, d.Type)
			continue
		default:
			m.note("db_backed_services.%s: its own %s has no backup_cronjob; left out: nothing is backed up before its upgrades", service, d.Type)
			continue
		}
		if d.Notes != "" {
			m.note("db_backed_services.%s: note left out: %s", service, d.Notes)
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(&m.out, "\ndatabases:\n%s", strings.Join(lines, ""))
	}
}
