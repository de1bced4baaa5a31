package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Upgrade is one service going from one version to another.
type Upgrade struct {
	ID         string
	Repository string // "owner/name"
	Service    string
	Lane       string // tells the upgrades of one service apart: what moves together
	State      string
	From, To   string
	Pull       int // 0: not opened yet
	Undo       int // number of the pull request that undoes it; 0: none
	Final      bool
	Wake       time.Time // when to look again at the latest; zero: none
	Started    time.Time // when it was counted against the rate limit; zero: not yet
	Created    time.Time
	Updated    time.Time
	Run        string // of the bulk run whose limit counts in place of the repository's; "" for none
	Version    int64  // grows with every write
	Ladder     string // id of the first step of the ladder that it is a step of; "" where it is the only one
	Place      int    // which step of it, from 1; 0 where it is the only one
	Data       []byte // JSON: the rest of the record, opaque here
}

// Event is one line of an upgrade's audit trail.
type Event struct {
	ID      int64
	Upgrade string
	At      time.Time
	Who     string // "belay", or a login
	What    string
	Why     string
	Data    map[string]string
}

const upgradeColumns = "id, repository, service, lane, state, from_version, to_version, pull, final, wake, started, created, updated, version, data, undo, ladder, place, run"

// unmerged is the condition under which a service has one upgrade per lane.
const unmerged = "state IN ('queued', 'open', 'backing up', 'aborted')"

func scanUpgrade(row interface{ Scan(...any) error }) (Upgrade, error) {
	var u Upgrade
	var final, wake, started, created, updated int64
	var data string
	err := row.Scan(&u.ID, &u.Repository, &u.Service, &u.Lane, &u.State, &u.From, &u.To, &u.Pull, &final, &wake, &started, &created, &updated, &u.Version, &data, &u.Undo, &u.Ladder, &u.Place, &u.Run)
	u.Final, u.Wake, u.Started, u.Created, u.Updated, u.Data = final != 0, moment(wake), moment(started), moment(created), moment(updated), []byte(data)
	return u, err
}

// CreateUpgrade stores a new upgrade. A service has one unmerged upgrade per
// lane at most: when there is one, it comes back with false, and so does an
// older one of the same id.
func (s *Store) CreateUpgrade(ctx context.Context, u Upgrade) (made Upgrade, created bool, err error) {
	return s.CreateUpgradeAnd(ctx, u, nil)
}

// CreateUpgradeAnd is CreateUpgrade that calls then in the same transaction, new
// or not, with the id of the one that comes back.
func (s *Store) CreateUpgradeAnd(ctx context.Context, u Upgrade, then func(ctx context.Context, tx *sql.Tx, id string) error) (made Upgrade, created bool, err error) {
	err = s.Transact(ctx, func(tx *sql.Tx) error {
		if made, created, err = s.createUpgrade(ctx, tx, u); err != nil || then == nil {
			return err
		}
		return then(ctx, tx, made.ID)
	})
	return made, created, err
}

func (s *Store) createUpgrade(ctx context.Context, tx *sql.Tx, u Upgrade) (Upgrade, bool, error) {
	now := s.now()
	if u.Created.IsZero() {
		u.Created = now
	}
	u.Updated, u.Version = now, 1
	if len(u.Data) == 0 {
		u.Data = []byte("{}")
	}
	res, err := tx.ExecContext(ctx, s.sql("INSERT INTO upgrades ("+upgradeColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"),
		u.ID, u.Repository, u.Service, u.Lane, u.State, u.From, u.To, u.Pull, flag(u.Final), micro(u.Wake), micro(u.Started), micro(u.Created), micro(u.Updated), u.Version, string(u.Data), u.Undo, u.Ladder, u.Place, u.Run)
	if err != nil {
		return u, false, s.trouble(err)
	}
	n, err := res.RowsAffected()
	if err != nil || n == 1 {
		return u, n == 1, err
	}
	id := u.ID
	u, err = scanUpgrade(tx.QueryRowContext(ctx, s.sql("SELECT "+upgradeColumns+" FROM upgrades WHERE id = ? OR repository = ? AND service = ? AND lane = ? AND final = 0 AND "+unmerged+" ORDER BY final, created DESC LIMIT 1"),
		id, u.Repository, u.Service, u.Lane))
	if errors.Is(err, sql.ErrNoRows) { // the other one was merged in between
		return u, false, &ConflictError{ID: id}
	}
	return u, false, err
}

func (s *Store) oneUpgrade(ctx context.Context, where string, args ...any) (Upgrade, error) {
	u, err := scanUpgrade(s.read.QueryRowContext(ctx, s.sql("SELECT "+upgradeColumns+" FROM upgrades WHERE "+where), args...))
	if errors.Is(err, sql.ErrNoRows) {
		return u, ErrNotFound
	}
	if err != nil {
		return u, s.trouble(err)
	}
	return u, nil
}

// Upgrade reads one upgrade, or returns ErrNotFound.
func (s *Store) Upgrade(ctx context.Context, id string) (Upgrade, error) {
	return s.oneUpgrade(ctx, "id = ?", id)
}

// UpgradeByPull reads the newest upgrade of a pull request, its own or that of
// its revert, or returns ErrNotFound.
func (s *Store) UpgradeByPull(ctx context.Context, repository string, pull int) (Upgrade, error) {
	return s.oneUpgrade(ctx, "repository = ? AND (pull = ? OR undo = ?) ORDER BY created DESC LIMIT 1", repository, max(pull, 1), max(pull, 1))
}

// OpenUpgrades reads the upgrades that are not over, oldest first; of all
// repositories when none is named.
func (s *Store) OpenUpgrades(ctx context.Context, repository string) ([]Upgrade, error) {
	if repository == "" {
		return s.listUpgrades(ctx, "WHERE final = 0 ORDER BY created, id")
	}
	return s.listUpgrades(ctx, "WHERE final = 0 AND repository = ? ORDER BY created, id", repository)
}

// OpenUpgradesOf reads the upgrades of one service that are not over, oldest first.
func (s *Store) OpenUpgradesOf(ctx context.Context, repository, service string) ([]Upgrade, error) {
	return s.listUpgrades(ctx, "WHERE final = 0 AND repository = ? AND service = ? ORDER BY created, id", repository, service)
}

// UnderWay reads the upgrades of a repository that were merged and are not over,
// oldest first.
func (s *Store) UnderWay(ctx context.Context, repository string) ([]Upgrade, error) {
	return s.listUpgrades(ctx, "WHERE final = 0 AND repository = ? AND NOT ("+unmerged+") ORDER BY created, id", repository)
}

// EndedUpgrades reads up to limit upgrades of a repository that are over and
// were changed since a moment, the ones changed last first.
func (s *Store) EndedUpgrades(ctx context.Context, repository string, since time.Time, limit int) ([]Upgrade, error) {
	return s.listUpgrades(ctx, "WHERE final = 1 AND repository = ? AND updated >= ? ORDER BY updated DESC, id LIMIT ?", repository, micro(since), limit)
}

// Filter narrows Upgrades. Its zero value takes all.
type Filter struct {
	Repository, Service, State string
	Before                     time.Time // updated before
	Limit                      int       // 0: 100
}

// Upgrades reads upgrades, the ones changed last first.
func (s *Store) Upgrades(ctx context.Context, f Filter) ([]Upgrade, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	where, args := "WHERE 1 = 1", []any{}
	narrow := func(condition string, value any) {
		where += " AND " + condition
		args = append(args, value)
	}
	if f.Repository != "" {
		narrow("repository = ?", f.Repository)
	}
	if f.Service != "" {
		narrow("service = ?", f.Service)
	}
	if f.State != "" {
		narrow("state = ?", f.State)
	}
	if !f.Before.IsZero() {
		narrow("updated < ?", micro(f.Before))
	}
	return s.listUpgrades(ctx, where+" ORDER BY updated DESC, id LIMIT ?", append(args, f.Limit)...)
}

func (s *Store) listUpgrades(ctx context.Context, rest string, args ...any) ([]Upgrade, error) {
	rows, err := s.read.QueryContext(ctx, s.sql("SELECT "+upgradeColumns+" FROM upgrades "+rest), args...)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var out []Upgrade
	for rows.Next() {
		u, err := scanUpgrade(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

// SaveUpgrade writes an upgrade and what happened to it, together. It returns
// *ConflictError when the upgrade was written since it was read.
func (s *Store) SaveUpgrade(ctx context.Context, u Upgrade, events ...Event) (Upgrade, error) {
	old := u.Version
	u.Version, u.Updated = old+1, s.now()
	err := s.Transact(ctx, func(tx *sql.Tx) error { return s.saveUpgrade(ctx, tx, u, old, events) })
	return u, err
}

// SaveAndCreate writes an upgrade, makes the one that follows it, and calls then
// with that one's id, all or nothing. then may be nil. The upgrade that follows
// comes back as CreateUpgrade's does.
func (s *Store) SaveAndCreate(ctx context.Context, u, follows Upgrade, then func(ctx context.Context, tx *sql.Tx, id string) error, events ...Event) (saved, next Upgrade, created bool, err error) {
	old := u.Version
	u.Version, u.Updated = old+1, s.now()
	err = s.Transact(ctx, func(tx *sql.Tx) error {
		// The state first: what is merged leaves its place to the next one.
		if err := s.saveUpgrade(ctx, tx, u, old, events); err != nil {
			return err
		}
		if next, created, err = s.createUpgrade(ctx, tx, follows); err != nil || then == nil {
			return err
		}
		return then(ctx, tx, next.ID)
	})
	return u, next, created, err
}

func (s *Store) saveUpgrade(ctx context.Context, tx *sql.Tx, u Upgrade, old int64, events []Event) error {
	res, err := tx.ExecContext(ctx, s.sql("UPDATE upgrades SET repository = ?, state = ?, from_version = ?, to_version = ?, pull = ?, final = ?, wake = ?, started = ?, updated = ?, version = ?, data = ?, undo = ?, ladder = ?, place = ? WHERE id = ? AND version = ?"),
		u.Repository, u.State, u.From, u.To, u.Pull, flag(u.Final), micro(u.Wake), micro(u.Started), micro(u.Updated), u.Version, string(u.Data), u.Undo, u.Ladder, u.Place, u.ID, old)
	if err != nil {
		return s.trouble(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, &ConflictError{ID: u.ID})
	}
	return s.addEvents(ctx, tx, u.ID, events)
}

// Ladder reads the steps of a ladder in the order in which they were begun, by
// the id of its first. A step that was tried again is there twice. There is none
// where the upgrade is no step.
func (s *Store) Ladder(ctx context.Context, id string) ([]Upgrade, error) {
	if id == "" {
		return nil, nil
	}
	return s.listUpgrades(ctx, "WHERE ladder = ? ORDER BY created, place, id", id)
}

// addEvents appends to the audit trail. On PostgreSQL, transactions that do so
// follow one another: else a reader of AllEvents might see an event before an
// earlier one, and never come back for that.
func (s *Store) addEvents(ctx context.Context, tx *sql.Tx, upgrade string, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := s.lockTx(ctx, tx, eventLock); err != nil {
		return err
	}
	var args []any
	for _, e := range events {
		data, err := json.Marshal(e.Data)
		if err != nil {
			return err
		}
		args = append(args, upgrade, micro(e.At), e.Who, e.What, e.Why, string(data))
	}
	rows := strings.Repeat(", (?, ?, ?, ?, ?, ?)", len(events))[2:]
	_, err := tx.ExecContext(ctx, s.sql("INSERT INTO events (upgrade, at, who, what, why, data) VALUES "+rows), args...)
	return err
}

// Events reads an upgrade's audit trail, oldest first.
func (s *Store) Events(ctx context.Context, upgrade string) ([]Event, error) {
	return s.listEvents(ctx, "WHERE upgrade = ? ORDER BY id", upgrade)
}

// AllEvents reads up to limit events after one, oldest first.
func (s *Store) AllEvents(ctx context.Context, after int64, limit int) ([]Event, error) {
	return s.listEvents(ctx, "WHERE id > ? ORDER BY id LIMIT ?", after, limit)
}

func (s *Store) listEvents(ctx context.Context, rest string, args ...any) ([]Event, error) {
	rows, err := s.read.QueryContext(ctx, s.sql("SELECT id, upgrade, at, who, what, why, data FROM events "+rest), args...)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var out []Event
	for rows.Next() {
		var e Event
		var at int64
		var data string
		if err := rows.Scan(&e.ID, &e.Upgrade, &at, &e.Who, &e.What, &e.Why, &data); err != nil {
			return nil, err
		}
		e.At = moment(at)
		if err := json.Unmarshal([]byte(data), &e.Data); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// StartedSince counts the upgrades of a repository that were started at or
// after a moment, and says when the first of them was. Those of a bulk run with
// a limit of its own are left out, and so are the later steps of a ladder: here
// and below, they count with their first.
func (s *Store) StartedSince(ctx context.Context, repository string, t time.Time) (int, time.Time, error) {
	return s.startedSince(ctx, "repository = ? AND run = ''", t, repository)
}

// StartedOf counts those of one service, whatever run they came with.
func (s *Store) StartedOf(ctx context.Context, repository, service string, t time.Time) (int, time.Time, error) {
	return s.startedSince(ctx, "repository = ? AND service = ?", t, repository, service)
}

// StartedIn counts those of a bulk run.
func (s *Store) StartedIn(ctx context.Context, run string, t time.Time) (int, time.Time, error) {
	return s.startedSince(ctx, "run = ? AND run <> ''", t, run)
}

func (s *Store) startedSince(ctx context.Context, which string, t time.Time, args ...any) (int, time.Time, error) {
	var n int
	var first int64
	err := s.read.QueryRowContext(ctx, s.sql("SELECT COUNT(*), COALESCE(MIN(started), 0) FROM upgrades WHERE "+which+" AND place < 2 AND started >= ?"), append(args, max(1, micro(t)))...).Scan(&n, &first)
	if err != nil {
		return 0, time.Time{}, s.trouble(err)
	}
	return n, moment(first), nil
}

// SetRun has upgrades that wait to be started counted by a run, and returns
// those that are.
func (s *Store) SetRun(ctx context.Context, run string, upgrades ...string) (changed []string, err error) {
	err = s.Transact(ctx, func(tx *sql.Tx) error {
		changed = nil
		for _, id := range upgrades {
			res, err := tx.ExecContext(ctx, s.sql("UPDATE upgrades SET run = ? WHERE id = ? AND run <> ? AND started = 0 AND state = 'queued'"), run, id, run)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil {
				return err
			} else if n > 0 {
				changed = append(changed, id)
			}
		}
		return nil
	})
	return changed, err
}

// Rename follows a repository that got another name.
func (s *Store) Rename(ctx context.Context, from, to string) error {
	return s.Transact(ctx, func(tx *sql.Tx) error {
		// What the new name says already stays: it is newer.
		for _, statement := range []string{
			"DELETE FROM blocks WHERE repository = ? AND EXISTS (SELECT 1 FROM blocks b WHERE b.repository = ? AND b.service = blocks.service AND b.image = blocks.image AND b.target = blocks.target)",
			"DELETE FROM outcomes WHERE repository = ? AND dispatch IN (SELECT dispatch FROM outcomes o WHERE o.repository = ?)",
		} {
			if _, err := tx.ExecContext(ctx, s.sql(statement), from, to); err != nil {
				return err
			}
		}
		// A freeze stays on the repository whatever its name, and one is enough.
		if _, err := tx.ExecContext(ctx, s.sql("DELETE FROM freezes WHERE ended = 0 AND LOWER(repository) = LOWER(?) AND EXISTS (SELECT 1 FROM freezes f WHERE f.ended = 0 AND LOWER(f.repository) = LOWER(?))"), to, from); err != nil {
			return err
		}
		for _, table := range []string{"upgrades", "outcomes", "dispatches", "blocks", "freezes"} {
			if _, err := tx.ExecContext(ctx, s.sql("UPDATE "+table+" SET repository = ? WHERE repository = ?"), to, from); err != nil {
				return s.trouble(err)
			}
		}
		if _, err := tx.ExecContext(ctx, s.sql("UPDATE upgrades SET version = version + 1 WHERE repository = ?"), to); err != nil {
			return err
		}
		// The dashboard issue goes along, with the comments of it that were read.
		_, err := tx.ExecContext(ctx, s.sql("UPDATE facts SET name = ? WHERE name = ? AND NOT EXISTS (SELECT 1 FROM facts f WHERE f.name = ?)"),
			BoardFact+strings.ToLower(to), BoardFact+strings.ToLower(from), BoardFact+strings.ToLower(to))
		return err
	})
}
