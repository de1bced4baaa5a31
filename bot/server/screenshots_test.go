package server_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/png"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// docs is where the pictures are kept.
const docs = "../../docs"

// maxPicture is the largest picture in bytes: people load docs/ over the same
// lines as everything else.
const maxPicture = 150 << 10

// pictures are taken of belay demo, by the service whose page they show.
var pictures = []struct {
	name, service string
	view          view
}{
	{"page-list-phone", "", view{"a phone", 390, 844, true, false}},
	{"page-list", "", view{"a desktop", 1200, 860, false, false}},
	{"page-failed-dark", "paperless-ngx", view{"a phone in the dark", 390, 844, true, true}},
	{"page-upgrade", "url", view{"a desktop", 1200, 1000, false, false}},
}

// TestBrowserScreenshots plays belay demo, looks at its page as ana, and with
// -args -screenshots keeps what it sees in docs/.
func TestBrowserScreenshots(t *testing.T) {
	chromium(t)
	to := t.TempDir()
	if *screenshots {
		to = docs
	}
	address := demo(t)
	b := newBrowser(t, strings.TrimPrefix(address, "http://"))
	for _, p := range pictures {
		b.look(p.view)
		b.own = "" // the demo's stand-in is asked, too
		b.open(address + "/signin")
		if js[bool](b, `location.pathname.startsWith('/login')`) {
			b.do(chromedp.Click(chromedp.CSS("a[href*='login=ana']")))
		}
		b.until("signed in", `!!document.querySelector('.who')`)
		if p.service != "" {
			b.open(address + "/?q=" + url.QueryEscape(p.service))
			b.do(chromedp.Click(chromedp.CSS(".item a")))
			b.until("its page", `location.pathname.startsWith('/u/') && document.readyState === 'complete'`)
		}
		shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		small := fewer(t, shot)
		if len(small) > maxPicture {
			t.Errorf("%s has %d bytes, more than %d", p.name, len(small), maxPicture)
		}
		if err := os.WriteFile(filepath.Join(to, p.name+".png"), small, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s.png: %d kB", p.name, len(small)>>10)
	}
}

// fewer turns a picture into one of 256 colours, which is a third of the size.
func fewer(t *testing.T, data []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	count := map[uint32]int{}
	bounds := img.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			count[r>>8<<16|g>>8<<8|b>>8]++
		}
	}
	out := image.NewPaletted(bounds, common(count))
	draw.Draw(out, bounds, img, bounds.Min, draw.Src)
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, out); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// common are the colours that occur most, and the web's for the rest.
func common(count map[uint32]int) color.Palette {
	all := slices.Collect(maps.Keys(count))
	slices.SortFunc(all, func(a, b uint32) int { return cmp.Or(count[b]-count[a], int(a)-int(b)) })
	var out color.Palette
	for _, c := range all[:min(len(all), 200)] {
		out = append(out, color.RGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 255})
	}
	return append(out, palette.WebSafe[:min(256-len(out), len(palette.WebSafe))]...)
}

// demo starts belay demo --keep and waits until its story is told.
func demo(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "belay")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/belay").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, program, "demo", "--keep")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	said := regexp.MustCompile(`The page: (http://\S+)`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := said.FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	t.Fatal("the demo ended before its page was there")
	return ""
}
