package journey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

// row is a line of the table.
type row struct {
	service, from, to, happened string
	took, look, revert          time.Duration
}

// arrives ends a journey: what happened goes into the table.
func (j *journey) arrives(service, from, to, happened string) {
	j.Helper()
	j.row.service, j.row.from, j.row.to, j.row.happened, j.row.took = service, from, to, happened, time.Since(j.began)
	j.world.mu.Lock()
	defer j.world.mu.Unlock()
	j.world.rows = append(j.world.rows, j.row)
}

// table prints the journeys, with the slowest of what must be fast.
func (w *world) table(t *testing.T, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortFunc(w.rows, func(a, b row) int { return strings.Compare(a.service, b.service) })
	var b strings.Builder
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "service\tfrom\tto\twhat happened\tapply to look\tcrash to revert\ttime")
	var look, revert time.Duration
	for _, r := range w.rows {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.service, r.from, r.to, r.happened, short(r.look), short(r.revert), short(r.took))
		look, revert = max(look, r.look), max(revert, r.revert)
	}
	_ = out.Flush()
	t.Logf("%d journeys in %s; slowest from apply to the first look %s, from the first crash to the revert %s\n%s", len(w.rows), short(took), short(look), short(revert), b.String())
}

func short(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(10 * time.Millisecond).String()
}

func TestJourneys(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what needs a control plane")
	}
	w := newWorld(t)
	start := time.Now()
	// They mostly wait, so more of them go at once than there are processors.
	var group errgroup.Group
	group.SetLimit(6)
	t.Run("to", func(t *testing.T) {
		for name, journey := range map[string]func(*testing.T, *world){
			"audiobookshelf": audiobookshelf, "owntracks": owntracks, "open-webui": openWebUI, "immich": immich, "coturn": coturn, "shlink": shlink,
			"phpipam": phpipam, "onlyoffice": onlyOffice, "paperless-ngx": paperless, "linkwarden": linkwarden, "synapse": synapse, "dawarich": dawarich,
			"one file": oneFile, "shared backup": sharedBackup, "failed backup": failedBackup, "ignored image": ignoredImage, "cut pipeline": cutPipeline,
			"failed revert": failedRevert, "failed apply": failedApply, "gateway": gateway, "sqlite on a volume": sqliteOnAVolume,
		} {
			group.Go(func() error {
				t.Run(name, func(t *testing.T) { journey(t, w) })
				return nil
			})
		}
		_ = group.Wait()
	})
	w.table(t, time.Since(start))
}
