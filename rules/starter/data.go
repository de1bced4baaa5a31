package starter

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// database is a guess at where a service keeps its data.
type database struct {
	service string
	engine  string // "postgresql", "mysql", "mongodb", "sqlite"; "" when only that there is one is known
	why     string
	claim   *Claim   // of a volume that holds it
	job     *CronJob // of the service's own that backs it up
}

// way is a CronJob that looks like a backup.
type way struct {
	name   string
	engine string
	job    CronJob
}

var (
	// schemeForm matches the scheme of a database's address: "postgresql://…", "mysql+pymysql://…", "sqlite:///data/x.db".
	schemeForm = regexp.MustCompile(`^(postgres(?:ql)?|mysql|mariadb|mongodb|sqlite3?)(?:\+[a-z0-9]+)?:`)
	// backupForm matches what backs data up: "postgresql-backup", "pg_dump", "restic"; not "back-office".
	backupForm = regexp.MustCompile(`(?i)backup|pg_?dump|mysqldump|mariadb-dump|mongodump|restic|borg|barman|kopia`)
	// restoreForm matches "postgresql-restore", "pg_restore".
	restoreForm = regexp.MustCompile(`(?i)restore`)
	// sqliteForm matches names of files that SQLite keeps: "db.sqlite3", "data.db".
	sqliteForm = regexp.MustCompile(`(?i)\.(?:sqlite3?|db3?)(?:$|\?)`)
	// notData matches settings that look like a database's and hold nothing to back up: "REDIS_HOST", "PAPERLESS_REDIS".
	notData = regexp.MustCompile(`(?:^|_)(?:REDIS|VALKEY|KEYDB|DRAGONFLY|MEMCACHED?|CACHE|RABBITMQ|AMQP|GEOIP|VECTOR)(?:_|$)`)
	// dataSetting matches settings that point at a database: "DATABASE_URL", "DB_HOST", "PAPERLESS_DBHOST", "AUTHENTIK_POSTGRESQL__HOST",
	// "POSTGRES_DB", "MYSQL_HOST", "PGHOST_RW"; not "DB_BACKUP_HOURS", "FEEDB_HOST".
	dataSetting = regexp.MustCompile(`(?:^|_)(?:DATABASE_UR[LI]|DB_UR[LI]|DB_?(?:HOST|HOSTNAME|SERVER|NAME|USER|USERNAME|DATABASE|PORT|TYPE|DRIVER|ENGINE|CONNECTION|DIALECT|CLIENT)|DATABASE_(?:HOST|HOSTNAME|NAME|USER|TYPE|ENGINE|CLIENT|SERVER)|PG_?(?:HOST|DATABASE|USER)(?:_\w+)?|POSTGRES(?:QL)?_+(?:HOST|DB|USER|SERVER|NAME|URL|URI|DATABASE)\w*|POSTGRES_DSN|MYSQL_+(?:HOST|DATABASE|USER|SERVER|URL)\w*|MARIADB_+(?:HOST|DATABASE|USER|URL)\w*|MONGO(?:DB)?_+(?:HOST|UR[LI]|DATABASE)\w*|SQLALCHEMY_DATABASE_URI|SQLITE_(?:PATH|FILE|DATABASE)\w*)$`)
)

// engineOf names the engine that a text speaks of, "" for none.
func engineOf(text string) string {
	text = strings.ToLower(text)
	for _, e := range []struct {
		engine string
		words  []string
	}{
		{"postgresql", []string{"postgres", "pg_dump", "pgdump", "pgsql", "barman", "cnpg", "pghost", "pg_host", "pgvector", "vectorchord", "timescale"}},
		{"mysql", []string{"mysql", "mariadb"}},
		{"mongodb", []string{"mongo"}},
		{"sqlite", []string{"sqlite"}},
	} {
		if slices.ContainsFunc(e.words, func(w string) bool { return strings.Contains(text, w) }) {
			return e.engine
		}
	}
	return ""
}

// databases guesses which services have data to save before a merge.
func databases(f Found) []database {
	var out []database
	for _, s := range f.Services {
		d := guessed(s)
		for _, j := range s.CronJobs {
			if !isBackup(j) {
				continue
			}
			if d == nil {
				d = &database{service: s.Name, why: "the CronJob " + j.Name + " in " + j.At + " looks like its backup"}
			}
			if d.job == nil {
				d.job = &j
			}
		}
		if d != nil {
			out = append(out, *d)
		}
	}
	return out
}

func guessed(s Service) *database {
	var best *database
	var rank int
	take := func(r int, d database) {
		if r > rank {
			d.service = s.Name
			best, rank = &d, r
		}
	}
	for _, v := range s.Settings {
		if notData.MatchString(v.Name) {
			continue
		}
		if m := schemeForm.FindStringSubmatch(v.Value); m != nil && !strings.HasPrefix(v.Value, "sqlite") {
			why := v.Name + " in " + v.At + " is the address of a " + engineOf(m[1]) + " database"
			if u, err := url.Parse(v.Value); err == nil && u.Hostname() != "" {
				why += " on " + u.Hostname()
			}
			take(5, database{engine: engineOf(m[1]), why: why})
			continue
		}
		if strings.HasPrefix(v.Value, "sqlite") || sqliteForm.MatchString(v.Value) {
			take(4, database{engine: "sqlite", why: v.Name + " in " + v.At + " speaks of SQLite"})
			continue
		}
		if dataSetting.MatchString(v.Name) {
			engine := cmp.Or(engineOf(v.Value), engineOf(v.Name))
			why := v.Name + " is set in " + v.At
			switch engine {
			case "":
				take(1, database{why: why})
			default:
				take(3, database{engine: engine, why: why + ", which speaks of " + engine})
			}
		}
	}
	for _, image := range s.Images {
		if e := engineOf(image); e != "" && e != "sqlite" && !backupForm.MatchString(image) {
			take(2, database{engine: e, why: "it runs its own " + e + " (" + image + ")"})
		}
	}
	if best == nil || best.engine == "sqlite" {
		for _, c := range s.Claims {
			if best == nil {
				why := "it keeps files on the volume " + c.Name
				if c.Path != "" {
					why += ", mounted at " + c.Path
				}
				best = &database{service: s.Name, why: why + " in " + c.At + ", maybe SQLite", engine: "sqlite"}
			}
			if best.claim == nil {
				best.claim = &c
			}
		}
	}
	return best
}

func isBackup(j CronJob) bool {
	return !restoreForm.MatchString(j.Name) && (backupForm.MatchString(j.Name) || backupForm.MatchString(j.Text))
}

// ways are the CronJobs that look like backups and can be named.
func ways(f Found) []way {
	var out []way
	taken := map[string]bool{}
	for _, s := range f.Services {
		for _, j := range s.CronJobs {
			if !isBackup(j) || !objectForm.MatchString(j.Namespace+"/"+j.Name) {
				continue
			}
			engine := cmp.Or(engineOf(j.Name), engineOf(j.Text))
			name := cmp.Or(engine, j.Name)
			if taken[name] {
				name = j.Name
			}
			if taken[name] {
				name = j.Namespace + "-" + j.Name
			}
			if taken[name] {
				continue
			}
			taken[name] = true
			out = append(out, way{name: name, engine: engine, job: j})
		}
	}
	slices.SortFunc(out, func(a, b way) int { return cmp.Compare(a.name, b.name) })
	return out
}

// restoreOf is the CronJob that puts a backup back, "" when none looks like it.
func restoreOf(f Found, b way) string {
	for _, s := range f.Services {
		for _, j := range s.CronJobs {
			if restoreForm.MatchString(j.Name) && j.Namespace == b.job.Namespace && cmp.Or(engineOf(j.Name), engineOf(j.Text)) == b.engine && objectForm.MatchString(j.Namespace+"/"+j.Name) {
				return j.Namespace + "/" + j.Name
			}
		}
	}
	return ""
}

// objectForm matches "dbaas/postgresql-backup".
var objectForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`)

// data writes backups and the services that need them.
func (w *writer) data(f Found) {
	all, found := ways(f), databases(f)
	w.gap()
	if len(all) == 0 {
		w.say("How data is saved before a merge. No CronJob in the Terraform looks like a backup; one that is in the cluster can be named all the same:")
		w.guess("backups:")
		w.guess("  postgresql: { cronjob: dbaas/postgresql-backup, timeout: 5m }")
	} else {
		w.say("How data is saved before a merge: CronJobs that look like backups. With restore, data can be put back as well.")
		w.guess("backups:")
		for _, b := range all {
			restore := ""
			if r := restoreOf(f, b); r != "" {
				restore = ", restore: { cronjob: " + r + " }"
			}
			w.guess("  # %s", b.job.At)
			w.guess("  %s: { cronjob: %s/%s, timeout: 5m%s }", b.name, b.job.Namespace, b.job.Name, restore)
		}
	}
	w.gap()
	if len(found) == 0 {
		w.say("Services with data to save before they are merged. None was recognised:")
		w.guess("databases:")
		w.guess("  linkwarden: { backup: { cronjob: dbaas/postgresql-backup } }")
		return
	}
	w.say("Services that seem to have data. While one is not named here, it is merged without a backup.")
	w.guess("databases:")
	for _, d := range found {
		w.guess("  # %s", d.why)
		w.guess("  %s: { backup: %s }", key(d.service), backupOf(d, all))
	}
}

// backupOf proposes how a guessed database is backed up: its own CronJob, one
// for its engine, a snapshot of its volume, or a place to fill in.
func backupOf(d database, all []way) string {
	for _, b := range all {
		if d.job != nil && b.job.Namespace == d.job.Namespace && b.job.Name == d.job.Name {
			return b.name
		}
	}
	if d.engine != "sqlite" {
		for _, b := range all {
			if b.engine == d.engine && d.engine != "" {
				return b.name
			}
		}
		return "{ cronjob: NAMESPACE/NAME }"
	}
	if d.claim != nil {
		return "{ volumesnapshot: " + placeOr(d.claim.Namespace, "NAMESPACE") + "/" + placeOr(d.claim.Name, "CLAIM") + " }"
	}
	return "{ volumesnapshot: NAMESPACE/CLAIM }"
}

func placeOr(s, placeholder string) string {
	if s == "" || !objectForm.MatchString("x/"+s) {
		return placeholder
	}
	return s
}
