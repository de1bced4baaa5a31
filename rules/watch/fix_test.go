package watch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/watch"
)

func TestDoubleMemory(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		ok       bool
	}{
		{"1Gi", "2Gi", true}, {"512Mi", "1Gi", true}, {"768Mi", "1536Mi", true}, {"1500M", "3G", true}, {"250M", "500M", true},
		{"1.5Gi", "3Gi", true}, {"0.75Gi", "1.5Gi", true}, {"500k", "1M", true}, {"1073741824", "2147483648", true}, {" 1Gi ", "2Gi", true},
		{"512Ei", "1024Ei", true},
		{"", "", false}, {"500m", "", false}, {"1e9", "", false}, {"-1Gi", "", false}, {"lots", "", false}, {"0", "", false}, {"1GiB", "", false}, {"Gi", "", false},
	} {
		if got, ok := watch.DoubleMemory(tc.in); got != tc.want || ok != tc.ok {
			t.Errorf("DoubleMemory(%q) = %q, %v; want %q, %v", tc.in, got, ok, tc.want, tc.ok)
		}
	}
	if !watch.SameMemory("1Gi", "1024Mi") || watch.SameMemory("1Gi", "1G") || watch.SameMemory("x", "x") {
		t.Error("SameMemory compares amounts, not spellings")
	}
}

func FuzzDoubleMemory(f *testing.F) {
	for _, s := range []string{"1Gi", "0.000000001k", "999999999999999999Ei", "1.5", "1..5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, ok := watch.DoubleMemory(s)
		if !ok {
			return
		}
		if watch.SameMemory(once, s) {
			t.Errorf("%q doubled is %q", s, once)
		}
	})
}

func TestMissing(t *testing.T) {
	notes := []string{"SECRET_KEY_BASE", "TRUSTED_PROXIES", "DB_HOST"}
	for _, tc := range []struct {
		name, log string
		want      []string
	}{
		{"a sentence that asks for it", "boot\nError: SECRET_KEY_BASE is required in production\n", []string{"SECRET_KEY_BASE"}},
		{"a Python traceback", "Traceback\n  os.environ['DB_HOST']\nKeyError: 'DB_HOST'", []string{"DB_HOST"}},
		{"two of them", "missing environment variables: DB_HOST, TRUSTED_PROXIES", []string{"DB_HOST", "TRUSTED_PROXIES"}},
		{"one that the notes do not name", "REDIS_URL must be set", nil},
		{"one that is only mentioned", "using DB_HOST=pg", nil},
		{"a longer name", "OLD_DB_HOST is not set", nil},
		{"nothing", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, watch.Missing(tc.log, notes)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
