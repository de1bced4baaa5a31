package planner

import "testing"

func TestManyChartsThatCannotBeAskedAreNotAllNamed(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		texts      []string
	}{
		{"one", "a", []string{"a"}},
		{"the same one twice", "a", []string{"a", "a"}},
		{"three", "a; b; and 1 more", []string{"b", "a", "c", "b"}},
	} {
		if got := some(tc.texts); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
