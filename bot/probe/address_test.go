package probe

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belaybot/belay/rules/watch"
)

func TestMayDial(t *testing.T) {
	for _, tc := range []struct {
		host, address string
		may           bool
	}{
		{"web.example.org", "203.0.113.7:443", true},
		{"web.example.org", "[2001:db8::7]:443", true},
		{"web.home.arpa", "192.168.1.7:443", true}, // where a homelab's services are
		{"web.home.arpa", "10.0.0.7:443", true},
		{"web.home.arpa", "[fd12::7]:443", true},
		{"web.example.org", "127.0.0.1:443", false},
		{"web.example.org", "127.8.8.8:443", false},
		{"web.example.org", "[::1]:443", false},
		{"web.example.org", "[::ffff:127.0.0.1]:443", false},
		{"web.example.org", "0.0.0.0:443", false},
		{"web.example.org", "[::]:443", false},
		{"web.example.org", "169.254.169.254:80", false},
		{"web.example.org", "[::ffff:169.254.169.254]:80", false},
		{"web.example.org", "[64:ff9b::a9fe:a9fe]:80", false},
		{"web.example.org", "[2002:a9fe:a9fe::1]:80", false},
		{"web.example.org", "[::a9fe:a9fe]:80", false},
		{"web.example.org", "[fe80::1%eth0]:80", false},
		{"web.example.org", "[fd00:ec2::254]:80", false},
		{"web.example.org", "100.100.100.200:80", false},
		{"web.example.org", "168.63.129.16:80", false},
		{"web.example.org", "224.0.0.1:80", false},
		{"web.example.org", "255.255.255.255:80", false},
		{"web.example.org", "nonsense", false},
		{"localhost", "127.0.0.1:8080", true},
		{"LocalHost.", "[::1]:8080", true},
		{"web.localhost", "127.0.0.1:8080", true},
		{"localhost", "169.254.169.254:80", false},
		{"127.0.0.1", "127.0.0.1:8080", true},
		{"127.0.0.1", "127.0.0.2:8080", false},
		{"::1", "[::1]:8080", true},
		{"169.254.10.1", "169.254.10.1:80", true},
		{"localhost.example.org", "127.0.0.1:80", false},
	} {
		err := mayDial(tc.host, tc.address)
		if (err == nil) != tc.may {
			t.Errorf("%s at %s: %v", tc.host, tc.address, err)
		}
		var forbidden *forbiddenError
		if err != nil && !errors.As(err, &forbidden) {
			t.Errorf("%s at %s: %T", tc.host, tc.address, err)
		}
	}
}

// TestNamesThatLeadToLoopback uses ways of writing 127.0.0.1 that some
// resolvers take: what is dialled counts, not how it was written.
func TestNamesThatLeadToLoopback(t *testing.T) {
	asked := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer s.Close()
	for _, host := range []string{"2130706433", "0x7f000001", "127.1", "0177.0.0.1", "[::ffff:7f00:1]", "[::127.0.0.1]"} {
		address := strings.Replace(s.URL, "127.0.0.1", host, 1)
		got := NewHTTP(HTTPOptions{}).Look(t.Context(), watch.Subject{URLs: []string{address}})
		if host[0] != '[' && (asked || got[0].State == watch.Good) {
			t.Errorf("%s: %+v", host, got)
		}
		asked = false
	}
}

func FuzzMayDial(f *testing.F) {
	f.Add("web.example.org", "127.0.0.1:80")
	f.Add("::ffff:169.254.169.254", "[::ffff:169.254.169.254%1]:80")
	f.Fuzz(func(t *testing.T, host, address string) {
		if mayDial(host, address) == nil && (strings.HasPrefix(address, "127.") || strings.HasPrefix(address, "169.254.")) &&
			!strings.Contains(host, ":") && !strings.HasPrefix(host, "127.") && !strings.HasPrefix(host, "169.254.") && !strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), "localhost") {
			t.Errorf("%q may dial %q", host, address)
		}
	})
}
