package action

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"unicode"

	"github.com/sethvargo/go-githubactions"
	"go.yaml.in/yaml/v3"
)

// Hider has the runner replace secrets in all that the job prints from now on.
// Use Masks to make one.
type Hider struct{ runner *githubactions.Action }

// Masks is a Hider that speaks to the runner through its standard output, which
// has to be w itself: a mask is the secret to the letter.
func Masks(w io.Writer) *Hider { return &Hider{githubactions.New(githubactions.WithWriter(w))} }

// How long a text is at least that is worth hiding: shorter ones would blot out
// ordinary words. minWord is for what may not be a secret at all.
const (
	minSecret = 4
	minWord   = 8
)

// Hide masks secrets, those of several lines line by line.
func (h *Hider) Hide(secrets ...string) {
	for _, s := range secrets {
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); len(line) >= minSecret {
				h.mask(line)
			}
		}
	}
}

// Kubeconfig masks the tokens, passwords and private keys in a kubeconfig, in
// whichever form of YAML or JSON it is written. One that cannot be read is
// masked word by word.
func (h *Hider) Kubeconfig(text string) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err == nil {
		h.walk("", v)
		return
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		v = nil
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			break
		}
		h.walk("", v)
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"'`,{}[]", r) }) {
		if len(word) >= minWord && !strings.HasSuffix(word, ":") {
			h.mask(word)
		}
	}
}

// walk masks what stands in a value, which a map has under a key.
func (h *Hider) walk(key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, below := range v {
			h.walk(k, below)
		}
	case []any:
		for _, below := range v {
			h.walk(key, below)
		}
	case string:
		if u, err := url.Parse(v); err == nil && u.User != nil {
			password, _ := u.User.Password()
			h.Hide(password)
		}
		if !isSecret(key) {
			return
		}
		h.Hide(v)
		// A library that cannot use a key may quote it as it is inside.
		if inside, err := base64.StdEncoding.DecodeString(strings.TrimSpace(v)); err == nil && strings.HasSuffix(key, "-data") {
			for line := range strings.Lines(string(inside)) {
				if !strings.HasPrefix(line, "-----") {
					h.Hide(line)
				}
			}
		}
	}
}

// isSecret reports whether a kubeconfig keeps a secret under a key: "token",
// "password", "client-key-data", "id-token", "client-secret", and "value", which
// an environment variable has. What names a file is none: "tokenFile".
func isSecret(key string) bool {
	key = strings.ToLower(key)
	if strings.HasSuffix(key, "file") {
		return false
	}
	for _, part := range []string{"token", "password", "key-data", "secret"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return key == "value"
}

// mask hides one line, as it is and as Plain writes it.
func (h *Hider) mask(secret string) {
	h.runner.AddMask(secret)
	var b strings.Builder
	_, _ = io.WriteString(Plain(&b), secret) // a Builder takes everything
	if b.String() != secret {
		h.runner.AddMask(b.String())
	}
}
