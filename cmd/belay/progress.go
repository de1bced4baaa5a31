package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// patience is how long work may take before a line says what is going on.
const patience = time.Second

// progress tells a waiting person what belay is doing. It says nothing about
// work that ends quickly.
type progress struct {
	mu     sync.Mutex
	out    io.Writer
	redraw bool // the line can be taken back: out is a terminal
	shown  bool
	tenth  int // of a bar: what was said last, where lines stay
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, redraw: isTerminal(out)}
}

// stage begins a piece of work and returns the function that ends it.
func (p *progress) stage(what string) (done func()) {
	timer := time.AfterFunc(patience, func() { p.show(what + " …") })
	return func() {
		timer.Stop()
		p.clear()
	}
}

func (p *progress) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.redraw {
		fmt.Fprintln(p.out, line)
		return
	}
	p.shown = true
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
}

// barWidth is how many columns a bar takes.
const barWidth = 20

// bar shows how many of something are done: as a bar that is drawn again, or,
// where lines stay, in a line for every tenth.
func (p *progress) bar(what string, done, total int) {
	if total <= 0 {
		return
	}
	if p.redraw {
		full := barWidth * done / total
		p.show(fmt.Sprintf("%s [%s%s] %d of %d", what, strings.Repeat("#", full), strings.Repeat("-", barWidth-full), done, total))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if tenth := 10 * done / total; tenth > p.tenth {
		p.tenth = tenth % 10 // the next bar begins anew
		fmt.Fprintf(p.out, "%s: %d of %d\n", what, done, total)
	}
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		p.shown = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// say prints a line that stays, such as how long a rate limit is waited for.
func (p *progress) say(line string) {
	p.clear()
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.out, line)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour reports whether w may be coloured: a terminal, and NO_COLOR unset
// (https://no-color.org).
func colour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// width is the number of columns to write for.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 40 {
			return columns
		}
	}
	return 100
}
