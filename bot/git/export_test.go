package git

// Waiting is the number of callers that wait for the fetch that comes next.
func (m *Mirror) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next == nil {
		return 0
	}
	return m.next.waiting
}

// Dir is where the mirror lies.
func (m *Mirror) Dir() string { return m.dir }

// Pending is the file that says that a pack is on its way, or its boundary is
// not known yet.
const Pending = pending
