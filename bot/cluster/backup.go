package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belaybot/belay/rules/lifecycle"
	"github.com/belaybot/belay/rules/policy"
)

// BackupRequest asks for one backup.
type BackupRequest struct {
	// Key names what is made: the same key finds the same Job, snapshot or
	// Backup, in this life or the next. Another attempt needs another key.
	Key      string
	Backup   policy.Backup
	Ready    time.Time // when the pull request became mergeable: an older backup does not count
	Manifest []byte    // of kind job, from the default branch
	Service  string    // for the label that says what it was for
}

// BackupResult is how a backup or a restore stands.
type BackupResult struct {
	State   lifecycle.Progress // Running, Good or Bad
	Name    string             // of what is looked at: "dbaas/postgresql-backup-1a2b3c4d"; for none ""
	Started time.Time
	Detail  string // for people: the reason, and the last lines of the log
	Shared  bool   // it was made for somebody else and serves this request too
}

// Labels and annotations of what belay makes.
const (
	labelManagedBy    = "app.kubernetes.io/managed-by"
	labelSource       = "belaybot.github.io/source"  // hash of what it is a backup of
	labelService      = "belaybot.github.io/service" // the first service that it was made for
	annotationKey     = "belaybot.github.io/key"
	annotationScaled  = "belaybot.github.io/scaled-down-for"
	annotationBefore  = "belaybot.github.io/replicas-before"
	manager           = "belay"
	instantiate       = "cronjob.kubernetes.io/instantiate"
	waitForTurn       = "waits for its turn: "
	longestName       = 63 // a Job's name becomes a label of its pods
	attemptsOfOneName = 50
)

// Backup makes the backup that the request asks for, or finds it, or finds
// another that serves, and says how it stands. An error means that nothing could
// be seen now: try again. What is refused, failed or took too long is Bad.
func (c *Cluster) Backup(ctx context.Context, r BackupRequest) (BackupResult, error) {
	var result BackupResult
	var err error
	switch r.Backup.Kind {
	case policy.BackupNone:
		return BackupResult{State: lifecycle.Good, Started: c.now(), Detail: "no backup is taken: " + r.Backup.Target}, nil
	case policy.BackupCronJob:
		result, err = c.backupCronJob(ctx, r)
	case policy.BackupJob:
		result, err = c.backupJob(ctx, r)
	case policy.BackupVolumeSnapshot:
		result, err = c.backupSnapshot(ctx, r)
	case policy.BackupVelero:
		result, err = c.backupVelero(ctx, r)
	default:
		return bad("belay does not know backups of kind %q", r.Backup.Kind), nil
	}
	return refusedIsBad(result, err, fmt.Sprintf("backup %s %s", r.Backup.Kind, r.Backup.Target))
}

// refusedIsBad turns what no repetition cures into a result.
func refusedIsBad(result BackupResult, err error, what string) (BackupResult, error) {
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		return BackupResult{State: lifecycle.Bad, Name: result.Name, Detail: refused.detail}, nil
	case err != nil:
		return BackupResult{}, fmt.Errorf("%s: %w", what, err)
	}
	return result, nil
}

func bad(format string, args ...any) BackupResult {
	return BackupResult{State: lifecycle.Bad, Detail: fmt.Sprintf(format, args...)}
}

// serves reports whether a backup that started then is new enough for the
// request. Kubernetes keeps whole seconds, so one that started within the second
// in which the pull request became mergeable is taken for older.
func (r BackupRequest) serves(started, now time.Time) bool {
	if started.Before(r.Ready) {
		return false
	}
	return r.Backup.MaxAge <= 0 || now.Sub(started) <= r.Backup.MaxAge
}

// stale reports whether what belay made for this very key no longer serves. Its
// own second counts as after: belay makes nothing before it is asked to.
func (r BackupRequest) stale(started, now time.Time) bool {
	return !r.serves(started.Add(time.Second-time.Nanosecond), now)
}

// late reports whether what started then has taken longer than it may.
func late(b policy.Backup, started, now time.Time) bool {
	return b.Timeout > 0 && now.Sub(started) > b.Timeout
}

// split takes "namespace/name" apart.
func split(target string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(target, "/")
	if !ok || namespace == "" || name == "" {
		return "", "", refuse("%q does not name something in a namespace: write namespace/name", target)
	}
	return namespace, name, nil
}

// objectName is the name of what is made for a key: readable, the same whenever
// it is derived, and no longer than a label. Further attempts have a number.
func objectName(base, key string, attempt int) string {
	suffix := "-" + hash(key)
	if attempt > 1 {
		suffix += fmt.Sprintf("-%d", attempt)
	}
	base = strings.Trim(base[:min(len(base), longestName-len(suffix))], "-.")
	return base + suffix
}

// hash is short enough for a name and long enough to be alone.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:10]
}

// labelValue is the text as a label may have it.
func labelValue(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
			return r
		}
		return '-'
	}, text)
	return strings.Trim(clean[:min(len(clean), longestName)], "-_.")
}

// marks are the labels of what is made for the request.
func (r BackupRequest) marks(source string) map[string]string {
	labels := map[string]string{labelManagedBy: manager, labelSource: source}
	if service := labelValue(r.Service); service != "" {
		labels[labelService] = service
	}
	return labels
}
