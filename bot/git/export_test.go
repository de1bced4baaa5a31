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
