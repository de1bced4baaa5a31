package journey_test

import (
	"context"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// pipeline plays the CI of one repository: it brings the stacks of every new
// commit of the default branch to the cluster, one commit after the other, and
// says so by the commit status "deploy".
type pipeline struct {
	j       *journey
	commits chan string
	done    chan struct{}

	mu      sync.Mutex
	count   int
	gaveUp  chan struct{}        // closed when a roll-out that is stuck has been waited for
	verdict func(n int) string   // what becomes of the nth commit after the first, from 1; nil: success
	success map[string]time.Time // when the status of a commit became success
}

// stuck is a verdict of Terraform, which waits for the roll-out: the commit is
// applied, and failure comes when gaveUp is closed.
const stuck = "stuck"

// decide has f say what becomes of the nth commit: "success"; "failure" and
// "error" (killed) leave the cluster as it is.
func (p *pipeline) decide(f func(n int) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verdict = f
}

func (p *pipeline) run() {
	defer close(p.done)
	for sha := range p.commits {
		p.mu.Lock()
		p.count++
		n, verdict := p.count, p.verdict
		p.mu.Unlock()
		p.j.repo.SetStatus(sha, "deploy", "pending")
		state := "success"
		if verdict != nil {
			state = verdict(n)
		}
		if state == "success" || state == stuck {
			if err := p.apply(sha); err != nil {
				p.j.Errorf("CI cannot apply %s: %v", sha, err)
				state = "failure"
			}
		}
		if state == stuck {
			<-p.gaveUp
			state = "failure"
		}
		p.mu.Lock()
		if state == "success" {
			p.success[sha] = time.Now()
		}
		p.mu.Unlock()
		p.j.repo.SetStatus(sha, "deploy", state)
	}
}

// appliedAt is when CI said that it had applied a commit.
func (p *pipeline) appliedAt(sha string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.success[sha]
}

func (p *pipeline) apply(sha string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	outputs := map[string]cty.Value{}
	for file := range p.j.files {
		if !strings.HasPrefix(file, "modules/") {
			continue
		}
		text, err := p.j.repo.File(sha, file)
		if err != nil {
			return err
		}
		if outputs[path.Base(path.Dir(file))], err = readOutputs(text); err != nil {
			return err
		}
	}
	for file := range p.j.files {
		if !strings.HasPrefix(file, "stacks/") {
			continue
		}
		text, err := p.j.repo.File(sha, file)
		if err != nil {
			return err
		}
		objects, err := readStack(text, outputs)
		if err != nil {
			return err
		}
		for _, o := range objects {
			if err := p.j.world.plane.Apply(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}
