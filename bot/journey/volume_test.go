package journey_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	_ "modernc.org/sqlite" // the driver

	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
)

// notebook is a service that keeps its notes in SQLite on the volume "data". It
// brings older files to its schema, and does not open newer ones.
func notebook(schema int, then func(ctx context.Context, c *kube.Container)) kube.Script {
	return func(ctx context.Context, c *kube.Container) {
		if err := openNotebook(c.Disk(ctx, "data"), schema); err != nil {
			kube.CrashLoop(0, err.Error())(ctx, c)
			return
		}
		then(ctx, c)
	}
}

func openNotebook(dir string, schema int) error {
	db, err := sql.Open("sqlite", filepath.Join(dir, "notes.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	var has int
	if err := db.QueryRow("PRAGMA user_version").Scan(&has); err != nil {
		return err
	}
	if has > schema {
		return fmt.Errorf("panic: notes.db has schema %d, and this version knows %d", has, schema)
	}
	for ; has < schema; has++ {
		for _, statement := range []string{
			[]string{"CREATE TABLE notes (text TEXT)", "ALTER TABLE notes RENAME TO entries"}[has],
			[]string{"INSERT INTO notes VALUES ('from the beginning')", "INSERT INTO entries VALUES ('after the upgrade')"}[has],
			fmt.Sprintf("PRAGMA user_version = %d", has+1),
		} {
			if _, err := db.Exec(statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// noted reads what a file has: its schema, and what was noted.
func noted(dir string) string {
	db, err := sql.Open("sqlite", filepath.Join(dir, "notes.db"))
	if err != nil {
		return err.Error()
	}
	defer db.Close()
	schema, all := 0, ""
	_ = db.QueryRow("PRAGMA user_version").Scan(&schema)
	table := map[int]string{1: "notes", 2: "entries"}[schema]
	if err := db.QueryRow("SELECT group_concat(text, ', ') FROM " + table).Scan(&all); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("schema %d: %s", schema, all)
}

// claim makes the claim of a service.
func (j *journey) claim(namespace, name string) {
	j.Helper()
	j.namespace(namespace)
	_, err := j.world.client.CoreV1().PersistentVolumeClaims(namespace).Create(j.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: new(kube.ClassLate), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}, metav1.CreateOptions{})
	must(j, err)
}

// Its SQLite is on a volume, and the new version fails after it has migrated it:
// the image and the volume of the snapshot go back together, and the volume with
// what the new version wrote is kept.
func sqliteOnAVolume(t *testing.T, w *world) {
	w.upstream.publish("acme/notebook", "1.1.0", map[string]string{"1.1.0": "### Changed\n\n- a database migration renames the table of notes at the first start"})
	w.snapshots(t)
	var first moment
	var disk string
	w.plane.Kubelet.Play("ghcr.io/acme/notebook:1.0.0", notebook(1, func(ctx context.Context, c *kube.Container) {
		w.mu.Lock()
		disk = c.Disk(ctx, "data")
		w.mu.Unlock()
		kube.ReadyAfter(0)(ctx, c)
	}))
	w.plane.Kubelet.Play("ghcr.io/acme/notebook:1.1.0", notebook(2, crashes(&first, 1, "Error", "panic: no such table: notes")))
	j := w.begin(t, "notebook", "databases:\n  notebook: { backup: { volumesnapshot: notebook/data, restore: { volumesnapshot: notebook/data } } }\n", map[string]string{"stacks/notebook/main.tf": stack("",
		object{Kind: "deployment", Namespace: "notebook", Name: "notebook", Image: "ghcr.io/acme/notebook:1.0.0", Claim: "data", Recreate: true})})
	j.claim("notebook", "data")
	on := func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return disk
	}
	j.runs("notebook", "notebook", "ghcr.io/acme/notebook:1.0.0")
	before := on()
	j.dispatch("ghcr.io/acme/notebook", "1.1.0")
	j.approve("notebook")
	j.reaches("notebook", lifecycle.Reverting, "data may have been migrated")
	upgrade, revert := j.pull("notebook"), j.revert("notebook")
	line, _, _ := strings.Cut(revert.Body, "\n")
	j.says(line, "may have migrated data", "notebook/data-")
	j.says(revert.Body, "no such table: notes", "`/upgrade restore`")
	j.watched("notebook", upgrade.MergeSHA)
	j.reverted("notebook", &first)
	if got := noted(before); got != "schema 2: from the beginning, after the upgrade" {
		t.Errorf("before the restore the volume has %q", got)
	}
	j.repo.Comment(revert.Number, "ana", "/upgrade restore")
	j.reaches("notebook", lifecycle.Reverted, "")
	j.main()
	j.runs("notebook", "notebook", "ghcr.io/acme/notebook:1.0.0")
	if after := on(); after == before || noted(after) != "schema 1: from the beginning" {
		t.Errorf("the service has %s with %q", after, noted(after))
	}
	if got := noted(before); got != "schema 2: from the beginning, after the upgrade" {
		t.Errorf("the volume of before has %q", got)
	}
	j.eventually("people are told where the volume of before is", func() bool {
		for _, c := range j.pull("notebook").Comments {
			if strings.Contains(c.Body, "The data was put back") && strings.Contains(c.Body, filepath.Base(before)) {
				return true
			}
		}
		return false
	})
	j.alone(2)
	j.arrives("notebook", "1.0.0", "1.1.0", "failed after it migrated its SQLite: image and snapshot back together, the volume of before kept")
}
