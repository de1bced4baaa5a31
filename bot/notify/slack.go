package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/belaybot/belay/bot/report"
)

// slackBot tells by a bot: one message per upgrade or ladder, kept up to date, with the
// events in its thread.
type slackBot struct {
	opts   Options
	client *http.Client
}

// channelID matches a channel's id: C0123456789; not #upgrades.
var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{8,}$`)

// metaType marks belay's own messages, so that one whose answer was lost is
// found again.
const metaType = "belay_upgrade"

// around is how far from the moment of the attempt such a message is looked for:
// clocks differ.
const around = 5 * time.Minute

// talk is one round of telling about one upgrade.
type talk struct {
	b    *slackBot
	api  *slack.Client
	key  string // the token, to be kept out of errors
	s    story
	t    *told
	save func() error
}

func (b *slackBot) tell(ctx context.Context, s story, t *told, save func() error) error {
	if t.Channel != b.opts.SlackChannel { // another channel was configured
		t.Channel, t.Room, t.TS, t.Hash, t.Intent = b.opts.SlackChannel, "", "", "", ""
	}
	if t.TS == "" && len(s.news) == 0 {
		return nil
	}
	token := b.opts.SlackToken()
	if token == "" {
		return &permanent{why: "the token is missing: set BELAY_SLACK_TOKEN"}
	}
	options := []slack.Option{slack.OptionHTTPClient(b.client)}
	if b.opts.SlackAPI != "" {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(b.opts.SlackAPI, "/")+"/"))
	}
	k := &talk{b: b, api: slack.New(token, options...), key: token, s: s, t: t, save: save}
	if err := k.message(ctx); err != nil {
		return err
	}
	for _, h := range s.news {
		if err := k.reply(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// message posts the message of the upgrade, or brings it up to date.
func (k *talk) message(ctx context.Context) error {
	m := report.SlackUpgrade(k.s.view)
	sum := sumOf(m)
	if k.t.TS != "" {
		if k.t.Hash == sum {
			return nil
		}
		_, _, _, err := k.api.UpdateMessageContext(ctx, k.t.Room, k.t.TS, slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(blocks(m)...), slack.MsgOptionParse(false))
		switch slackCode(err) {
		case "message_not_found": // somebody deleted it: a new one takes its place
			k.t.TS, k.t.Room = "", ""
			if len(k.s.news) == 0 {
				return nil // until there is news
			}
			return k.message(ctx)
		case "edit_window_closed", "cant_update_message", "update_failed", "is_inactive":
			k.b.opts.Log.Warn("the message cannot be brought up to date; its thread goes on", "upgrade", k.s.u.ID, "why", slackCode(err))
			err = nil
		}
		if err != nil {
			return failure(err, k.key)
		}
		k.t.Hash = sum
		return k.save()
	}
	room, ts, err := k.post(ctx, "message", m)
	if err != nil {
		return failure(err, k.key)
	}
	k.t.Room, k.t.TS, k.t.Hash, k.t.Intent, k.t.Meant = room, ts, sum, "", time.Time{}
	return k.save()
}

// reply tells of one event in the message's thread; what a person has to act on
// shows in the channel too.
func (k *talk) reply(ctx context.Context, h happening) error {
	what, m := fmt.Sprint("event ", h.event.ID), report.SlackReply(h.say)
	_, _, err := k.post(ctx, what, m, k.thread(h)...)
	if code := slackCode(err); code == "thread_not_found" || code == "message_not_found" { // somebody deleted the message
		k.t.TS, k.t.Room = "", ""
		if err := k.message(ctx); err != nil {
			return err
		}
		_, _, err = k.post(ctx, what, m, k.thread(h)...)
	}
	if err != nil {
		return failure(err, k.key)
	}
	k.t.Last, k.t.Intent, k.t.Meant = h.event.ID, "", time.Time{}
	return k.save()
}

func (k *talk) thread(h happening) []slack.MsgOption {
	out := []slack.MsgOption{slack.MsgOptionTS(k.t.TS)}
	if h.say.Alarm {
		out = append(out, slack.MsgOptionBroadcast())
	}
	return out
}

// post posts one message unless an earlier attempt, whose answer nobody saw, did.
func (k *talk) post(ctx context.Context, what string, m report.Slack, more ...slack.MsgOption) (room, ts string, err error) {
	if k.t.Intent == what {
		if room, ts, err = k.find(ctx, what); err != nil || ts != "" {
			return room, ts, err
		}
	}
	k.t.Intent, k.t.Meant = what, k.b.opts.Now()
	if err := k.save(); err != nil {
		return "", "", err
	}
	options := append([]slack.MsgOption{slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(blocks(m)...), slack.MsgOptionParse(false),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: metaType, EventPayload: map[string]any{"upgrade": k.s.key, "what": what}})}, more...)
	room = k.t.Room
	if room == "" {
		room = k.b.opts.SlackChannel
	}
	room, ts, err = k.api.PostMessageContext(ctx, room, options...)
	if err == nil && ts == "" {
		err = errors.New("slack answered without the message's ts")
	}
	if err != nil && unsent(err) {
		k.t.Intent, k.t.Meant = "", time.Time{}
		if err := k.save(); err != nil {
			return "", "", err
		}
	}
	return room, ts, err
}

// find looks for a message that an earlier attempt may have posted. "" when it
// is not there, or when the bot may not look.
func (k *talk) find(ctx context.Context, what string) (room, ts string, err error) {
	room = k.t.Room
	if room == "" {
		room = k.b.opts.SlackChannel
	}
	if !channelID.MatchString(room) {
		k.b.opts.Log.Info("a message may be told twice: --slack-channel is a name, and looking needs the channel's id", "upgrade", k.s.u.ID)
		return "", "", nil
	}
	oldest, latest := stamp(k.t.Meant.Add(-around)), stamp(k.t.Meant.Add(around))
	var found []slack.Message
	if k.t.TS != "" {
		found, _, _, err = k.api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{ChannelID: room, Timestamp: k.t.TS, Oldest: oldest, Latest: latest, Limit: 200, IncludeAllMetadata: true})
	} else {
		var page *slack.GetConversationHistoryResponse
		page, err = k.api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: room, Oldest: oldest, Latest: latest, Limit: 200, IncludeAllMetadata: true})
		if page != nil {
			found = page.Messages
		}
	}
	if failed := failure(err, k.key); failed != nil {
		var never *permanent
		if errors.As(failed, &never) {
			k.b.opts.Log.Info("a message may be told twice: the bot may not look whether it is there (scope channels:history or groups:history)", "upgrade", k.s.u.ID, "why", never)
			return "", "", nil
		}
		return "", "", failed
	}
	for _, m := range found {
		if m.Metadata.EventType == metaType && m.Metadata.EventPayload["upgrade"] == k.s.key && m.Metadata.EventPayload["what"] == what {
			return room, m.Timestamp, nil
		}
	}
	return "", "", nil
}

// stamp is a moment in Slack's form: 1405894322.002768.
func stamp(t time.Time) string {
	return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000)
}

// blocks are a message's blocks. Texts are verbatim: nothing in them is made a
// link or a mention that belay did not make one.
func blocks(m report.Slack) []slack.Block {
	out := []slack.Block{slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, m.Body, false, true), nil, nil)}
	if m.Context != "" {
		out = append(out, slack.NewContextBlock("", slack.NewTextBlockObject(slack.MarkdownType, m.Context, false, true)))
	}
	return out
}

func sumOf(m report.Slack) string {
	sum := sha256.Sum256([]byte(m.Text + "\x00" + m.Body + "\x00" + m.Context))
	return hex.EncodeToString(sum[:8])
}

// slackHook tells by an incoming webhook, which cannot change what it has said:
// one message for each event that matters.
type slackHook struct {
	opts   Options
	client *http.Client
}

func (h *slackHook) tell(ctx context.Context, s story, t *told, save func() error) error {
	for _, e := range s.news {
		if e.say.Important {
			address := h.opts.SlackWebhook()
			if address == "" {
				return &permanent{why: "the address is missing: set BELAY_SLACK_WEBHOOK"}
			}
			m := report.SlackAlone(e.view, e.say)
			no := false
			err := slack.PostWebhookCustomHTTPContext(ctx, address, h.client, &slack.WebhookMessage{Text: m.Text, Blocks: &slack.Blocks{BlockSet: blocks(m)}, UnfurlLinks: &no, UnfurlMedia: &no})
			if err := failure(err, address); err != nil {
				return err
			}
		}
		t.Last = e.event.ID
		if err := save(); err != nil {
			return err
		}
	}
	return nil
}
