package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// What is shown of a log: enough to see what happened, short enough for a
// check's summary.
const (
	tailLines   = 20
	longestLine = 300      // bytes of one line
	longestTail = 4 << 10  // bytes of all
	mostFetched = 64 << 10 // bytes that are asked for to make them
	mostMatched = 64 << 20 // bytes that expect and reject are held against, before the last lines
)

// evidence is the end of the newest pod's log, one line below the other with a
// line break before each. What cannot be read is said in its place.
func (c *Cluster) evidence(ctx context.Context, pods []corev1.Pod) string {
	if len(pods) == 0 {
		return ""
	}
	pod := &pods[len(pods)-1]
	var text strings.Builder
	names := containersOf(pod)
	for _, name := range names {
		lines, err := c.tail(ctx, pod, name)
		if err != nil {
			lines = []string{"its log cannot be read: " + err.Error()}
		}
		for _, line := range lines {
			if len(names) > 1 {
				line = "[" + name + "] " + line
			}
			text.WriteString("\n" + line)
		}
	}
	full := text.String()
	if len(full) <= longestTail {
		return full
	}
	// The end says more than the beginning; a line that was cut in two is left
	// out.
	full = full[len(full)-longestTail:]
	return "\n…" + full[max(0, strings.IndexByte(full, '\n')):]
}

// containers are those whose logs tell something: the one that the pod names as
// its default, else all; and init containers that have failed.
func containersOf(pod *corev1.Pod) []string {
	var names []string
	for _, status := range pod.Status.InitContainerStatuses {
		if t := status.State.Terminated; t != nil && t.ExitCode != 0 {
			names = append(names, status.Name)
		}
	}
	wanted := pod.Annotations["kubectl.kubernetes.io/default-container"]
	known := slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == wanted })
	for _, container := range pod.Spec.Containers {
		if !known || container.Name == wanted {
			names = append(names, container.Name)
		}
	}
	return names
}

// tail is the last lines of a container's log, cut to what can be shown.
func (c *Cluster) tail(ctx context.Context, pod *corev1.Pod, container string) ([]string, error) {
	lines, err := c.lastLines(ctx, pod, container)
	for i := range lines {
		lines[i] = cut(lines[i], longestLine)
	}
	return lines, err
}

func (c *Cluster) lastLines(ctx context.Context, pod *corev1.Pod, container string) ([]string, error) {
	raw, err := c.api.Logs(pod.Namespace, pod.Name, &corev1.PodLogOptions{
		Container: container, TailLines: new(int64(tailLines)), LimitBytes: new(int64(mostFetched)),
	}).DoRaw(ctx)
	if err := logAttempt(pod).check(err); err != nil {
		return nil, err
	}
	text := strings.TrimRight(string(raw), "\n")
	if text == "" {
		return nil, nil
	}
	return strings.Split(text, "\n"), nil
}

func logAttempt(pod *corev1.Pod) attempt {
	return attempt{"get", "", "pods/log", pod.Namespace, pod.Name}
}

// match holds the logs of a pod against the patterns. It streams, so that a long
// log costs no memory; of one that is longer than it reads, it sees the end too.
func (c *Cluster) match(ctx context.Context, pod *corev1.Pod, p *patterns) error {
	for _, name := range containersOf(pod) {
		stream, err := c.api.Logs(pod.Namespace, pod.Name, &corev1.PodLogOptions{
			Container: name, LimitBytes: new(int64(mostMatched)),
		}).Stream(ctx)
		if apierrors.IsNotFound(err) {
			return refuse("pod %s/%s is gone, so its log cannot be held against expect and reject", pod.Namespace, pod.Name)
		}
		if err := logAttempt(pod).check(err); err != nil {
			return err
		}
		read, err := p.lines(stream)
		_ = stream.Close()
		if err != nil {
			return fmt.Errorf("read the log of pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		if read < mostMatched {
			continue
		}
		last, err := c.lastLines(ctx, pod, name)
		if err != nil {
			return err
		}
		for _, line := range last {
			p.line(line)
		}
	}
	return nil
}

// lines takes in every line and returns how many bytes there were. Of a line
// that is longer than the buffer, each part counts as a line.
func (p *patterns) lines(stream io.Reader) (read int, err error) {
	reader := bufio.NewReaderSize(stream, 64<<10)
	for {
		slice, err := reader.ReadSlice('\n')
		read += len(slice)
		if len(slice) > 0 {
			p.line(strings.TrimRight(string(slice), "\r\n"))
		}
		switch {
		case errors.Is(err, io.EOF):
			return read, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return read, err
		}
	}
}

// cut makes a line fit to be shown: valid, without control characters, and at
// most so many bytes long.
func cut(line string, most int) string {
	line = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == utf8.RuneError || unicode.IsControl(r):
			return -1
		}
		return r
	}, line)
	if len(line) <= most {
		return line
	}
	for most > 0 && !utf8.RuneStart(line[most]) {
		most--
	}
	return line[:most] + "…"
}
