package kube

import (
	"context"
	"fmt"
	"time"
)

// Script plays the life of one container, from its start until it returns or
// the context ends with the pod. When it returns, the container stays as it is.
//
//	func(ctx context.Context, c *kube.Container) {
//		c.Run()
//		c.Log("listening")
//		select {
//		case <-release:
//			c.Ready(true)
//		case <-ctx.Done():
//		}
//	}
type Script func(ctx context.Context, c *Container)

// ReadyAfter runs, and is ready after the time.
func ReadyAfter(after time.Duration, log ...string) Script {
	return func(ctx context.Context, c *Container) {
		c.Run()
		c.Log(log...)
		if c.Pause(ctx, after) {
			c.Ready(true)
		}
	}
}

// NeverReady runs and does not become ready.
func NeverReady(log ...string) Script {
	return func(_ context.Context, c *Container) {
		c.Run()
		c.Log(log...)
	}
}

// backOff is how long a kubelet waits before it restarts a container for the
// second time; it doubles up to five minutes.
const backOff, longestBackOff = 10 * time.Second, 5 * time.Minute

// CrashLoop runs for the time, writes the lines and exits with 1, again and
// again, with a kubelet's pauses in CrashLoopBackOff.
func CrashLoop(after time.Duration, log ...string) Script {
	return loop(after, 1, "Error", log)
}

// OOM is a CrashLoop whose container is killed for its memory.
func OOM(after time.Duration, log ...string) Script {
	return loop(after, 137, "OOMKilled", log)
}

func loop(after time.Duration, code int32, reason string, log []string) Script {
	return func(ctx context.Context, c *Container) {
		for wait := time.Duration(0); ; wait = min(max(2*wait, backOff), longestBackOff) {
			c.Run()
			c.Log(log...)
			if !c.Pause(ctx, after) {
				return
			}
			c.Exit(code, reason)
			if !c.Restarts() {
				return
			}
			if wait > 0 {
				c.Wait("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container", wait))
			}
			if !c.Pause(ctx, wait) {
				return
			}
		}
	}
}

// PullFails never gets its image: ErrImagePull, then ImagePullBackOff.
func PullFails() Script {
	return func(ctx context.Context, c *Container) {
		c.Wait("ErrImagePull", "manifest unknown")
		if c.Pause(ctx, time.Second) {
			c.Wait("ImagePullBackOff", "Back-off pulling image: manifest unknown")
		}
	}
}

// Flapping is ready and not ready by turns, each for the time.
func Flapping(each time.Duration) Script {
	return func(ctx context.Context, c *Container) {
		c.Run()
		for ready := true; ; ready = !ready {
			c.Ready(ready)
			if !c.Pause(ctx, each) {
				return
			}
		}
	}
}

// RestartsAfter is ready for the first time, then exits with 1 every so often
// and is started and ready again at once, so that only the restart count tells.
func RestartsAfter(first, every time.Duration, log ...string) Script {
	return func(ctx context.Context, c *Container) {
		for pause := first; ; pause = every {
			c.Run()
			c.Log(log...)
			c.Ready(true)
			if !c.Pause(ctx, pause) {
				return
			}
			c.Exit(1, "Error")
			if !c.Restarts() {
				return
			}
		}
	}
}

// Succeeds runs for the time, writes the lines and exits with 0.
func Succeeds(after time.Duration, log ...string) Script {
	return Exits(after, 0, log...)
}

// Exits runs for the time, writes the lines and exits with the code; where the
// pod's policy restarts it, it does the same again after a pause.
func Exits(after time.Duration, code int32, log ...string) Script {
	reason := "Error"
	if code == 0 {
		reason = "Completed"
	}
	return loop(after, code, reason, log)
}

// Hangs writes the lines and runs on without becoming ready or ending.
func Hangs(log ...string) Script { return NeverReady(log...) }

// Evicted runs for the time, until the node is short of something.
func Evicted(after time.Duration, message string) Script {
	return func(ctx context.Context, c *Container) {
		c.Run()
		if c.Pause(ctx, after) {
			c.Evict(message)
		}
	}
}
