// Package probe looks at what an upgrade came to: whether CI applied it
// (Woodpecker), and how the service fares (HTTP, Uptime Kuma, Prometheus).
//
// The health observers have one method, Look, which gives samples for
// rules/watch. It never returns an error: what cannot be seen is a sample whose
// state is Blind, with the reason in words. What samples come to is decided in
// rules/watch and rules/lifecycle, not here.
//
// Addresses of servers and their secrets come from whoever runs belay. The URLs
// that HTTP looks at come from a repository and are trusted with less: see HTTP.
package probe
