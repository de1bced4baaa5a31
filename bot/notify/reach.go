package notify

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"
)

// Reach asks Slack whether it takes the bot's token, and says who the bot is:
// "belay in Acme". It posts nothing, so the channel is not tried.
func Reach(ctx context.Context, opts Options) (string, error) {
	if opts.SlackToken == nil || opts.SlackToken() == "" {
		return "", errors.New("the token is missing: set BELAY_SLACK_TOKEN")
	}
	token := opts.SlackToken()
	options := []slack.Option{slack.OptionHTTPClient(&http.Client{Timeout: 15 * time.Second})}
	if opts.SlackAPI != "" {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(opts.SlackAPI, "/")+"/"))
	}
	got, err := slack.New(token, options...).AuthTestContext(ctx)
	if err != nil {
		return "", failure(err, token)
	}
	return got.User + " in " + got.Team, nil
}
