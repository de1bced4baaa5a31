package cluster

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/belaybot/belay/rules/policy"
)

func TestObjectNames(t *testing.T) {
	long := strings.Repeat("postgresql-backup.", 8)
	for _, test := range []struct {
		name, base, key string
		attempt         int
		want            string // "": only its form counts
	}{
		{"a short name keeps its base", "dump", "key", 1, "dump-" + hash("key")},
		{"a further attempt has its number", "dump", "key", 2, "dump-" + hash("key") + "-2"},
		{"a long base is cut", long, "key", 1, ""},
		{"a long base of a further attempt is cut", long, "key", 50, ""},
		{"a base that is cut at a dot", strings.Repeat("a", 51) + ".b", "key", 1, ""},
	} {
		got := objectName(test.base, test.key, test.attempt)
		if test.want != "" && got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
		if faults := validation.IsDNS1123Subdomain(got); len(faults) > 0 || len(got) > longestName {
			t.Errorf("%s: %s is no name: %v", test.name, got, faults)
		}
		if got != objectName(test.base, test.key, test.attempt) || got == objectName(test.base, test.key+"'", test.attempt) {
			t.Errorf("%s: %s does not follow from the key", test.name, got)
		}
	}
}

func TestLabelValues(t *testing.T) {
	for text, want := range map[string]string{
		"linkwarden": "linkwarden", "apps/url": "apps-url", "": "", "-x-": "x", "ä": "", strings.Repeat("a", 62) + "/b": strings.Repeat("a", 62),
	} {
		got := labelValue(text)
		if got != want || len(validation.IsValidLabelValue(got)) > 0 {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "tab\there": "tab here", "\x1b[31mred\x1b[0m": "[31mred[0m", "a\xffb": "ab", "12345678901": "1234567890…", "123456789ä1": "123456789…",
	} {
		if got := cut(text, 10); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPatternsSeeEveryLine(t *testing.T) {
	for _, test := range []struct {
		name, log      string
		expect, reject string
		found          bool
		rejected       string
	}{
		{name: "the last line without its end", log: "a\ndump complete", expect: "complete$", found: true},
		{name: "CRLF", log: "dump complete\r\n", expect: "complete$", found: true},
		{name: "a line longer than the buffer", log: strings.Repeat("x", 200<<10) + "needle\n", expect: "needle", found: true},
		{name: "the first rejected line is kept", log: "error: one\nerror: two\n", reject: "error", rejected: "error: one"},
		{name: "nothing", log: "", expect: "."},
	} {
		p, err := compile(policy.Backup{Expect: test.expect, Reject: test.reject})
		if err != nil {
			t.Fatal(err)
		}
		read, err := p.lines(strings.NewReader(test.log))
		if err != nil || read != len(test.log) || p.found != test.found || p.rejected != test.rejected {
			t.Errorf("%s: read %d, %v, found %v, rejected %q", test.name, read, err, p.found, p.rejected)
		}
	}
}

// FuzzManifest holds that whatever is in the repository is either a Job with a
// namespace and a name or refused in words.
func FuzzManifest(f *testing.F) {
	f.Add("apiVersion: batch/v1\nkind: Job\nmetadata: { name: dump, namespace: dbaas }\nspec: { template: { spec: { containers: [] } } }\n")
	f.Add("---\n# nothing\n---\n{\"apiVersion\": \"batch/v1\", \"kind\": \"Job\"}")
	f.Add("apiVersion: batch/v1\nkind: CronJob\n")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, manifest string) {
		job, err := parseJob("backups/dump.yaml", []byte(manifest))
		var refused *refusal
		switch {
		case err == nil && (job.Namespace == "" || job.Name == ""):
			t.Errorf("a Job without a place: %+v", job)
		case err != nil && (!errors.As(err, &refused) || !utf8.ValidString(err.Error())):
			t.Errorf("not refused in words: %v", err)
		}
	})
}
