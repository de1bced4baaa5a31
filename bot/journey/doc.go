// Package journey holds tests alone: whole upgrades from the dispatch to the end,
// on a stand-in GitHub with real git and a real Kubernetes control plane, with
// everything of belay between them as `belay serve` puts it together.
//
// CI is played by a pipeline that brings the Terraform of the default branch to
// the cluster; containers play scripts. What is asserted is what a person would
// look at: the state in which the upgrade ends, what the default branch has, that
// nothing else changed, and what runs in the cluster.
//
//	go test ./bot/... -run Journey -count=1 -v
package journey
