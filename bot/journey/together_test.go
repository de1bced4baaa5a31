package journey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
)

// Journeys of upgrades that meet each other, people and CI.

// web is a service of one Deployment.
func web(service, version string) string {
	return stack("", object{Kind: "deployment", Namespace: service, Name: service, Image: "ghcr.io/acme/" + service + ":" + version})
}

// Two services whose pins stand in one file, dispatched at once: neither commit
// carries the other's edit.
func oneFile(t *testing.T, w *world) {
	w.upstream.publish("acme/links", "v2.9.2", nil)
	w.upstream.publish("acme/notes", "v1.4.1", nil)
	files := map[string]string{"modules/versions/main.tf": "output \"links\" {\n  value = \"v2.9.1\"\n}\n\noutput \"notes\" {\n  value = \"v1.4.0\"\n}\n"}
	for _, s := range []string{"links", "notes"} {
		files["stacks/"+s+"/main.tf"] = stack("module \"versions\" {\n  source = \"../../modules/versions\"\n}\n",
			object{Kind: "deployment", Namespace: s, Name: s, Image: "ghcr.io/acme/" + s + ":${module.versions." + s + "}"})
	}
	j := w.begin(t, "shelf", "", files)
	j.dispatch("ghcr.io/acme/links", "v2.9.2")
	j.dispatch("ghcr.io/acme/notes", "v1.4.1")
	for service, versions := range map[string][2]string{"links": {"v2.9.1", "v2.9.2"}, "notes": {"v1.4.0", "v1.4.1"}} {
		j.reaches(service, lifecycle.Verified, "healthy for")
		p := j.pull(service)
		if touched := j.touched(p.MergeSHA); touched != "1 1 modules/versions/main.tf" {
			t.Errorf("the merge of %s changed %s", service, touched)
		}
		j.says(j.git("diff", p.MergeSHA+"~1", p.MergeSHA), "-  value = \""+versions[0], "+  value = \""+versions[1])
		if touched := j.touched(p.Head); touched != "1 1 modules/versions/main.tf" {
			t.Errorf("the branch of %s changed %s", service, touched)
		}
		j.watched(service, p.MergeSHA)
		j.runs(service, service, "ghcr.io/acme/"+service+":"+versions[1])
	}
	j.main("modules/versions/main.tf", "v2.9.1", "v2.9.2", "modules/versions/main.tf", "v1.4.0", "v1.4.1")
	j.alone(2)
	j.arrives("links, notes", "v2.9.1, v1.4.0", "v2.9.2, v1.4.1", "two upgrades in one file at once, a line each, verified")
}

// Two services of one database that become ready together: one dump serves both.
func sharedBackup(t *testing.T, w *world) {
	services := []string{"bookmarks", "recipes"}
	files := map[string]string{"stacks/gate/main.tf": web("gate", "1.0.0")}
	for _, s := range append([]string{"gate"}, services...) {
		w.upstream.publish("acme/"+s, "1.0.1", nil)
	}
	for _, s := range services {
		files["stacks/"+s+"/main.tf"] = web(s, "1.0.0")
	}
	j := w.begin(t, "shared", "databases:\n  bookmarks: { backup: main }\n  recipes: { backup: main }\nbackups:\n  main: { cronjob: dbaas-main/backup, expect: \"dump complete\" }\n", files)
	j.namespace("dbaas-main")
	j.cronJob("dbaas-main", "backup", dumps)
	// Both become ready while another merge is being applied.
	release := make(chan struct{})
	j.ci.decide(func(n int) string {
		if n == 1 {
			<-release
		}
		return "success"
	})
	j.dispatch("ghcr.io/acme/gate", "1.0.1")
	j.reaches("gate", lifecycle.Applying, "")
	for _, s := range services {
		j.dispatch("ghcr.io/acme/"+s, "1.0.1")
	}
	for _, s := range services {
		j.reaches(s, lifecycle.Open, "waits until the merge before it has been applied")
	}
	// Kubernetes keeps whole seconds: a Job of the second in which a pull request
	// became ready is taken for older.
	ready := time.Now()
	j.eventually("a second has passed", func() bool { return time.Since(ready) > 1100*time.Millisecond })
	close(release)
	for _, s := range services {
		j.reaches(s, lifecycle.Verified, "healthy for")
		p := j.pull(s)
		if touched := j.touched(p.MergeSHA); touched != "1 1 stacks/"+s+"/main.tf" {
			t.Errorf("the merge of %s changed %s", s, touched)
		}
		j.watched(s, p.MergeSHA)
	}
	j.reaches("gate", lifecycle.Verified, "")
	j.jobs("dbaas-main", 1)
	j.main("stacks/gate/main.tf", "1.0.0", "1.0.1", "stacks/bookmarks/main.tf", "1.0.0", "1.0.1", "stacks/recipes/main.tf", "1.0.0", "1.0.1")
	j.alone(3)
	j.arrives("bookmarks, recipes", "1.0.0", "1.0.1", "one database: one dump for both, verified")
}

// The backup fails: nothing is merged.
func failedBackup(t *testing.T, w *world) {
	w.upstream.publish("acme/ledger", "1.0.1", nil)
	j := w.begin(t, "ledger", "databases:\n  ledger: { backup: { cronjob: ledger/backup } }\n", map[string]string{"stacks/ledger/main.tf": web("ledger", "1.0.0")})
	j.cronJob("ledger", "backup", kube.Exits(time.Second, 1, "dumping", "pg_dump: error: connection refused"))
	j.dispatch("ghcr.io/acme/ledger", "1.0.1")
	j.reaches("ledger", lifecycle.Aborted, "connection refused")
	j.eventually("the pull request says so", func() bool {
		for _, c := range j.pull("ledger").CheckRuns {
			if c.Name == "belay/backup" && c.Conclusion == "failure" {
				j.says(c.Summary, "connection refused")
				return true
			}
		}
		return false
	})
	j.eventually("a comment says what to do", func() bool {
		c := j.pull("ledger").Comments
		return len(c) == 1 && strings.Contains(c[0].Body, "connection refused") && strings.Contains(c[0].Body, "`/upgrade retry`")
	})
	if p := j.pull("ledger"); p.State != "open" {
		t.Errorf("the pull request is %s", p.State)
	}
	j.main()
	j.runs("ledger", "ledger", "ghcr.io/acme/ledger:1.0.0")
	j.jobs("ledger", 1)
	w.plane.Kubelet.Play("ghcr.io/acme/ledger-backup:1", dumps)
	j.repo.Comment(j.pull("ledger").Number, "ana", "/upgrade retry")
	j.reaches("ledger", lifecycle.Verified, "healthy for")
	j.main("stacks/ledger/main.tf", "ledger:1.0.0", "ledger:1.0.1")
	j.watched("ledger", j.pull("ledger").MergeSHA)
	j.jobs("ledger", 2)
	j.alone(1)
	j.arrives("ledger", "1.0.0", "1.0.1", "its backup failed: aborted, not merged; mended, /upgrade retry, verified")
}

// Terraform ignores the image: belay does not merge, and what a person merges is
// not deployed and not reverted.
func ignoredImage(t *testing.T, w *world) {
	w.upstream.publish("acme/photos", "1.0.1", nil)
	j := w.begin(t, "photos", "", map[string]string{"stacks/photos/main.tf": stack("",
		object{Kind: "deployment", Namespace: "photos", Name: "photos", Image: "ghcr.io/acme/photos:1.0.0", Ignored: true})})
	j.dispatch("ghcr.io/acme/photos", "1.0.1")
	j.reaches("photos", lifecycle.Open, "approving review")
	j.main()
	j.says(j.pull("photos").Body, "ignore_changes")
	must(t, j.repo.MergeAs(j.pull("photos").Number, "ana"))
	j.reaches("photos", lifecycle.NotDeployed, "1.0.0")
	j.main("stacks/photos/main.tf", "photos:1.0.0", "photos:1.0.1")
	j.runs("photos", "photos", "ghcr.io/acme/photos:1.0.0")
	j.watched("photos", j.pull("photos").MergeSHA)
	j.alone(1)
	j.arrives("photos", "1.0.0", "1.0.1", "ignore_changes: not merged by belay; merged by a person: not deployed, not reverted")
}

// CI cuts the pipeline of the merge when a newer commit comes; the newer one's
// success counts.
func cutPipeline(t *testing.T, w *world) {
	w.upstream.publish("acme/feeds", "1.0.1", nil)
	j := w.begin(t, "feeds", "", map[string]string{"stacks/feeds/main.tf": web("feeds", "1.0.0")})
	release := make(chan struct{})
	j.ci.decide(func(n int) string {
		if n == 1 {
			return "error"
		}
		<-release
		return "success"
	})
	j.dispatch("ghcr.io/acme/feeds", "1.0.1")
	j.reaches("feeds", lifecycle.Applying, "")
	later, err := j.repo.Push("ana", "main", "say more", map[string]string{"README.md": "# home-ops\n\nAna's and Bo's.\n"})
	must(t, err)
	j.files["README.md"] += "\nAna's and Bo's.\n"
	// belay has looked at what came of the push before CI is done with it.
	pushed := time.Now()
	j.eventually("two seconds have passed", func() bool { return time.Since(pushed) > 2*time.Second })
	close(release)
	j.reaches("feeds", lifecycle.Verified, "healthy for")
	if at := j.ci.appliedAt(j.pull("feeds").MergeSHA); !at.IsZero() {
		t.Error("the merge's own pipeline was not cut")
	}
	j.main("stacks/feeds/main.tf", "feeds:1.0.0", "feeds:1.0.1")
	j.watched("feeds", later)
	j.alone(1)
	j.arrives("feeds", "1.0.0", "1.0.1", "first pipeline cut, the later one counts, verified")
}
