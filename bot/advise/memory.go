package advise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// entry is what a memory holds under a name.
type entry struct {
	Until time.Time `json:"until"`
	Value string    `json:"value"`
}

// short is a memory for as long as the process lives.
type short struct {
	now func() time.Time

	mu   sync.Mutex
	kept map[string]entry
}

func newShort(now func() time.Time) *short { return &short{now: now, kept: map[string]entry{}} }

// Keep implements Memory.
func (s *short) Keep(_ context.Context, name, value string, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[name] = entry{until, value}
	return nil
}

// Kept implements Memory.
func (s *short) Kept(_ context.Context, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.kept[name]
	if !ok || !s.now().Before(e.Until) {
		return "", fs.ErrNotExist
	}
	return e.Value, nil
}

// Dir is a memory in a directory, for commands that run without a server.
type Dir struct {
	Path string
	Now  func() time.Time // nil: time.Now
}

func (d Dir) file(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(d.Path, hex.EncodeToString(sum[:16])+".advice.json")
}

// Keep implements Memory.
func (d Dir) Keep(_ context.Context, name, value string, until time.Time) error {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(entry{until, value})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(d.Path, "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), d.file(name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Kept implements Memory.
func (d Dir) Kept(_ context.Context, name string) (string, error) {
	data, err := os.ReadFile(d.file(name))
	if err != nil {
		return "", err
	}
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	var e entry
	if err := json.Unmarshal(data, &e); err != nil {
		return "", err
	}
	if !now().Before(e.Until) {
		return "", fs.ErrNotExist
	}
	return e.Value, nil
}
