package version_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belaybot/belay/rules/version"
)

func parse(t testing.TB, s string) version.Tag {
	t.Helper()
	tag, err := version.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func TestParseRefusesWhatIsNoVersion(t *testing.T) {
	for _, s := range []string{"", "latest", "stable", "edge", "nightly", "main", "dev", "latest-cuda", "main-slim", "3fa9c1d", "sha-1a2b3c4",
		"main-3fa9c1d", "pr-12", "alpine", "v", "-", "...", "1.2.3x9y", strings.Repeat("1.", 500)} {
		if tag, err := version.Parse(s); !errors.Is(err, version.ErrNotVersion) {
			t.Errorf("Parse(%q) = %#v, %v; want ErrNotVersion", s, tag, err)
		}
	}
}

func TestFloating(t *testing.T) {
	for tag, want := range map[string]bool{
		"": true, "latest": true, "stable": true, "edge": true, "nightly": true, "main": true, "dev": true, "Latest": true,
		"latest-cuda": true, "stable-alpine": true, "main-3fa9c1d": true,
		"1.2.3": false, "stable-1.2.3": false, "stable-v2": false, "bookworm-1": false, "v1": false, "acme": false,
	} {
		if got := version.Floating(tag); got != want {
			t.Errorf("Floating(%q) = %v, want %v", tag, got, want)
		}
	}
}

func TestFollows(t *testing.T) {
	for _, tc := range []struct {
		name, pin, candidate, why string // why "": follows
	}{
		{"the next patch", "1.35.4", "1.35.8", ""},
		{"a calendar version", "2026.2.2", "2026.5.0", ""},
		{"four components", "1.2.3.4", "1.2.3.5", ""},
		{"more components than the pin", "1.2", "1.2.1", ""},
		{"fewer components than the pin", "1.2.3", "1.3", "fewer components"},
		{"a v where the pin has one", "v1.2", "v1.3", ""},
		{"no v where the pin has one", "v1.2", "1.3", `nothing before the number, where v1.2 has "v"`},
		{"a v where the pin has none", "1.2", "v1.3", `"v" before the number, where 1.2 has nothing`},
		{"-alpine stays on -alpine", "1.27-alpine", "1.28-alpine", ""},
		{"-alpine pin ignores debian tag", "1.27-alpine", "1.28", "nothing after it"},
		{"a plain pin ignores -alpine", "1.27", "1.28-alpine", `"-alpine" after it`},
		{"another base image", "3.20-alpine", "3.20-bookworm", `"-bookworm" after it`},
		{"a newer alpine below", "1.27-alpine3.20", "1.27-alpine3.21", ""},
		{"a newer debian below", "1.27-debian-12-r3", "1.27-debian-13-r0", ""},
		{"alpine without its version is another family", "1.27-alpine3.20", "1.28-alpine", "after it"},
		{"another driver version", "1.0-cuda12", "1.1-cuda13", "after it"},
		{"a build suffix", "4.6.3-r1", "4.10.0-r1", ""},
		{"no build suffix where the pin has one", "4.6.3-r1", "4.10.0", "nothing as build"},
		{"another kind of build suffix", "10.9-ls3", "10.10-r1", `"-r1" as build`},
		{"a pre-release where the pin is none", "1.2.3", "1.3.0-rc.1", "pre-release"},
		{"a release after a pre-release", "1.3.0-rc.1", "1.3.0", ""},
		{"the next pre-release", "1.3.0-rc.1", "1.3.0-rc.2", ""},
		{"a date where the pin is a number", "15", "20240102", "one is a date"},
		{"MinIO's dates", "RELEASE.2024-01-02T03-04-05Z", "RELEASE.2024-02-02T03-04-05Z", ""},
		{"a k3s build", "v1.33.1_k3s1", "v1.33.2_k3s1", ""},
		{"a commit between", "v1.2.3-5-g3fa9c1d", "v1.2.3-6-gaa9c1de", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := parse(t, tc.pin).Follows(parse(t, tc.candidate))
			switch {
			case tc.why == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.why != "" && (!errors.Is(err, version.ErrIncomparable) || !strings.Contains(err.Error(), tc.why)):
				t.Errorf("error %v does not say %q", err, tc.why)
			}
		})
	}
}

func TestCompareOrders(t *testing.T) {
	for _, row := range [][]string{
		{"0.9.9", "0.10.0", "1.0.0", "1.0.1", "1.10.0"},
		{"v2.9.1", "v2.9.2", "v2.10.0", "v2.14.0"},
		{"4.6.3-r1", "4.6.3-r2", "4.6.3-r10", "4.10.0-r0"},
		{"10.9.11-ls9", "10.9.11-ls37", "10.9.11-ls123"},
		{"1.0.0-dev", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta", "1.0.0-rc.1", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0"},
		{"2025.12.1", "2026.2.0", "2026.2.2", "2026.10.0"},
		{"1.27-alpine3.9", "1.27-alpine3.20", "1.28-alpine3.20"},
		{"1.2.3-0", "1.2.3-1", "1.2.3-12"},
		{"RELEASE.2023-12-31T03-04-05Z", "RELEASE.2024-01-02T03-04-05Z"},
		{"20231231", "20240102"},
		{"1.2", "1.2.1", "1.3"},
		{"99999999999999999998.0", "99999999999999999999.0", "100000000000000000000.0"},
	} {
		for i, a := range row {
			for j, b := range row {
				got, err := version.Compare(parse(t, a), parse(t, b))
				want := min(max(i-j, -1), 1)
				if err != nil || got != want {
					t.Errorf("Compare(%s, %s) = %d, %v; want %d", a, b, got, err, want)
				}
			}
		}
	}
	if _, err := version.Compare(parse(t, "3.20-alpine"), parse(t, "3.20-bookworm")); !errors.Is(err, version.ErrIncomparable) {
		t.Errorf("families compared: %v", err)
	}
}

func TestNewer(t *testing.T) {
	for _, tc := range []struct {
		name, a, b string
		want       bool
	}{
		{"a higher release", "2.0.1", "2.0.0", true},
		{"a lower one", "1.9.9", "2.0.0", false},
		{"the same one", "2.0.0", "2.0.0", false},
		{"one that is written otherwise cannot be compared", "v2.0.0", "2.0.0", true},
		{"the same word", "stable", "stable", false},
		{"another word", "stable", "2.0.0", true},
		{"another family of suffixes cannot be compared", "1.0.0-alpine", "2.0.0", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := version.Newer(tc.a, tc.b); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestKeyIsTheSameForEverySpelling(t *testing.T) {
	for _, row := range [][]string{
		{"1.2", "v1.2", "v1.2.0", "server/v1.2", "chart-1.2.0", "release-1.2", "@acme/web@1.2", "n8n@1.2.0", "1.2-alpine", "01.02"},
		{"1.2-rc.1", "v1.2.0-rc1", "1.2rc1"},
	} {
		for _, s := range row {
			if got := parse(t, s).Key(); got != row[0] {
				t.Errorf("Key of %q = %q, want %q", s, got, row[0])
			}
		}
	}
}

func TestComponent(t *testing.T) {
	for tag, want := range map[string]string{
		"v1.2": "", "1.2": "", "release-1.2": "", "version-v1.2": "", "server/v1.2": "server", "chart-1.2": "chart",
		"@acme/web@1.2": "acme/web", "oauth2-proxy-v7.1": "oauth2-proxy",
	} {
		if got := parse(t, tag).Component(); got != want {
			t.Errorf("Component of %q = %q, want %q", tag, got, want)
		}
	}
}

func TestBumpBetween(t *testing.T) {
	for _, tc := range []struct {
		from, to  string
		zeroMajor bool
		want      version.Bump
	}{
		{"4.3.4", "5.0.2", true, version.BumpMajor},
		{"v2.9.1", "v2.14.0", true, version.BumpMinor},
		{"v2.7.4", "v2.7.5", true, version.BumpPatch},
		{"1.2.3.4", "1.2.3.5", true, version.BumpPatch},
		{"0.37.1", "0.38.0", true, version.BumpMajor},
		{"0.37.1", "0.38.0", false, version.BumpMinor},
		{"0.37.1", "0.37.2", true, version.BumpPatch},
		{"0.37.1", "1.6.1", false, version.BumpMajor},
		{"4.6.3-r1", "4.6.3-r2", true, version.BumpBuild},
		{"1.27-alpine3.20", "1.27-alpine3.21", true, version.BumpBuild},
		{"1.3.0-rc.1", "1.3.0", true, version.BumpPatch},
		{"20240102", "20240115", true, version.BumpPatch},
		{"20240102", "20250102", true, version.BumpMajor},
		{"1.2", "1.2.0", true, version.BumpNone},
		{"1.2", "1.2.1", true, version.BumpPatch},
		{"1.35.4", "1.35.4", true, version.BumpNone},
	} {
		if got := version.BumpBetween(parse(t, tc.from), parse(t, tc.to), tc.zeroMajor); got != tc.want {
			t.Errorf("%s → %s (zero_major %v) = %s, want %s", tc.from, tc.to, tc.zeroMajor, got, tc.want)
		}
	}
}

func TestRestyle(t *testing.T) {
	for _, tc := range []struct{ name, pin, release, want string }{
		{"the v goes", "2.9.1", "v2.10.0", "2.10.0"},
		{"a v comes", "v2.9.1", "2.10.0", "v2.10.0"},
		{"a component goes", "v1.130.0", "server/v1.131.0", "v1.131.0"},
		{"the suffix comes", "1.2-alpine", "v1.3", "1.3-alpine"},
		{"the pre-release stays", "1.2.0-rc.1", "v1.2.0-rc.2", "1.2.0-rc.2"},
		{"the pre-release comes before the suffix", "1.2.0-rc.1-alpine", "v1.2.0-rc.2", "1.2.0-rc.2-alpine"},
		{"a build number is not known", "10.9-ls3", "v10.10", ""},
		{"a date is not known", "RELEASE.2024-01-02T03-04-05Z", "v1.2", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parse(t, tc.pin).Restyle(parse(t, tc.release))
			if tc.want == "" {
				if !errors.Is(err, version.ErrIncomparable) {
					t.Errorf("got %v, %v; want ErrIncomparable", got, err)
				}
				return
			}
			if err != nil || got.String() != tc.want {
				t.Fatalf("got %v, %v; want %s", got, err, tc.want)
			}
			if parse(t, got.String()).Key() != got.Key() {
				t.Errorf("%s reads as another version than it was made of", got)
			}
		})
	}
}

func TestLadder(t *testing.T) {
	released := []string{"2.8.0", "2.9.1", "v2.9.2", "2.9.3", "2.10.0-rc.1", "2.10.0", "2.10.1", "2.10.1", "3.0.0", "3.1.0", "4.0.0", "5.0.0"}
	for _, tc := range []struct {
		name, from, to string
		steps          version.Steps
		want           []string
	}{
		{"every release", "2.9.1", "4.0.0", version.StepsEvery, []string{"v2.9.2", "2.9.3", "2.10.0", "2.10.1", "3.0.0", "3.1.0", "4.0.0"}},
		{"the last patch of every minor", "2.9.1", "4.0.0", version.StepsMinor, []string{"2.9.3", "2.10.1", "3.0.0", "3.1.0", "4.0.0"}},
		{"the last of every major", "2.9.1", "4.0.0", version.StepsMajor, []string{"2.10.1", "3.1.0", "4.0.0"}},
		{"one hop", "2.9.1", "4.0.0", version.StepsDirect, []string{"4.0.0"}},
		{"a target that is not among the releases", "2.9.1", "2.10.5", version.StepsMinor, []string{"2.9.3", "2.10.5"}},
		{"a pre-release as target", "2.9.3", "2.10.0-rc.2", version.StepsEvery, []string{"2.10.0-rc.1", "2.10.0-rc.2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tags []version.Tag
			for _, s := range released {
				tags = append(tags, parse(t, s))
			}
			var got []string
			for _, s := range version.Ladder(parse(t, tc.from), parse(t, tc.to), tags, tc.steps) {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOrderIsTotal holds for any tags of one family: comparing is antisymmetric
// and transitive, and a ladder ascends and ends at its target.
func TestOrderIsTotal(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	random := func() version.Tag {
		s := fmt.Sprintf("%d.%d", rnd.IntN(3), rnd.IntN(3))
		if rnd.IntN(2) == 0 {
			s += fmt.Sprintf(".%d", rnd.IntN(3))
		}
		if rnd.IntN(3) == 0 {
			s += []string{"-rc.1", "-beta", "-beta.2", "-alpha1", "-dev"}[rnd.IntN(5)]
		}
		return parse(t, s)
	}
	order := func(a, b version.Tag) int {
		c, err := version.Compare(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for range 3000 {
		a, b, c := random(), random(), random()
		if order(a, b) != -order(b, a) {
			t.Fatalf("Compare(%s, %s) is not antisymmetric", a, b)
		}
		if order(a, b) <= 0 && order(b, c) <= 0 && order(a, c) > 0 {
			t.Fatalf("%s ≤ %s ≤ %s, but not %s ≤ %s", a, b, c, a, c)
		}
		if (order(a, b) == 0) != (a.Key() == b.Key()) {
			t.Fatalf("Compare(%s, %s) and their keys %s, %s disagree", a, b, a.Key(), b.Key())
		}
		var released []version.Tag
		for range rnd.IntN(12) {
			released = append(released, random())
		}
		for _, steps := range []version.Steps{version.StepsEvery, version.StepsMinor, version.StepsMajor, version.StepsDirect} {
			ladder := version.Ladder(a, b, released, steps)
			if ladder[len(ladder)-1].Raw != b.Raw {
				t.Fatalf("ladder %v does not end with %s", ladder, b)
			}
			for i := 1; i < len(ladder); i++ {
				if order(ladder[i-1], ladder[i]) >= 0 {
					t.Fatalf("ladder %v does not ascend", ladder)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"v2.9.1", "4.6.3-r1", "10.9.11-ls37", "1.27-alpine3.20", "RELEASE.2024-01-02T03-04-05Z", "server/v1.2",
		"1.2.3-debian-12-r3", "v1.33.1+k3s1", "1.2rc1", "latest", "3fa9c1d", "2024-01-02", "n8n@1.2.3", "1.0.0-alpha..1", "1.2.3---"} {
		f.Add(s, "1.2.3")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err := version.Parse(a)
		if err != nil {
			return
		}
		if version.CompareReleases(x, x) != 0 || x.Follows(x) != nil {
			t.Errorf("%q differs from itself", a)
		}
		if x.Key() == "" {
			t.Errorf("%q has no key", a)
		}
		y, err := version.Parse(b)
		if err != nil {
			return
		}
		if version.CompareReleases(x, y) != -version.CompareReleases(y, x) {
			t.Errorf("%q and %q: order depends on the side", a, b)
		}
		_ = version.BumpBetween(x, y, true)
		if styled, err := x.Restyle(y); err == nil && version.CompareReleases(styled, y) != 0 {
			t.Errorf("Restyle(%q, %q) = %q, another version", a, b, styled)
		}
	})
}
