// Package action is belay as a GitHub Action: one run for one event. It needs no
// server and no database; the pull requests are the state.
//
// A run reads the event's file (Read), takes up what it concerns from the
// repository's pull requests, does what the server would do, by the same code of
// bot/reconcile, stays with what is merged until it is over or its time is up,
// and says what became of it: outputs, a summary, annotations. The next run goes
// on from there. See SPEC sections 14, 15 and 17.
//
// Nothing of a pull request is run, and the configuration is the default
// branch's. Texts of others reach the log, the outputs and the summary only in
// forms in which they are no commands of the runner.
package action
