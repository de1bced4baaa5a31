package git

import "time"

// When returns the time of a commit, given by its full id. Its error wraps
// ErrUnknownRevision when the mirror has no such commit.
func (m *Mirror) When(sha string) (time.Time, error) {
	hash, err := checkSHA(sha)
	if err != nil {
		return time.Time{}, err
	}
	store := m.store()
	defer func() { _ = store.Close() }()
	c, err := m.commit(store, hash)
	if err != nil {
		return time.Time{}, err
	}
	return c.Committer.When, nil
}
