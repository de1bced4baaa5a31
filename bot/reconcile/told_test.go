package reconcile

import (
	"errors"
	"strings"
	"testing"
)

func TestToldIsForPeople(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"a plain error stays", "charts.example.org/index.yaml answers 503", "charts.example.org/index.yaml answers 503"},
		{"lines become one", "dial tcp:\n\t refused", "dial tcp: refused"},
		{"a password goes", `Get "https://ann:hunter2@charts.example.org/index.yaml": EOF`, `Get "https://charts.example.org/index.yaml": EOF`},
		{"one with a slash too", "https://ann:hun/ter2@charts.example.org: EOF", "https://charts.example.org: EOF"},
		{"a token as the user", "https://hunter2@github.com/acme/web.git: not found", "https://github.com/acme/web.git: not found"},
		{"a query", "https://cdn.example.org/a.tgz?sig=hunter2&x=1 answers 500", "https://cdn.example.org/a.tgz answers 500"},
		{"an address without secrets stays", "see https://charts.example.org/a, and oci://example.org/b", "see https://charts.example.org/a, and oci://example.org/b"},
		{"it is not endless", strings.Repeat("x", 700), strings.Repeat("x", 600) + "…"},
	} {
		if got := told(errors.New(tc.text)); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
