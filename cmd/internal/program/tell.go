package program

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/belaybot/belay/bot/notify"
)

// TellFlags say where people are told how upgrades go.
type TellFlags struct{ channel, api string }

// Flags adds them to a command.
func (f *TellFlags) Flags(c *cobra.Command) {
	c.Flags().StringVar(&f.channel, "slack-channel", os.Getenv("BELAY_SLACK_CHANNEL"), "`channel` for the Slack bot of BELAY_SLACK_TOKEN: its id, or its name [$BELAY_SLACK_CHANNEL]")
	c.Flags().StringVar(&f.api, "slack-api", "", "`URL` of Slack's Web API, where it is not the usual one")
}

// Options reads the flags and the environment. No error shows a secret.
func (f *TellFlags) Options() (notify.Options, error) {
	o := notify.Options{SlackAPI: f.api, SlackChannel: f.channel}
	given := map[string]func() string{}
	for _, name := range []string{"SLACK_TOKEN", "SLACK_WEBHOOK", "NOTIFY_WEBHOOK", "NOTIFY_SECRET"} {
		value, err := Secret(name)
		if err != nil {
			return o, err
		}
		if value == "" {
			continue
		}
		if name == "SLACK_WEBHOOK" || name == "NOTIFY_WEBHOOK" {
			if !WebURL(value) {
				return o, fmt.Errorf("BELAY_%s is not a URL: give one that begins with https:// (it is not shown here, since it is a secret)", name)
			}
		}
		given[name] = Rotating(name)
	}
	o.SlackToken, o.SlackWebhook, o.Webhook, o.WebhookSecret = given["SLACK_TOKEN"], given["SLACK_WEBHOOK"], given["NOTIFY_WEBHOOK"], given["NOTIFY_SECRET"]
	switch {
	case o.SlackToken != nil && o.SlackWebhook != nil:
		return o, errors.New("BELAY_SLACK_TOKEN and BELAY_SLACK_WEBHOOK are both set: choose the bot, which keeps one message per upgrade up to date, or the incoming webhook")
	case o.SlackToken != nil && f.channel == "":
		return o, errors.New("--slack-channel is missing: the id of the channel (Slack shows it at the end of the channel's details), or its name")
	case o.SlackToken == nil && f.channel != "":
		return o, errors.New("BELAY_SLACK_TOKEN is missing: --slack-channel is for a bot, an incoming webhook has its own channel")
	case f.api != "" && !WebURL(f.api):
		return o, fmt.Errorf("--slack-api %q is not a URL: give one such as https://slack.com/api", f.api)
	case o.WebhookSecret != nil && o.Webhook == nil:
		return o, errors.New("BELAY_NOTIFY_SECRET is set, and BELAY_NOTIFY_WEBHOOK, which it signs for, is not")
	}
	return o, nil
}

// WebURL reports whether a text is an address that requests can go to.
func WebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != ""
}
