package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/belaybot/belay/bot/reconcile"
	"github.com/belaybot/belay/bot/sandbox"
	"github.com/belaybot/belay/bot/sandbox/simcluster"
	"github.com/belaybot/belay/cmd/internal/program"
)

// scenery is the cluster in which the demo plays: simulated, or with --kube a
// real control plane whose kubelet plays scripts.
type scenery interface {
	// prepare has the cluster run what the repository says, and gives what belay
	// sees of it.
	prepare(ctx context.Context, repo *sandbox.Repository, log *slog.Logger) (program.Observing, error)
	// apply is what CI does with a merge.
	apply(ctx context.Context, p sandbox.Pull) error
	// Play says how a version of a service fares, Break that the Jobs of a CronJob fail.
	Play(service, version string, s simcluster.Script)
	Break(target, log string)
	// FailedAt is when a service failed first, Did what was made: "started dbaas/backup-1a2b3c".
	FailedAt(service string) time.Time
	Did() []string
	// words describe it in a sentence.
	words() string
	Close()
}

// simulated is a cluster in memory.
type simulated struct{ *simcluster.Cluster }

func (c simulated) prepare(context.Context, *sandbox.Repository, *slog.Logger) (program.Observing, error) {
	return program.Observing{Backups: c.Cluster, Observers: []reconcile.Observer{c.Cluster}}, nil
}

func (c simulated) apply(_ context.Context, p sandbox.Pull) error {
	if service, version, ok := applied(p.Title); ok {
		c.Apply(service, version)
	}
	return nil
}

func (simulated) words() string { return "the cluster is simulated" }
