package access_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/access"
)

func full() map[string]string {
	out := map[string]string{}
	for _, p := range access.Permissions() {
		out[p.Key] = p.Level
	}
	return out
}

func with(key, level string) map[string]string {
	out := maps.Clone(full())
	out[key] = level
	if level == "" {
		delete(out, key)
	}
	return out
}

func TestLacking(t *testing.T) {
	for _, tc := range []struct {
		name     string
		granted  map[string]string
		lacking  string
		needless []string
	}{
		{"exactly what is needed", full(), "", nil},
		{"read where write is needed", with("contents", "read"), "Contents: read and write", nil},
		{"one is missing", with("checks", ""), "Checks: read and write", nil},
		{"more than is needed", with("statuses", "write"), "", []string{"statuses: write"}},
		{"something else", with("secrets", "read"), "", []string{"secrets: read"}},
		{"an unknown level is none", with("issues", "some"), "Issues: read and write", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, p := range access.Lacking(tc.granted) {
				got = append(got, p.String())
			}
			if strings.Join(got, ", ") != tc.lacking {
				t.Errorf("lacking %q, want %q", got, tc.lacking)
			}
			if diff := cmp.Diff(tc.needless, access.Needless(tc.granted)); diff != "" {
				t.Errorf("needless (-want +got):\n%s", diff)
			}
		})
	}
	if got := access.Unheard(nil); len(got) != len(access.Events()) {
		t.Errorf("unheard: %v", got)
	}
	if got := access.Unheard(access.Events()); len(got) != 0 {
		t.Errorf("unheard: %v", got)
	}
}

// TestDocsCurrent holds docs/operate.md to the list.
func TestDocsCurrent(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range access.Permissions() {
		if row := "| " + p.String() + " | " + p.For + " |"; !strings.Contains(string(data), row) {
			t.Errorf("docs/operate.md lacks the row\n%s", row)
		}
	}
	var events []string
	for _, e := range access.Events() {
		events = append(events, "`"+e+"`")
	}
	if text := strings.Join(events, ", "); !strings.Contains(strings.ReplaceAll(string(data), "\n", " "), text) {
		t.Errorf("docs/operate.md does not list the events as\n%s", text)
	}
}
