package watch

import "time"

// Running is a workload as one look at the cluster found it: what RollOut
// decides from. Counts are of pods.
type Running struct {
	Workload
	Chart      string // value of the label helm.sh/chart: "web-1.2.3"; "" when it has none
	Generation int64  // of the specification
	Observed   int64  // the generation that its controller has seen
	Want       int    // pods asked for
	Have       int    // pods there are, of any version
	Updated    int    // pods made from the current specification
	Ready      int
	Available  int         // ready for minReadySeconds
	Template   []Container // what the specification runs, init containers too
	Paused     bool        // of a Deployment
	Suspended  bool        // of a CronJob or a Job
	OnDelete   bool        // its pods are only replaced when somebody deletes them
	Partition  int         // of a StatefulSet: pods below this ordinal keep the old version
	Complete   bool        // the roll-out of this specification was complete at some time
	Exceeded   string      // its controller gave up waiting: why; "" otherwise
	ExceededAt time.Time   // when it did
	Refused    string      // pods could not be made, a quota for instance: why; "" otherwise
	Pods       []Pod       // of a CronJob's and a Job's: in Jobs
	Jobs       []Run       // what a CronJob has started; of a Job: itself
}

// Run is one Job.
type Run struct {
	Name      string
	Created   time.Time
	Template  []Container
	Succeeded bool
	Failed    string // why it failed for good: "BackoffLimitExceeded: …"; "" otherwise
	Pods      []Pod
}

// Container is a container as it is asked for.
type Container struct {
	Name  string
	Image string // reference as written
}

// Pod is one pod.
type Pod struct {
	Name       string
	UID        string
	Created    time.Time
	Deleting   bool
	Ready      bool
	Gone       bool   // ended and will be replaced: evicted, preempted, its node lost
	Unplaced   string // the scheduler found no node for it: why; "" otherwise
	Containers []Inside
}

// Inside is a container of a pod, as asked for and as it is.
type Inside struct {
	Container
	Init     bool
	Ready    bool
	Restarts int
	First    int    // restarts when this watch first saw the pod
	Waiting  string // reason that it waits for: "CrashLoopBackOff"; "" when it does not wait
	Message  string // of Waiting
	Ended    *End   // it has ended and is not running now
	Before   *End   // how it ended the time before
}

// End is how a container ended.
type End struct {
	Reason string // "OOMKilled", "Error", "Completed"
	Code   int
	At     time.Time
}
