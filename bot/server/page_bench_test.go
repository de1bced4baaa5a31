package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// fetch gets an address as a browser does, and says how long its first byte
// took and how many came.
func (s *scene) fetch(c *http.Client, path string) (time.Duration, int, string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.web.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip") // so that Go's client leaves the answer as it is
	var first time.Duration
	begin := time.Now()
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotFirstResponseByte: func() { first = time.Since(begin) }}))
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return first, len(body), string(body)
}

// BenchmarkPage shows the list of 1,000 upgrades while they change: the first
// byte is to come within 50 ms, and all that a first visit loads is to have less
// than 100 kB.
func BenchmarkPage(b *testing.B) {
	s := newScene(b)
	s.fillMany(1000)
	ana := s.as("ana")
	_, plain := s.get(ana, "/") // uncompressed, for the addresses in it
	_, page, _ := s.fetch(ana, "/")
	total := page
	for _, m := range regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`).FindAllStringSubmatch(plain, -1) {
		if strings.Count(plain[:strings.Index(plain, m[0])], m[1]) == 0 {
			_, n, _ := s.fetch(ana, m[1])
			total += n
		}
	}
	for _, path := range []string{"/", "/?q=service-09&risk=caution", "/?page=20", "/u/m0004"} {
		b.Run(strings.NewReplacer("/", "", "?", "").Replace("of"+path), func(b *testing.B) {
			var all []time.Duration
			for b.Loop() {
				s.change("m0007")
				first, _, _ := s.fetch(ana, path)
				all = append(all, first)
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms-first-byte-p50")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms-first-byte-p99")
			b.ReportMetric(float64(page)/1000, "kB-page")
			b.ReportMetric(float64(total)/1000, "kB-first-visit")
		})
	}
}

// BenchmarkViewers holds 200 open pages, and says what they cost: at most 50 MB.
// The other ends of the connections are in this process and counted too.
func BenchmarkViewers(b *testing.B) {
	const viewers = 200
	s := newScene(b)
	s.fillMany(1000)
	ana := s.as("ana")
	s.get(ana, "/")
	u, err := url.Parse(s.web.URL)
	if err != nil {
		b.Fatal(err)
	}
	cookie := ana.Jar.Cookies(u)[0]
	used := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse+m.StackInuse) / 1e6
	}
	for b.Loop() {
		before := used()
		var open []net.Conn
		buf := make([]byte, 4096)
		hear := func(c net.Conn, what string) {
			b.Helper()
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			got := ""
			for !strings.Contains(got, what) {
				n, err := c.Read(buf)
				if err != nil {
					b.Fatalf("no %q: %v", what, err)
				}
				got += string(buf[:n])
			}
		}
		for range viewers {
			c, err := net.Dial("tcp", u.Host)
			if err != nil {
				b.Fatal(err)
			}
			fmt.Fprintf(c, "GET /live HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\n\r\n", u.Host, cookie.Name, cookie.Value)
			hear(c, "retry:")
			open = append(open, c)
		}
		begin := time.Now()
		s.change("m0007")
		for _, c := range open {
			hear(c, "event: news")
		}
		b.ReportMetric(float64(time.Since(begin).Milliseconds()), "ms-until-all-are-told")
		b.ReportMetric(used()-before, "MB-for-200")
		for _, c := range open {
			_ = c.Close()
		}
	}
}
