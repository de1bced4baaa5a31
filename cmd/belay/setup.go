package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/cluster"
	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/cmd/internal/program"
)

// kept are the secrets that the setup keeps, by the name of their file.
var kept = map[string]string{"app-id": "APP_ID", "app-key": "APP_KEY", "webhook-secret": "WEBHOOK_SECRET", "diun-token": "DIUN_TOKEN",
	"client-id": "GITHUB_CLIENT_ID", "client-secret": "GITHUB_CLIENT_SECRET"}

// setupFlags say where the setup keeps the App's credentials, and where belay is.
type setupFlags struct {
	secret, url string
}

func (f *setupFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.secret, "credentials-secret", os.Getenv("BELAY_CREDENTIALS_SECRET"), "`namespace/name` of the Kubernetes Secret that /setup writes them to, which is mounted at --credentials [$BELAY_CREDENTIALS_SECRET]")
	c.Flags().StringVar(&f.url, "url", os.Getenv("BELAY_URL"), "`URL` of this belay as seen from outside, for the page and /setup; without it, /setup takes what the browser asks for [$BELAY_URL]")
}

// where is the directory of the credentials.
func (f *appFlags) where() string {
	if f.credentials != "" {
		return f.credentials
	}
	return filepath.Join(f.state, "credentials")
}

// adopt has secrets that no variable gives read from the files of a directory.
// It sets BELAY_NAME_FILE, so that they may be changed as any other.
func adopt(dir string) error {
	for file, name := range kept {
		if os.Getenv("BELAY_"+name) != "" || os.Getenv("BELAY_"+name+"_FILE") != "" {
			continue
		}
		path := filepath.Join(dir, file)
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			continue
		}
		if err := os.Setenv("BELAY_"+name+"_FILE", path); err != nil {
			return err
		}
	}
	return nil
}

// configured reports whether an App is given at all.
func (f *appFlags) configured() bool {
	for _, name := range []string{"APP_ID", "APP_ID_FILE", "APP_KEY", "APP_KEY_FILE"} {
		if os.Getenv("BELAY_"+name) != "" {
			return true
		}
	}
	return f.appID != 0
}

// values are what is kept of an App that was just created.
func values(c github.Created) map[string]string {
	out := map[string]string{"app-id": strconv.FormatInt(c.ID, 10), "app-key": c.Key, "webhook-secret": c.WebhookSecret, "client-id": c.ClientID, "client-secret": c.ClientSecret}
	maps.DeleteFunc(out, func(_, value string) bool { return value == "" })
	if token, err := program.Secret("DIUN_TOKEN"); err != nil || token == "" {
		out["diun-token"] = rand.Text()
	}
	return out
}

// writeFiles keeps values in files that nobody else can read: all of them or,
// as far as that is possible, none.
func writeFiles(dir string, values map[string]string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var made []string
	defer func() {
		if err != nil {
			for _, name := range made {
				_ = os.Remove(name)
			}
		}
	}()
	for file, value := range values {
		name := filepath.Join(dir, file)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already", name)
		}
		if err != nil {
			return err
		}
		made = append(made, name)
		_, err = f.WriteString(value)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// save is where the setup keeps the credentials.
func (f *setupFlags) save(app *appFlags, kubeconfig string) func(context.Context, github.Created) (string, error) {
	return func(ctx context.Context, c github.Created) (string, error) {
		if f.secret == "" {
			dir := app.where()
			return "the directory " + dir, writeFiles(dir, values(c))
		}
		config, err := cluster.LoadConfig(kubeconfig)
		if err != nil {
			return "", err
		}
		k, err := cluster.New(cluster.Options{Config: config})
		if err != nil {
			return "", err
		}
		return "the Secret " + f.secret, k.Keep(ctx, f.secret, values(c))
	}
}

// handed is how long a Secret may take to show in the pod that mounts it.
const handed = 5 * time.Minute

// first has an App created where none is given.
func (f *setupFlags) first(ctx context.Context, app *appFlags, kubeconfig, listen string) error {
	if err := adopt(app.where()); err != nil {
		return err
	}
	if app.configured() {
		return nil
	}
	return f.run(ctx, app, kubeconfig, listen, app.logger(os.Stderr))
}

// run serves the setup until there is an App, and has its credentials adopted.
func (f *setupFlags) run(ctx context.Context, app *appFlags, kubeconfig, listen string, log *slog.Logger) error {
	token := rand.Text()
	s := server.NewSetup(server.SetupOptions{GitHub: github.Options{URL: app.url, API: app.api}, Token: token, URL: f.url, Secret: f.secret, Save: f.save(app, kubeconfig), Log: log})
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	h := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	base := strings.TrimSuffix(f.url, "/")
	if base == "" {
		base = addressOf(l)
	}
	log.Warn("there is no GitHub App yet: open the address to create it; the token in it is good until that is done, or belay starts again", "address", base+"/setup?token="+url.QueryEscape(token))
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		return h.Shutdown(ctx)
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.Join(server.ErrNotSetUp, stop())
	case <-s.Done():
	}
	if err := stop(); err != nil {
		return err
	}
	return f.await(ctx, app)
}

// await adopts the credentials as soon as they are to be read.
func (f *setupFlags) await(ctx context.Context, app *appFlags) error {
	ctx, cancel := context.WithTimeout(ctx, handed)
	defer cancel()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	dir := app.where()
	for {
		if err := adopt(dir); err != nil {
			return err
		}
		if app.configured() {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			from := ""
			if f.secret != "" {
				from = ": mount the Secret " + f.secret + " there"
			}
			return fmt.Errorf("the App was created, and its credentials do not show in %s%s; then start belay again", dir, from)
		}
	}
}
