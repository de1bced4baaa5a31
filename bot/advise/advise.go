// Package advise asks the adviser, a language model behind Anthropic's Messages
// API, about an upgrade.
//
// In goes an advice.Question; out comes an advice.Outcome and never an error: an
// upgrade goes on without advice, with the risk that the rules gave it. What is
// asked and what of the answer counts is decided by rules/advice. The model is
// given no tools. An upgrade is asked about once: answers are kept, and so is
// what was spent. See SPEC section 16.
package advise

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaybot/belay/bot/credentials"
	"github.com/belaybot/belay/rules/advice"
)

// What an adviser has unless it is said otherwise.
const (
	DefaultURL        = "https://api.anthropic.com"
	DefaultModel      = anthropic.ModelClaudeSonnet5_5
	DefaultPerUpgrade = 40_000  // tokens, by estimate
	DefaultPerDay     = 500_000 // tokens
	DefaultTimeout    = 90 * time.Second
)

// maxOutput is how many tokens an answer may take, a model's thinking included.
const maxOutput = 4_000

// Times for which answers and refusals are kept in mind.
const (
	keepAdvice  = 90 * 24 * time.Hour // longer than an upgrade stays open
	keepFailure = 24 * time.Hour      // nonsense and refusals are not asked for again
	keepRefused = time.Hour           // a credential that was refused is left out
	quietMin    = time.Minute         // after trouble nobody is asked
	quietMax    = time.Hour
)

// Memory keeps answers between runs. *store.Store and Dir are memories. Kept
// returns an error for what is not there, whichever; an adviser that cannot
// remember asks again.
type Memory interface {
	Keep(ctx context.Context, name, value string, until time.Time) error
	Kept(ctx context.Context, name string) (string, error)
}

// Credential is a key or a token for the API.
type Credential struct {
	Label string                 // by which people know it: "adviser_key"
	Read  func() (string, error) // "" is not configured
	Token bool                   // a long-lived OAuth token in place of an API key
	// Minted and Lifetime read when it was made and how long it lives, as
	// configured; nil or "" says nothing.
	Minted, Lifetime func() (string, error)
	Spare            bool // for when another is refused
}

// Options set up an Adviser. What is zero takes the default above.
type Options struct {
	URL         string
	Model       string
	Credentials []Credential // in the order in which they are tried: the spare ones last
	PerUpgrade  int          // tokens for one question and its answer, by estimate
	PerDay      int          // tokens for all of a day, in UTC
	Timeout     time.Duration
	Retries     int    // after trouble that may pass at once
	Memory      Memory // nil remembers for as long as the process lives
	Eye         *credentials.Registry
	HTTP        http.RoundTripper
	Now         func() time.Time
	Log         *slog.Logger
}

// Adviser asks. It may be used by several goroutines; one question is asked at a time.
type Adviser struct {
	opts    Options
	url     *url.URL
	asked   *prometheus.CounterVec
	tokens  *prometheus.CounterVec
	turn    chan struct{} // one question at a time: what is being asked is then found kept; guards what follows
	refused map[[sha256.Size]byte]time.Time
	quiet   time.Time // until then nobody is asked
	why     string
}

// ErrURL goes on from the name of what gives the address.
var ErrURL = errors.New("is not a URL: give one such as " + DefaultURL)

// New makes an Adviser. It returns an error, ErrURL, for an address that is no URL.
func New(opts Options) (*Adviser, error) {
	if opts.URL == "" {
		opts.URL = DefaultURL
	}
	u, err := url.Parse(opts.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("--adviser-url (BELAY_ADVISER_URL) %w", ErrURL)
	}
	if opts.Model == "" {
		opts.Model = DefaultModel
	}
	if opts.PerUpgrade == 0 {
		opts.PerUpgrade = DefaultPerUpgrade
	}
	if opts.PerDay == 0 {
		opts.PerDay = DefaultPerDay
	}
	if opts.PerUpgrade < 2*maxOutput {
		return nil, fmt.Errorf("--adviser-tokens %d: an answer alone may take %d, so give %d at least", opts.PerUpgrade, maxOutput, 2*maxOutput)
	}
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.HTTP == nil {
		opts.HTTP = http.DefaultTransport
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Memory == nil {
		opts.Memory = newShort(opts.Now)
	}
	a := &Adviser{opts: opts, url: u, refused: map[[sha256.Size]byte]time.Time{}, turn: make(chan struct{}, 1),
		asked:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belay_adviser_questions_total", Help: "Upgrades that the adviser was to be asked about, by what came of it."}, []string{"outcome"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belay_adviser_tokens_total", Help: "Tokens that the adviser has used."}, []string{"kind"}),
	}
	for _, c := range opts.Credentials {
		opts.Eye.Keep(credentials.Kept{Name: c.Label, Read: c.Read, Minted: c.Minted, Lifetime: c.Lifetime, Spare: c.Spare, Ask: credentials.Get(opts.HTTP, u.JoinPath("v1/models").String()+"?limit=1", c.sign)})
	}
	return a, nil
}

// On reports whether there is a credential to ask with.
func (a *Adviser) On() bool {
	if a == nil {
		return false
	}
	for _, c := range a.opts.Credentials {
		if secret, err := c.Read(); err != nil || strings.TrimSpace(secret) != "" {
			return true
		}
	}
	return false
}

// kept is an answer or a failure as it is kept.
type kept struct {
	Advice  *advice.Advice `json:"advice,omitempty"`
	Problem string         `json:"problem,omitempty"`
}

// Advise asks about an upgrade, or finds what was answered before. An earlier
// answer about the same versions counts where no new one can be had: advice that
// raised the risk does not go away because nobody answers.
func (a *Adviser) Advise(ctx context.Context, q advice.Question) advice.Outcome {
	if !a.On() {
		return advice.Outcome{}
	}
	if why := q.Silent(); why != "" {
		return advice.Outcome{Problem: why}
	}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return advice.Outcome{Problem: "the adviser was busy with other upgrades"}
	}
	key, subject := "advice/"+q.Key(a.opts.Model), "advice/last/"+q.Subject()
	if was, ok := a.recall(ctx, key); ok {
		a.asked.WithLabelValues("known").Inc()
		return a.orEarlier(ctx, subject, was)
	}
	got, again := a.ask(ctx, q)
	if got.Advice != nil {
		a.asked.WithLabelValues("answered").Inc()
		a.keep(ctx, key, got, keepAdvice)
		a.keep(ctx, subject, got, keepAdvice)
		a.opts.Log.Info("the adviser answered", "images", q.Images, "to", q.To, "risk", got.Advice.Level, "dropped", got.Advice.Dropped)
		return advice.Outcome{Advice: got.Advice}
	}
	a.asked.WithLabelValues("failed").Inc()
	if !again {
		a.keep(ctx, key, got, keepFailure)
	}
	a.opts.Log.Warn("no advice: the risk is what the rules say", "images", q.Images, "to", q.To, "why", got.Problem)
	return a.orEarlier(ctx, subject, got)
}

func (a *Adviser) orEarlier(ctx context.Context, subject string, got kept) advice.Outcome {
	if got.Advice == nil {
		if was, ok := a.recall(ctx, subject); ok && was.Advice != nil {
			return advice.Outcome{Advice: was.Advice}
		}
	}
	return advice.Outcome{Advice: got.Advice, Problem: got.Problem}
}

func (a *Adviser) recall(ctx context.Context, name string) (kept, bool) {
	text, err := a.opts.Memory.Kept(ctx, name)
	var was kept
	if err != nil || json.Unmarshal([]byte(text), &was) != nil || was.Advice == nil && was.Problem == "" {
		return kept{}, false
	}
	return was, true
}

func (a *Adviser) keep(ctx context.Context, name string, k kept, d time.Duration) {
	data, err := json.Marshal(k)
	if err == nil {
		// Also when the caller has lost patience: it was paid for.
		err = a.opts.Memory.Keep(context.WithoutCancel(ctx), name, string(data), a.opts.Now().Add(d))
	}
	if err != nil {
		a.opts.Log.Warn("what the adviser said could not be kept; it will be asked again", "why", err)
	}
}

// ask asks the API. again says that asking again later may help.
func (a *Adviser) ask(ctx context.Context, q advice.Question) (got kept, again bool) {
	now := a.opts.Now()
	if now.Before(a.quiet) {
		return kept{Problem: a.why}, true
	}
	prompt := advice.Write(q, a.opts.PerUpgrade-maxOutput)
	estimate := (len(prompt.System)+len(prompt.User))/advice.BytesPerToken + maxOutput
	spent := a.spent(ctx)
	if spent+estimate > a.opts.PerDay {
		return kept{Problem: fmt.Sprintf("the adviser's %d tokens for today are used up", a.opts.PerDay)}, true
	}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	// Counted before: what breaks off was used all the same.
	a.spend(ctx, spent+estimate)
	message, problem := a.send(ctx, prompt)
	if problem != nil {
		if problem.unsent {
			a.spend(ctx, spent)
		}
		if problem.quiet > 0 {
			a.quiet, a.why = now.Add(min(max(problem.quiet, quietMin), quietMax)), problem.text
		}
		return kept{Problem: problem.text}, true
	}
	in, out := int(message.Usage.InputTokens+message.Usage.CacheCreationInputTokens+message.Usage.CacheReadInputTokens), int(message.Usage.OutputTokens)
	a.spend(ctx, spent+max(in, 0)+max(out, 0))
	a.tokens.WithLabelValues("input").Add(float64(max(in, 0)))
	a.tokens.WithLabelValues("output").Add(float64(max(out, 0)))
	said, err := read(q, message)
	if err != nil {
		return kept{Problem: err.Error()}, false
	}
	said.Model, said.Cut = a.opts.Model, prompt.Cut
	return kept{Advice: &said}, false
}

// read takes the answer out of a message.
func read(q advice.Question, m *anthropic.Message) (advice.Advice, error) {
	switch m.StopReason {
	case anthropic.StopReasonEndTurn, anthropic.StopReasonStopSequence:
	case anthropic.StopReasonRefusal:
		return advice.Advice{}, errors.New("the adviser declined to answer")
	case anthropic.StopReasonMaxTokens, anthropic.StopReasonModelContextWindowExceeded:
		return advice.Advice{}, errors.New("the adviser's answer was cut off")
	default:
		return advice.Advice{}, fmt.Errorf("the adviser did not end its answer (%.40q)", m.StopReason)
	}
	text := ""
	for _, b := range m.Content {
		switch b.Type {
		case "text":
			text += b.Text
		case "thinking", "redacted_thinking":
		default: // it was given no tools, so what asks for one is no answer
			return advice.Advice{}, fmt.Errorf("the adviser answered with something else than text (%.40q)", b.Type)
		}
	}
	said, err := advice.Read(q, []byte(text))
	if err != nil {
		return said, fmt.Errorf("the adviser's answer cannot be used: %w", err)
	}
	return said, nil
}

// day names what was spent today.
func (a *Adviser) day() string { return "advice/tokens/" + a.opts.Now().UTC().Format(time.DateOnly) }

func (a *Adviser) spent(ctx context.Context) int {
	text, err := a.opts.Memory.Kept(ctx, a.day())
	n := 0
	if err == nil {
		_, _ = fmt.Sscanf(text, "%d", &n)
	}
	return max(n, 0)
}

func (a *Adviser) spend(ctx context.Context, n int) {
	if err := a.opts.Memory.Keep(context.WithoutCancel(ctx), a.day(), fmt.Sprint(n), a.opts.Now().Add(48*time.Hour)); err != nil {
		a.opts.Log.Warn("the adviser's tokens could not be counted", "why", err)
	}
}

// Describe implements prometheus.Collector.
func (a *Adviser) Describe(ch chan<- *prometheus.Desc) { a.asked.Describe(ch); a.tokens.Describe(ch) }

// Collect implements prometheus.Collector.
func (a *Adviser) Collect(ch chan<- prometheus.Metric) { a.asked.Collect(ch); a.tokens.Collect(ch) }

// sign puts the credential on a request.
func (c Credential) sign(h http.Header, secret string) {
	h.Set("Anthropic-Version", "2023-06-01")
	if c.Token {
		credentials.Bearer(h, secret)
		h.Set("Anthropic-Beta", tokenBeta)
		return
	}
	h.Set("X-Api-Key", secret)
}

// options are those of a request that carries the credential.
func (c Credential) options(secret string) []option.RequestOption {
	if c.Token {
		return []option.RequestOption{option.WithAuthToken(secret), option.WithHeader("anthropic-beta", tokenBeta)}
	}
	return []option.RequestOption{option.WithAPIKey(secret)}
}

// tokenBeta is the beta that the API asks of requests with an OAuth token.
const tokenBeta = "oauth-2025-04-20"
