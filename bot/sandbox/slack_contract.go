package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// slackMethod is what Slack's documentation says of a method's arguments.
type slackMethod struct {
	required []string
	optional []string
}

// slackMethods are the methods that belay may call, each with the arguments of
// its documentation. "token" may come as a header.
var slackMethods = map[string]slackMethod{
	"auth.test": {},
	"chat.postMessage": {required: []string{"channel"}, optional: []string{"as_user", "attachments", "blocks", "icon_emoji", "icon_url", "link_names", "markdown_text",
		"metadata", "mrkdwn", "parse", "reply_broadcast", "text", "thread_ts", "unfurl_links", "unfurl_media", "username"}},
	"chat.update": {required: []string{"channel", "ts"}, optional: []string{"as_user", "attachments", "blocks", "file_ids", "link_names", "markdown_text", "metadata", "parse",
		"reply_broadcast", "text"}},
	"conversations.history": {required: []string{"channel"}, optional: []string{"cursor", "include_all_metadata", "inclusive", "latest", "limit", "oldest"}},
	"conversations.replies": {required: []string{"channel", "ts"}, optional: []string{"cursor", "include_all_metadata", "inclusive", "latest", "limit", "oldest"}},
}

var (
	slackID   = regexp.MustCompile(`^[CGD][A-Z0-9]{8,}$`)       // C0123456789
	slackName = regexp.MustCompile(`^#?[a-z0-9][a-z0-9_-]*$`)   // #upgrades
	slackTS   = regexp.MustCompile(`^\d{10}\.\d{6}$`)           // 1405894322.002768
	slackFlag = regexp.MustCompile(`^(true|false|0|1)$`)        // true
	slackKind = regexp.MustCompile(`^[a-z0-9_]{1,255}$`)        // belay_upgrade
	slackTime = regexp.MustCompile(`^\d{1,10}(\.\d{1,6})?$|^$`) // 1405894322.002768, 1405894322
)

// The limits of a message, in characters and in number.
const (
	slackMaxText    = 40_000
	slackMaxSection = 3_000
	slackMaxBlocks  = 50
	slackMaxFields  = 10
)

// checkArguments holds a call against the method's documentation.
func checkArguments(name string, args url.Values) error {
	m, ok := slackMethods[name]
	if !ok {
		return fmt.Errorf("the method is not one that belay may call")
	}
	for key, values := range args {
		if key != "token" && !slices.Contains(m.required, key) && !slices.Contains(m.optional, key) {
			return fmt.Errorf("the method has no argument %q", key)
		}
		if len(values) != 1 {
			return fmt.Errorf("argument %q is given %d times", key, len(values))
		}
		if err := checkForm(name, key, values[0]); err != nil {
			return err
		}
	}
	for _, key := range m.required {
		if args.Get(key) == "" {
			return fmt.Errorf("argument %q is missing", key)
		}
	}
	if strings.HasPrefix(name, "chat.") && args.Get("text") == "" && args.Get("blocks") == "" {
		return refused("no_text")
	}
	if args.Get("reply_broadcast") == "true" && name == "chat.postMessage" && args.Get("thread_ts") == "" {
		return fmt.Errorf("reply_broadcast is for answers in a thread")
	}
	return nil
}

func checkForm(method, key, value string) error {
	ok := true
	switch key {
	case "channel":
		ok = slackID.MatchString(value) || method == "chat.postMessage" && slackName.MatchString(value)
	case "ts", "thread_ts":
		ok = slackTS.MatchString(value)
	case "oldest", "latest":
		ok = slackTime.MatchString(value)
	case "unfurl_links", "unfurl_media", "mrkdwn", "reply_broadcast", "link_names", "inclusive", "include_all_metadata", "as_user":
		ok = slackFlag.MatchString(value)
	case "parse":
		ok = value == "none" || value == "full"
	case "metadata":
		var meta struct {
			Type    string          `json:"event_type"`
			Payload json.RawMessage `json:"event_payload"`
		}
		err := json.Unmarshal([]byte(value), &meta)
		ok = err == nil && slackKind.MatchString(meta.Type) && strings.HasPrefix(string(meta.Payload), "{")
	}
	if !ok {
		return fmt.Errorf("argument %s=%q has the wrong form", key, value)
	}
	return nil
}

// slackText is a text object.
type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Emoji    *bool  `json:"emoji"`
	Verbatim *bool  `json:"verbatim"`
}

func (t slackText) check() error {
	switch n := utf8.RuneCountInString(t.Text); {
	case t.Type != "mrkdwn" && t.Type != "plain_text":
		return fmt.Errorf("a text object of type %q", t.Type)
	case t.Type == "mrkdwn" && t.Emoji != nil:
		return fmt.Errorf("emoji is for plain_text")
	case t.Type == "plain_text" && t.Verbatim != nil:
		return fmt.Errorf("verbatim is for mrkdwn")
	case n == 0 || n > slackMaxSection:
		return fmt.Errorf("a text of %d characters; 1 to %d are taken", n, slackMaxSection)
	}
	return nil
}

// content checks the text and the blocks of a message and returns what people see.
func content(text, blocks string) (string, error) {
	if utf8.RuneCountInString(text) > slackMaxText {
		return "", refused("msg_too_long")
	}
	if blocks == "" {
		return text, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(blocks), &list); err != nil {
		return "", refused("invalid_blocks_format")
	}
	if len(list) > slackMaxBlocks {
		return "", fmt.Errorf("%d blocks; %d are taken", len(list), slackMaxBlocks)
	}
	var shown []string
	for i, raw := range list {
		texts, err := block(raw)
		if err != nil {
			return "", fmt.Errorf("block %d: %w", i, err)
		}
		shown = append(shown, texts...)
	}
	return strings.Join(shown, "\n"), nil
}

// block checks one block of the kinds that belay uses.
func block(raw json.RawMessage) ([]string, error) {
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	var texts []slackText
	switch kind.Type {
	case "section":
		var b struct {
			Type   string      `json:"type"`
			ID     string      `json:"block_id"`
			Text   *slackText  `json:"text"`
			Fields []slackText `json:"fields"`
			Expand bool        `json:"expand"`
		}
		if err := dec.Decode(&b); err != nil {
			return nil, err
		}
		if b.Text == nil || len(b.Fields) > slackMaxFields {
			return nil, fmt.Errorf("a section has a text, and at most %d fields", slackMaxFields)
		}
		texts = append([]slackText{*b.Text}, b.Fields...)
	case "context":
		var b struct {
			Type     string      `json:"type"`
			ID       string      `json:"block_id"`
			Elements []slackText `json:"elements"`
		}
		if err := dec.Decode(&b); err != nil {
			return nil, err
		}
		if len(b.Elements) == 0 || len(b.Elements) > slackMaxFields {
			return nil, fmt.Errorf("a context has 1 to %d elements", slackMaxFields)
		}
		texts = b.Elements
	case "divider":
	default:
		return nil, fmt.Errorf("a block of type %q", kind.Type)
	}
	var out []string
	for _, t := range texts {
		if err := t.check(); err != nil {
			return nil, err
		}
		out = append(out, t.Text)
	}
	return out, nil
}

// hookMessage reads the body of an incoming webhook.
func hookMessage(data []byte) (SlackMessage, error) {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	var b struct {
		Text            string          `json:"text"`
		Blocks          json.RawMessage `json:"blocks"`
		Thread          string          `json:"thread_ts"`
		ResponseType    string          `json:"response_type"`
		ReplaceOriginal bool            `json:"replace_original"`
		DeleteOriginal  bool            `json:"delete_original"`
		UnfurlLinks     *bool           `json:"unfurl_links"`
		UnfurlMedia     *bool           `json:"unfurl_media"`
		Mrkdwn          *bool           `json:"mrkdwn"`
	}
	if err := dec.Decode(&b); err != nil {
		return SlackMessage{}, err
	}
	if b.Text == "" && len(b.Blocks) == 0 {
		return SlackMessage{}, refused("no_text")
	}
	shown, err := content(b.Text, string(b.Blocks))
	return SlackMessage{Channel: SlackChannel, Thread: b.Thread, Text: b.Text, Shown: shown, Webhook: true}, err
}
