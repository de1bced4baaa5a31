package reconcile

import (
	"context"
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/belaybot/belay/bot/report"
)

// claimFor is how long a branch's name is kept for a lane whose upgrade has not
// recorded it yet.
const claimFor = 10 * time.Minute

// branchFor is the branch of an upgrade, or of its revert: belay/<service>/<version>,
// as long as no other upgrade of the service has it. Two images of one service
// often go to the same version; the second one's branch names its image, too.
func (r *Reconciler) branchFor(ctx context.Context, j *job, name string) (string, error) {
	open, err := r.opts.Store.OpenUpgradesOf(ctx, j.u.Repository, j.u.Service)
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, u := range open {
		var rec record
		if u.ID == j.u.ID || json.Unmarshal(u.Data, &rec) != nil {
			continue
		}
		taken[rec.Branch], taken[rec.Undo.Branch] = true, true
	}
	for _, name := range []string{name, name + "-" + laneName(j.u.Lane), name + "-" + hash(j.u.Lane)} {
		if taken[name] {
			continue
		}
		// Another one may be at it now that has not recorded its branch yet.
		got, err := r.opts.Store.Claim(ctx, "branch "+strings.ToLower(j.u.Repository)+" "+name, j.u.Lane, r.opts.Now().Add(claimFor))
		if err != nil || got {
			return name, err
		}
	}
	return name + "-" + strings.ToLower(j.u.ID), nil
}

// laneName is a lane as a part of a branch's name: "ghcr.io/acme/side" gives "side".
func laneName(lane string) string {
	first, _, _ := strings.Cut(lane, ",")
	return strings.TrimPrefix(report.Branch("x", path.Base(first)), "belay/x/")
}
