package sandbox_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/slack-go/slack"

	"github.com/belaybot/belay/bot/sandbox"
)

func TestSlackHoldsCallsAgainstTheDocumentation(t *testing.T) {
	const section = `[{"type":"section","text":{"type":"mrkdwn","text":"x"}}]`
	long := strings.Repeat("a", 3001)
	for _, tc := range []struct {
		name, method, args string
		want               string // Slack's error, "" when the call is taken
	}{
		{"a message", "chat.postMessage", "channel=C0123456789&text=x&blocks=" + url.QueryEscape(section), ""},
		{"a channel by name", "chat.postMessage", "channel=%23upgrades&text=x", ""},
		{"no channel", "chat.postMessage", "text=x", "invalid_arguments"},
		{"another channel", "chat.postMessage", "channel=C9999999999&text=x", "channel_not_found"},
		{"nothing to say", "chat.postMessage", "channel=C0123456789", "no_text"},
		{"an argument that the method does not have", "chat.postMessage", "channel=C0123456789&text=x&colour=red", "invalid_arguments"},
		{"a timestamp that is none", "chat.postMessage", "channel=C0123456789&text=x&thread_ts=1405894322", "invalid_arguments"},
		{"a thread that is not there", "chat.postMessage", "channel=C0123456789&text=x&thread_ts=1405894322.002768", "thread_not_found"},
		{"metadata without a payload", "chat.postMessage", "channel=C0123456789&text=x&metadata=" + url.QueryEscape(`{"event_type":"a"}`), "invalid_arguments"},
		{"a text over 40,000 characters", "chat.postMessage", "channel=C0123456789&text=" + strings.Repeat("a", 40_001), "msg_too_long"},
		{"a section over 3,000 characters", "chat.postMessage", "channel=C0123456789&blocks=" + url.QueryEscape(strings.Replace(section, `"x"`, `"`+long+`"`, 1)), "invalid_arguments"},
		{"51 blocks", "chat.postMessage", "channel=C0123456789&blocks=" + url.QueryEscape("["+strings.Repeat(`{"type":"divider"},`, 50)+`{"type":"divider"}]`), "invalid_arguments"},
		{"blocks that are no JSON", "chat.postMessage", "channel=C0123456789&blocks=x", "invalid_blocks_format"},
		{"a field that a block does not have", "chat.postMessage", "channel=C0123456789&blocks=" + url.QueryEscape(`[{"type":"divider","x":1},{"type":"section","x":1}]`), "invalid_arguments"},
		{"an update by the channel's name", "chat.update", "channel=upgrades&ts=1405894322.002768&text=x", "invalid_arguments"},
		{"an update of what is not there", "chat.update", "channel=C0123456789&ts=1405894322.002768&text=x", "message_not_found"},
		{"a method that belay does not need", "chat.delete", "channel=C0123456789", "invalid_arguments"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := sandbox.NewSlack(sandbox.SlackOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for token, want := range map[string]string{s.Token(): tc.want, "xoxb-other": ""} {
				resp, err := http.Post(s.URL()+tc.method, "application/x-www-form-urlencoded", strings.NewReader("token="+token+"&"+tc.args))
				if err != nil {
					t.Fatal(err)
				}
				body := make([]byte, 4096)
				n, _ := resp.Body.Read(body)
				_ = resp.Body.Close()
				got := string(body[:n])
				switch {
				case token != s.Token():
					if !strings.Contains(got, `"ok":false`) {
						t.Errorf("taken with a wrong token: %s", got)
					}
				case want == "" && !strings.Contains(got, `"ok":true`), want != "" && !strings.Contains(got, `"error":"`+want+`"`):
					t.Errorf("got %s, want %q", got, want)
				}
			}
		})
	}
}

func TestSlackTakesSlackGo(t *testing.T) {
	s, err := sandbox.NewSlack(sandbox.SlackOptions{Report: func(err error) { t.Error(err) }, Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := slack.New(s.Token(), slack.OptionAPIURL(s.URL()))
	if who, err := c.AuthTest(); err != nil || who.BotID == "" {
		t.Errorf("%+v %v", who, err)
	}
	if _, _, err := c.PostMessage("#upgrades", slack.MsgOptionText("one", false)); err != nil {
		t.Error(err)
	}
	if err := slack.PostWebhook(s.WebhookURL(), &slack.WebhookMessage{Text: "two"}); err != nil {
		t.Error(err)
	}
	_, _, err = c.PostMessage("#upgrades", slack.MsgOptionText("three", false))
	var limit *slack.RateLimitedError
	if !errors.As(err, &limit) || limit.RetryAfter == 0 {
		t.Errorf("over the limit: %v", err)
	}
	if err := slack.PostWebhook(s.WebhookURL()+"x", &slack.WebhookMessage{Text: "x"}); err == nil {
		t.Error("taken at a wrong address")
	}
}
