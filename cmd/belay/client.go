package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/intake"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/bot/store"
	"github.com/belaybot/belay/cmd/internal/program"
)

// remote are the flags of commands that speak to a running belay.
type remote struct {
	server string
	token  string        // "": that of BELAY_DIUN_TOKEN
	within time.Duration // how long a request may take; 0: 30 s
}

func (r *remote) flags(c *cobra.Command) {
	address := os.Getenv("BELAY_SERVER")
	if address == "" {
		address = "http://127.0.0.1:8080"
	}
	c.Flags().StringVar(&r.server, "server", address, "`URL` of the running belay [$BELAY_SERVER]")
}

var errNoToken = program.Usage(errors.New("BELAY_DIUN_TOKEN is not set: it has to be the one that the server knows"))

// do sends a request with the token, and returns the answer's status and body.
func (r *remote) do(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.within, 30*time.Second))
	defer cancel()
	resp, err := r.open(ctx, method, path, body)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	return resp.StatusCode, data, err
}

// right says whether the server's address is one that can be asked.
func (r *remote) right() error {
	if !program.WebURL(r.server) {
		return program.Usage(fmt.Errorf("--server %q is not a URL of http or https: give one such as http://belay.example.org", r.server))
	}
	return nil
}

// open sends a request with the token, and returns the answer to be read.
func (r *remote) open(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	if err := r.right(); err != nil {
		return nil, err
	}
	token := r.token
	if token == "" {
		var err error
		if token, err = program.Secret("DIUN_TOKEN"); err != nil {
			return nil, program.Usage(err)
		}
	}
	if token == "" {
		return nil, errNoToken
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, program.Usage(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: is belay serve running there?", err)
	}
	return resp, nil
}

// refused turns an answer that is no success into an error.
func refused(code int, data []byte) error {
	var answer struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(data, &answer)
	if answer.Error == "" {
		answer.Error = "no reason was given"
	}
	err := fmt.Errorf("the server refuses (HTTP %d): %s", code, answer.Error)
	if code == http.StatusBadRequest {
		return program.Usage(err)
	}
	return err
}

func newDispatch() *cobra.Command {
	var r remote
	var image, tag, payload string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "dispatch",
		Short: "Tell a running belay that an image has a new tag",
		Long: `Dispatch sends what DIUN would send. It prints the dispatch's id; belay status
shows what came of it. With --wait it prints that itself: the pull requests that
were opened, or why there is nothing to do.`,
		Example: `  belay dispatch --image vaultwarden/server --tag 1.35.8
  belay dispatch --image vaultwarden/server --tag 1.35.8 --wait 1m
  belay dispatch --payload diun.json`,
		Args: program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var body []byte
			if payload != "" {
				if image != "" || tag != "" {
					return program.Usage(errors.New("--payload says it all: leave --image and --tag out"))
				}
				data, err := readPayload(payload, c.InOrStdin())
				if err != nil {
					return program.Usage(fmt.Errorf("--payload: %w", err))
				}
				if _, err := intake.Parse(data); err != nil {
					return program.Usage(fmt.Errorf("--payload %s: %w", payload, err))
				}
				body = data
			} else {
				if image == "" && tag == "" {
					return program.Usage(errors.New("--image and --tag, or --payload with a JSON file: one of them is needed (see belay dispatch --help)"))
				}
				if _, err := intake.New(image, tag); err != nil {
					return program.Usage(fmt.Errorf("--image and --tag: %w", err))
				}
				body, _ = json.Marshal(map[string]string{"image": image, "tag": tag})
			}
			ctx := c.Context()
			if wait > 0 {
				waiting, cancel := context.WithTimeout(ctx, wait)
				defer cancel()
				if err := r.reach(waiting); err != nil {
					return err
				}
				ctx = waiting
			}
			code, data, err := r.do(c.Context(), http.MethodPost, "/diun", body)
			if err != nil {
				return err
			}
			if code != http.StatusAccepted && code != http.StatusOK {
				return refused(code, data)
			}
			var answer struct {
				ID  string `json:"id"`
				New bool   `json:"new"`
			}
			if err := json.Unmarshal(data, &answer); err != nil {
				return fmt.Errorf("the answer is not belay's: %w", err)
			}
			known := ""
			if !answer.New {
				known = " (known already)"
			}
			fmt.Fprintf(c.OutOrStdout(), "%s%s\n", answer.ID, known)
			if wait > 0 {
				return r.follow(ctx, c.OutOrStdout(), answer.ID)
			}
			return nil
		},
	}
	r.flags(c)
	c.Flags().StringVar(&image, "image", "", "`name` of the image that has a new tag")
	c.Flags().StringVar(&tag, "tag", "", "the new `tag`")
	c.Flags().DurationVar(&wait, "wait", 0, "how long to wait for the server, and for what comes of the dispatch")
	c.Flags().StringVar(&payload, "payload", "", "send this JSON `file`, \"-\" for standard input")
	return c
}

func newStatus() *cobra.Command {
	var r remote
	var asJSON bool
	var limit int
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the upgrades of a running belay, and what came of dispatches",
		Args:  program.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			code, data, err := r.do(c.Context(), http.MethodGet, fmt.Sprintf("/api/status?limit=%d", limit), nil)
			if err != nil {
				return err
			}
			if code != http.StatusOK {
				return refused(code, data)
			}
			if asJSON {
				_, err := c.OutOrStdout().Write(data)
				return err
			}
			var s server.Status
			if err := json.Unmarshal(data, &s); err != nil {
				return fmt.Errorf("the answer is not belay's: %w", err)
			}
			return printStatus(c.OutOrStdout(), s)
		},
	}
	r.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().IntVar(&limit, "limit", 50, "how many upgrades and dispatches, newest first")
	return c
}

// waiting begins the line of an outcome that waits.
func waiting(o server.Outcome) string {
	if o.Stuck != string(store.Waits) {
		return ""
	}
	if o.Since == nil {
		return "waits: "
	}
	return "waits since " + o.Since.Local().Format("2 Jan 15:04") + ": "
}

func printStatus(out io.Writer, s server.Status) error {
	for _, f := range s.Freezes {
		fmt.Fprintf(out, "%s: frozen by %s since %s%s\n", everywhere(f.Repository), f.Who, f.At.Local().Format("2 Jan 15:04"), because(f.Reason))
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tFROM\tTO\tSTATE\tPULL REQUEST\tWAITS FOR")
	for _, u := range s.Upgrades {
		pull := ""
		if u.Pull != 0 {
			pull = fmt.Sprintf("%s#%d", u.Repository, u.Pull)
		}
		to, waits := u.To, u.Waits
		if l := u.Ladder; l != nil && len(l.Rungs) > 1 {
			to = fmt.Sprintf("%s (step %d of %d to %s)", u.To, l.Place, len(l.Rungs), l.Rungs[len(l.Rungs)-1])
			waits = cmp.Or(waits, l.Stopped)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", u.Service, u.From, to, u.State, pull, waits)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, d := range s.Dispatches {
		if !d.Done && len(d.Outcomes) == 0 {
			fmt.Fprintf(out, "%s:%s: not planned yet\n", d.Image, d.Tag)
		}
		for _, o := range d.Outcomes {
			if o.Reason == "" {
				continue
			}
			fmt.Fprintf(out, "%s:%s: %s%s\n", d.Image, d.Tag, waiting(o), outcomeLine(o))
		}
	}
	return nil
}
