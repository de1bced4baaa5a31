package journey_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belaybot/belay/bot/sandbox/kube"
	"github.com/belaybot/belay/rules/lifecycle"
)

// Journeys whose new version is well.

// A minor version with security fixes; the service's directory has another name.
func audiobookshelf(t *testing.T, w *world) {
	w.upstream.publish("advplyr/audiobookshelf", "2.33.0 2.33.1", map[string]string{
		"2.33.0": "### Security\n\n- Paths in uploads are checked, so that a file cannot be written outside of the library\n\n### Added\n\n- Series can be sorted by their newest book",
		"2.33.1": "### Fixed\n\n- Sessions of the reader are kept when the server restarts",
	})
	j := w.begin(t, "ebooks", "", map[string]string{"stacks/ebooks/main.tf": stack(ingress("ebooks", "ebooks.example.com"),
		object{Kind: "deployment", Namespace: "ebooks", Name: "audiobookshelf", Image: "ghcr.io/advplyr/audiobookshelf:2.32.1"})})
	j.dispatch("ghcr.io/advplyr/audiobookshelf", "2.33.1")
	j.reaches("ebooks", lifecycle.Verified, "healthy for")
	p := j.pull("ebooks")
	j.labelled(p, "belay", "risk: safe")
	if p.MergedBy != "belay[bot]" || p.Title != "upgrade: ebooks 2.32.1 → 2.33.1" {
		t.Errorf("%q was merged by %q", p.Title, p.MergedBy)
	}
	j.main("stacks/ebooks/main.tf", "audiobookshelf:2.32.1", "audiobookshelf:2.33.1")
	j.runs("ebooks", "audiobookshelf", "ghcr.io/advplyr/audiobookshelf:2.33.1")
	j.watched("ebooks", p.MergeSHA)
	j.alone(1)
	j.arrives("audiobookshelf", "2.32.1", "2.33.1", "SAFE, merged by itself, verified")
}

// A major version whose only signal is cosmetic: a person looks at it all the same.
func owntracks(t *testing.T, w *world) {
	w.upstream.publish("owntracks/recorder", "1.0.0 1.0.1", map[string]string{
		"1.0.0": "### Changed\n\n- The map's icons are new, and the tooltip says that the old colour names are deprecated",
		"1.0.1": "### Fixed\n\n- The version is shown at the bottom of the page again",
	})
	w.site.answers("owntracks.example.com", http.StatusFound)
	j := w.begin(t, "owntracks", "", map[string]string{"stacks/owntracks/main.tf": stack(ingress("owntracks", "owntracks.example.com"),
		object{Kind: "deployment", Namespace: "owntracks", Name: "owntracks", Image: "owntracks/recorder:0.9.9"})})
	j.dispatch("docker.io/owntracks/recorder", "1.0.1")
	j.approve("owntracks")
	j.main()
	j.reaches("owntracks", lifecycle.Verified, "healthy for")
	j.labelled(j.pull("owntracks"), "risk: caution")
	j.says(j.pull("owntracks").Body, "deprecated")
	j.main("stacks/owntracks/main.tf", "recorder:0.9.9", "recorder:1.0.1")
	j.watched("owntracks", j.pull("owntracks").MergeSHA)
	j.alone(1)
	j.arrives("owntracks", "0.9.9", "1.0.1", "CAUTION, approved, verified behind its login (302)")
}

// Thirteen releases with a long migration; SQLite on a volume, which is
// snapshotted before the merge.
func openWebUI(t *testing.T, w *world) {
	w.upstream.publish("open-webui/open-webui", "v0.8.0 v0.8.1 v0.8.2 v0.8.3 v0.8.4 v0.8.5 v0.8.6 v0.8.7 v0.8.8 v0.8.9 v0.8.10 v0.8.11 v0.8.12", map[string]string{
		"v0.8.0": "### Changed\n\n- Database migration: messages move to a table of their own at the first start. With many chats this takes a long while; do not stop the container meanwhile.",
	})
	w.plane.Kubelet.Play("ghcr.io/open-webui/open-webui:v0.8.12", kube.ReadyAfter(6*time.Second, "migrating messages"))
	w.snapshots(t)
	j := w.begin(t, "ollama", "databases:\n  ollama: { backup: { volumesnapshot: ollama/open-webui-data } }\n", map[string]string{"stacks/ollama/main.tf": stack("",
		object{Kind: "deployment", Namespace: "ollama", Name: "open-webui", Image: "ghcr.io/open-webui/open-webui:v0.7.2", Recreate: true})})
	j.dispatch("ghcr.io/open-webui/open-webui", "v0.8.12")
	j.reaches("ollama", lifecycle.Open, "approving review")
	j.repo.Comment(j.pull("ollama").Number, "ana", "/upgrade approve")
	w.snapshotTaken(j, "ollama")
	j.reaches("ollama", lifecycle.Verified, "healthy for")
	j.labelled(j.pull("ollama"), "risk: caution", "database")
	j.main("stacks/ollama/main.tf", "open-webui:v0.7.2", "open-webui:v0.8.12")
	j.runs("ollama", "open-webui", "ghcr.io/open-webui/open-webui:v0.8.12")
	j.watched("ollama", j.pull("ollama").MergeSHA)
	j.jobs("ollama", 0)
	j.alone(1)
	j.arrives("open-webui", "v0.7.2", "v0.8.12", "CAUTION, volume snapshot, migration of 6 s, verified")
}

// One variable for two images, and a database of its own.
func immich(t *testing.T, w *world) {
	w.upstream.publish("immich-app/immich", "v2.7.5", map[string]string{"v2.7.5": "### Fixed\n\n- Thumbnails of portrait videos stand upright"})
	j := w.begin(t, "immich", "databases:\n  immich: { backup: { cronjob: immich/postgresql-backup, expect: \"dump complete\" } }\n", map[string]string{"stacks/immich/main.tf": stack(
		"variable \"immich_version\" {\n  default = \"v2.7.4\"\n}\n",
		object{Kind: "deployment", Namespace: "immich", Name: "server", Image: "ghcr.io/immich-app/immich-server:${var.immich_version}"},
		object{Kind: "deployment", Namespace: "immich", Name: "machine-learning", Image: "ghcr.io/immich-app/immich-machine-learning:${var.immich_version}"},
		object{Kind: "stateful_set", Namespace: "immich", Name: "postgresql", Image: "ghcr.io/immich-app/postgres:14-vectorchord0.3.0"})})
	j.cronJob("immich", "postgresql-backup", kube.Succeeds(2*time.Second, "1.9 GB", "dump complete"))
	j.dispatch("ghcr.io/immich-app/immich-server", "v2.7.5")
	j.dispatch("ghcr.io/immich-app/immich-machine-learning", "v2.7.5")
	j.reaches("immich", lifecycle.Verified, "healthy for")
	p := j.pull("immich")
	j.labelled(p, "risk: safe", "database")
	if touched := j.touched(p.MergeSHA); touched != "1 1 stacks/immich/main.tf" {
		t.Errorf("the merge changed %s", touched)
	}
	j.main("stacks/immich/main.tf", "v2.7.4", "v2.7.5")
	j.joined()
	j.runs("immich", "server", "ghcr.io/immich-app/immich-server:v2.7.5")
	j.runs("immich", "machine-learning", "ghcr.io/immich-app/immich-machine-learning:v2.7.5")
	j.watched("immich", p.MergeSHA)
	j.jobs("immich", 1)
	j.alone(1)
	j.arrives("immich", "v2.7.4", "v2.7.5", "SAFE, one pull request for two images, own dump, verified")
}

// A build suffix, and options removed that are not in use.
func coturn(t *testing.T, w *world) {
	w.upstream.publish("coturn/coturn", "4.7.0-r1 4.8.0-r1 4.9.0-r1 4.10.0-r1", map[string]string{
		"4.7.0-r1": "### Removed\n\n- the options `--no-rfc5780`, `--no-stun-backward-compatibility` and `--response-origin-only-with-rfc5780`: what they did is the default now",
	})
	j := w.begin(t, "coturn", "", map[string]string{"stacks/coturn/main.tf": stack("",
		object{Kind: "deployment", Namespace: "coturn", Name: "coturn", Image: "coturn/coturn:4.6.3-r1"})})
	j.dispatch("docker.io/coturn/coturn", "4.10.0-r1")
	j.approve("coturn")
	j.reaches("coturn", lifecycle.Verified, "healthy for")
	j.says(j.pull("coturn").Body, "no-rfc5780", "not used here")
	j.main("stacks/coturn/main.tf", "coturn:4.6.3-r1", "coturn:4.10.0-r1")
	j.watched("coturn", j.pull("coturn").MergeSHA)
	j.alone(1)
	j.arrives("coturn", "4.6.3-r1", "4.10.0-r1", "CAUTION, removed options not used here, approved, verified")
}

// A major version that removes and needs variables; MySQL.
func shlink(t *testing.T, w *world) {
	w.upstream.publish("shlinkio/shlink", "4.4.0 4.5.0 4.6.0 5.0.0 5.0.1 5.0.2", map[string]string{
		"5.0.0": "### Removed\n\n- `REDIRECT_APPEND_EXTRA_PATH` was removed: use `REDIRECT_EXTRA_PATH_MODE`\n\n### Changed\n\n- behind a proxy, `TRUSTED_PROXIES` has to be set",
	})
	j := w.begin(t, "url", "databases:\n  url: { backup: { cronjob: url/mysql-backup } }\n", map[string]string{"stacks/url/main.tf": stack("",
		object{Kind: "deployment", Namespace: "url", Name: "shlink", Image: "shlinkio/shlink:4.3.4"})})
	j.cronJob("url", "mysql-backup", dumps)
	j.dispatch("docker.io/shlinkio/shlink", "5.0.2")
	j.approve("url")
	j.reaches("url", lifecycle.Verified, "healthy for")
	j.labelled(j.pull("url"), "risk: caution", "database")
	j.says(j.pull("url").Body, "REDIRECT_APPEND_EXTRA_PATH", "not used here")
	j.main("stacks/url/main.tf", "shlink:4.3.4", "shlink:5.0.2")
	j.watched("url", j.pull("url").MergeSHA)
	j.jobs("url", 1)
	j.alone(1)
	j.arrives("shlink", "4.3.4", "5.0.2", "CAUTION, removed variable not used here, dump, approved, verified")
}

// Four images that share one version.
func phpipam(t *testing.T, w *world) {
	w.upstream.publish("phpipam/phpipam", "v1.7.1 v1.7.2 v1.7.3 v1.7.4", nil)
	j := w.begin(t, "phpipam", "databases:\n  phpipam: { backup: { cronjob: phpipam/mysql-backup } }\n", map[string]string{"stacks/phpipam/main.tf": stack(
		"locals {\n  version = \"v1.7.0\"\n}\n",
		object{Kind: "deployment", Namespace: "phpipam", Name: "web", Image: "phpipam/phpipam-www:${local.version}"},
		object{Kind: "deployment", Namespace: "phpipam", Name: "api", Image: "phpipam/phpipam-www:${local.version}"},
		object{Kind: "deployment", Namespace: "phpipam", Name: "cron", Image: "phpipam/phpipam-cron:${local.version}"},
		object{Kind: "cron_job_v1", Namespace: "phpipam", Name: "discovery", Image: "phpipam/phpipam-cron:${local.version}"})})
	j.cronJob("phpipam", "mysql-backup", dumps)
	j.dispatch("docker.io/phpipam/phpipam-www", "v1.7.4")
	j.dispatch("docker.io/phpipam/phpipam-cron", "v1.7.4")
	j.reaches("phpipam", lifecycle.Verified, "healthy for")
	j.labelled(j.pull("phpipam"), "risk: safe")
	j.joined()
	j.main("stacks/phpipam/main.tf", "v1.7.0", "v1.7.4")
	for name, image := range map[string]string{"web": "www", "api": "www", "cron": "cron"} {
		j.runs("phpipam", name, "phpipam/phpipam-"+image+":v1.7.4")
	}
	j.watched("phpipam", j.pull("phpipam").MergeSHA)
	j.jobs("phpipam", 1)
	j.alone(1)
	j.arrives("phpipam", "v1.7.0", "v1.7.4", "SAFE, four images in one pull request, dump, verified")
}

// A major version whose schema change is another engine's; nothing is backed up,
// and the pull request says so.
func onlyOffice(t *testing.T, w *world) {
	w.upstream.publish("ONLYOFFICE/DocumentServer", "8.3.0 8.3.1 8.3.2 8.3.3 9.0.0 9.0.1 9.0.2 9.0.3 9.0.4 9.1.0 9.2.0 9.3.0 9.3.1", map[string]string{
		"9.0.0": "### Changed\n\n- schema change for those who keep their data in Dameng: run the script that comes with the package",
	})
	w.site.answers("office.example.com", http.StatusFound)
	j := w.begin(t, "onlyoffice", "", map[string]string{"stacks/onlyoffice/main.tf": stack(ingress("onlyoffice", "office.example.com"),
		object{Kind: "deployment", Namespace: "onlyoffice", Name: "documentserver", Image: "onlyoffice/documentserver:8.2.3"})})
	j.dispatch("docker.io/onlyoffice/documentserver", "9.3.1")
	j.approve("onlyoffice")
	j.reaches("onlyoffice", lifecycle.Verified, "healthy for")
	j.labelled(j.pull("onlyoffice"), "risk: caution")
	j.says(j.pull("onlyoffice").Body, "nothing is backed up", "Dameng")
	j.main("stacks/onlyoffice/main.tf", "documentserver:8.2.3", "documentserver:9.3.1")
	j.watched("onlyoffice", j.pull("onlyoffice").MergeSHA)
	j.alone(1)
	j.arrives("onlyoffice", "8.2.3", "9.3.1", "CAUTION over 13 releases, approved, verified")
}

// Many releases at once, and a database that others use, too.
func linkwarden(t *testing.T, w *world) {
	tags := "v2.9.2 v2.9.3 v2.10.0 v2.10.1 v2.10.2 v2.11.0 v2.11.1 v2.11.2 v2.11.3 v2.11.4 v2.11.5 v2.11.6 v2.11.7 v2.11.8 v2.12.0 v2.12.1 v2.12.2 v2.13.0 v2.13.1 v2.13.2 v2.13.3 v2.13.4 v2.14.0"
	if n := len(strings.Fields(tags)); n != 23 {
		t.Fatalf("%d releases", n)
	}
	w.upstream.publish("linkwarden/linkwarden", tags, nil)
	j := w.begin(t, "linkwarden", "databases:\n  linkwarden: { backup: postgresql }\nbackups:\n  postgresql: { cronjob: dbaas/postgresql-backup, expect: \"dump complete\" }\n", map[string]string{"stacks/linkwarden/main.tf": stack("",
		object{Kind: "deployment", Namespace: "linkwarden", Name: "linkwarden", Image: "ghcr.io/linkwarden/linkwarden:v2.9.1"})})
	j.cronJob("dbaas", "postgresql-backup", kube.Succeeds(time.Second, "254 MB", "dump complete"))
	j.dispatch("ghcr.io/linkwarden/linkwarden", "v2.14.0")
	j.reaches("linkwarden", lifecycle.Verified, "healthy for")
	p := j.pull("linkwarden")
	j.labelled(p, "risk: safe", "database")
	j.says(p.Body, "v2.9.2", "v2.11.4", "v2.14.0")
	if touched := j.touched(p.MergeSHA); touched != "1 1 stacks/linkwarden/main.tf" {
		t.Errorf("the merge changed %s", touched)
	}
	j.main("stacks/linkwarden/main.tf", "linkwarden:v2.9.1", "linkwarden:v2.14.0")
	j.watched("linkwarden", p.MergeSHA)
	j.jobs("dbaas", 1)
	j.alone(1)
	j.arrives("linkwarden", "v2.9.1", "v2.14.0", "SAFE over 23 releases, shared database's dump, verified")
}

// A long way, with the directory named otherwise.
func synapse(t *testing.T, w *world) {
	var tags []string
	for minor := 126; minor <= 151; minor++ {
		tags = append(tags, "v1."+strconv.Itoa(minor)+".0")
	}
	w.upstream.publish("element-hq/synapse", strings.Join(tags, " "), nil)
	w.site.answers("matrix.example.com", http.StatusUnauthorized)
	j := w.begin(t, "matrix", "databases:\n  matrix: { backup: { cronjob: matrix/postgresql-backup } }\n", map[string]string{"stacks/matrix/main.tf": stack(ingress("matrix", "matrix.example.com"),
		object{Kind: "stateful_set", Namespace: "matrix", Name: "synapse", Image: "matrixdotorg/synapse:v1.125.0"})})
	j.cronJob("matrix", "postgresql-backup", dumps)
	j.dispatch("docker.io/matrixdotorg/synapse", "v1.151.0")
	j.reaches("matrix", lifecycle.Verified, "healthy for")
	j.labelled(j.pull("matrix"), "risk: safe")
	j.main("stacks/matrix/main.tf", "synapse:v1.125.0", "synapse:v1.151.0")
	j.watched("matrix", j.pull("matrix").MergeSHA)
	j.jobs("matrix", 1)
	j.alone(1)
	j.arrives("synapse", "v1.125.0", "v1.151.0", "SAFE over 26 releases, dump, verified behind its login (401)")
}
