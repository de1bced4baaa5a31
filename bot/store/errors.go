package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNotFound means that there is no such row.
var ErrNotFound = errors.New("not in the state")

// ErrInUse means that another process has the state directory.
var ErrInUse = errors.New("another belay is using it")

// ConflictError means that an upgrade was written by somebody else meanwhile.
type ConflictError struct{ ID string }

// Error names the upgrade.
func (e *ConflictError) Error() string {
	return "upgrade " + e.ID + " was written by somebody else meanwhile"
}

// NewerError means that a newer belay has written the state.
type NewerError struct {
	Name        string
	Have, Known int // versions of the schema
}

// Error says what to do.
func (e *NewerError) Error() string {
	return fmt.Sprintf("%s was written by a newer belay (schema %d, this one knows %d): run that version, or restore a copy from before the update", e.Name, e.Have, e.Known)
}

// Trouble is an error of the database itself, with what a person does about it.
type Trouble struct {
	Name string // the file, or "the database"
	Hint string // "" where there is no better advice than the cause
	Err  error
}

// Error names the database, the cause and the way out.
func (e *Trouble) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s: %v: %s", e.Name, e.Err, e.Hint)
}

// Unwrap gives the driver's error.
func (e *Trouble) Unwrap() error { return e.Err }

const (
	hintFull    = "make room on its disk; belay then goes on where it was"
	hintDamaged = "it is damaged or no database of belay: move it away and run belay recover, which rebuilds it from the pull requests"
	hintWrite   = "belay has to be able to write it and its directory"
	hintDisk    = "its disk is full or fails: make room, or look at the system's log"
	hintBusy    = "another program holds it: end that"
	hintStandby = "give the address of the primary: this one takes no writes"
)

// sqliteHints are by primary result code, https://sqlite.org/rescode.html.
var sqliteHints = map[int]string{
	sqlite3.SQLITE_FULL: hintFull, sqlite3.SQLITE_CORRUPT: hintDamaged, sqlite3.SQLITE_NOTADB: hintDamaged, sqlite3.SQLITE_READONLY: hintWrite,
	sqlite3.SQLITE_CANTOPEN: hintWrite, sqlite3.SQLITE_PERM: hintWrite, sqlite3.SQLITE_IOERR: hintDisk, sqlite3.SQLITE_BUSY: hintBusy, sqlite3.SQLITE_LOCKED: hintBusy,
}

// postgresHints are by SQLSTATE: disk_full, read_only_sql_transaction.
var postgresHints = map[string]string{"53100": hintFull, "25006": hintStandby}

// trouble adds the database's name and the way out to an error of its driver.
// Other errors pass.
func (s *Store) trouble(err error) error {
	var known *Trouble
	var lite *sqlite.Error
	var pg interface{ SQLState() string } // as PostgreSQL's client has it
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.As(err, &lite):
		return &Trouble{s.name, sqliteHints[lite.Code()&0xff], err}
	case errors.As(err, &pg):
		return &Trouble{s.name, postgresHints[pg.SQLState()], err}
	}
	return err
}
