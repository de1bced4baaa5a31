package reconcile_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/watch"
)

// jobs plays a cluster whose backups take a while and go on when belay is
// killed: each is a file named by its key, and as old as the backup.
type jobs struct {
	dir  string
	wake func() // a backup has ended
}

// jobTakes is how long a backup takes.
const jobTakes = 400 * time.Millisecond

func (b *jobs) Backup(_ context.Context, r cluster.BackupRequest) (cluster.BackupResult, error) {
	name := filepath.Join(b.dir, r.Key)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return cluster.BackupResult{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return cluster.BackupResult{}, err
	}
	left := jobTakes - time.Since(info.ModTime())
	if left <= 0 {
		return cluster.BackupResult{State: lifecycle.Good, Name: "backup-" + r.Key, Detail: "dump complete"}, nil
	}
	time.AfterFunc(left, b.wake)
	return cluster.BackupResult{State: lifecycle.Running, Name: "backup-" + r.Key}, nil
}

func (*jobs) Restore(context.Context, cluster.RestoreRequest) (cluster.BackupResult, error) {
	return cluster.BackupResult{State: lifecycle.Good}, nil
}

func (*jobs) CheckRestore(context.Context, cluster.RestoreRequest) (string, error) { return "", nil }

func (*jobs) Scale(context.Context, string, watch.Workload, bool) (bool, error) { return true, nil }

// made counts the backups, and those that run.
func (b *jobs) made() (all, running int) {
	list, _ := os.ReadDir(b.dir)
	for _, f := range list {
		if info, err := f.Info(); err == nil && time.Since(info.ModTime()) < jobTakes {
			running++
		}
	}
	return len(list), running
}

// wakes wakes the upgrades of a life whose backup runs, as a watch on Jobs does.
type wakes struct {
	mu   sync.Mutex
	life *life
}

func (w *wakes) wake() {
	w.mu.Lock()
	l := w.life
	w.mu.Unlock()
	if l == nil {
		return
	}
	open, err := l.store.OpenUpgrades(context.Background(), "")
	if err != nil {
		return // the life is over
	}
	for _, u := range open {
		if u.State == string(lifecycle.BackingUp) {
			_ = l.engine.Wake(context.Background(), u.ID)
		}
	}
}

// beginWithJobs is begin with backups that outlive belay.
func beginWithJobs(ctx context.Context, with living, dir string) (*life, error) {
	w := &wakes{}
	with.backups = &jobs{dir: dir, wake: w.wake}
	l, err := begin(ctx, with)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.life = l
	w.mu.Unlock()
	w.wake() // what ended while belay was dead
	return l, nil
}
