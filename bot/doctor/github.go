package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belaybot/belay/bot/github"
	"github.com/belaybot/belay/rules/access"
	"github.com/belaybot/belay/rules/policy"
)

// configPath is where the configuration lives in a repository. See SPEC section 14.
const configPath = ".github/belay.yml"

// maxSkew is how far apart the clocks may be: GitHub refuses an App's token
// that is made in its future or ends later than ten minutes from its now.
const maxSkew = time.Minute

// doctor is one examination.
type doctor struct {
	Options

	mu       sync.Mutex
	names    []string
	policies map[string]policy.Policy // by repository, where it could be read
}

func (d *doctor) repositories() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.names)
}

// configured are the policies by repository, in order.
func (d *doctor) configured(f func(name string, p policy.Policy)) {
	d.mu.Lock()
	all := maps.Clone(d.policies)
	d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f(name, all[name])
	}
}

func (d *doctor) github(ctx context.Context, say *report) {
	if d.App == nil {
		say.todo(oneLine(d.AppProblem), cmp.Or(d.AppDo, "open /setup of belay serve to create the App, or set BELAY_APP_ID and BELAY_APP_KEY_FILE of the one that there is"))
		return
	}
	self, skew, err := d.App.Self(ctx)
	if skew > maxSkew || skew < -maxSkew {
		say.todo(fmt.Sprintf("this machine's clock is %s GitHub's", apart(skew)), "set the clock by NTP: GitHub refuses tokens that are made in its future, or end too late")
	}
	if err != nil {
		say.trouble(err, why(err))
		return
	}
	say.ok("the App %s is known to GitHub by its key", self.Slug)
	if skew <= maxSkew && skew >= -maxSkew {
		say.ok("this machine's clock agrees with GitHub's")
	}
	d.grant(say, "the App", self.Grant, "correct it in the App's settings, Permissions & events; then accept it in each installation")
	installations, err := d.App.Installations(ctx)
	if err != nil {
		say.trouble(err, why(err))
		return
	}
	if len(installations) == 0 {
		say.todo("the App is installed nowhere", "install it on the repository: "+strings.TrimSuffix(self.URL, "/")+"/installations/new")
	}
	for _, in := range installations {
		d.installation(ctx, say, self, in)
	}
}

// why is what to do about an answer of GitHub's.
func why(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "private key"):
		return "set BELAY_APP_KEY_FILE to the PEM file that GitHub made"
	case strings.Contains(text, "Integration not found"):
		return "correct --app-id (BELAY_APP_ID): the key is of another App"
	case strings.Contains(text, "could not be decoded"):
		return "the key is not one of this App's: make a new one in the App's settings, and check BELAY_APP_ID"
	case strings.Contains(text, "'Issued at'"), strings.Contains(text, "'Expiration time'"):
		return "set this machine's clock by NTP"
	case errors.As(err, new(*github.Limited)):
		return "wait until then"
	}
	return "see whether GitHub can be reached from here, and --github-url"
}

func apart(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Minute).String() + " behind"
	}
	return d.Round(time.Minute).String() + " ahead of"
}

// grant compares what is granted with what is needed.
func (d *doctor) grant(say *report, who string, g github.Grant, do string) {
	right := true
	for _, p := range access.Lacking(g.Permissions) {
		right = false
		say.todo(fmt.Sprintf("%s lacks the permission %s (for %s)", who, p, p.For), do)
	}
	if missing := access.Unheard(g.Events); len(missing) > 0 {
		right = false
		say.todo(fmt.Sprintf("%s does not hear of %s", who, strings.Join(missing, ", ")), do)
	}
	if more := access.Needless(g.Permissions); len(more) > 0 {
		say.note(fmt.Sprintf("%s may do more than belay needs: %s", who, strings.Join(more, ", ")), "take it away in the App's settings, if no one else uses the App")
	}
	if right {
		say.ok("%s has the permissions and events that belay needs", who)
	}
}

func (d *doctor) installation(ctx context.Context, say *report, self github.Self, in github.Installation) {
	who := "the installation on " + in.Account.Login
	if in.Suspended != nil {
		say.todo(who+" is suspended", "end that in "+in.URL)
		return
	}
	// What the App itself lacks was said already.
	if len(access.Lacking(self.Permissions)) == 0 && len(access.Unheard(self.Events)) == 0 {
		d.grant(say, who, in.Grant, "accept the new permissions in "+in.URL)
	}
	names, err := d.App.RepositoriesOf(ctx, in.ID)
	switch {
	case err != nil:
		say.trouble(err, why(err))
	case len(names) == 0:
		say.todo(who+" has no repositories", "choose them in "+in.URL)
	default:
		say.ok("%s has %s", who, strings.Join(head(names, 5), ", "))
	}
	d.mu.Lock()
	d.names = append(d.names, names...)
	d.mu.Unlock()
}

// head are the first n, and how many more there are.
func head(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
}

func (d *doctor) repository(ctx context.Context, say *report, name string) {
	repo, err := d.App.Repository(ctx, name)
	if err != nil {
		say.trouble(err, why(err))
		return
	}
	s, err := repo.Settings(ctx)
	if err != nil {
		say.trouble(err, why(err))
		return
	}
	if s.Archived {
		say.note(name+" is archived: nothing can be changed in it", "take it out of the App's installation")
		return
	}
	d.config(ctx, say, repo, s)
	merging := true
	if s.Squash != nil && !*s.Squash {
		merging = false
		say.todo(name+" does not allow squash merging", "allow it in the repository's settings, General, Pull Requests: belay merges by squash, so that one commit can be watched and undone")
	}
	if s.Methods != nil && !slices.Contains(s.Methods, "squash") {
		merging = false
		say.todo(fmt.Sprintf("a ruleset of %s allows merging by %s only", s.DefaultBranch, strings.Join(s.Methods, ", ")), "allow squash in it, in the repository's settings, Rules")
	}
	if s.Queue {
		merging = false
		say.todo(fmt.Sprintf("a ruleset of %s in %s asks for a merge queue, in which belay cannot merge", s.DefaultBranch, name), "let the App bypass it, in the repository's settings, Rules")
	}
	if s.Reviews > 0 {
		say.note(fmt.Sprintf("%s asks for %d approving review(s) on %s: SAFE upgrades wait for a person too", name, s.Reviews, s.DefaultBranch), "let the App bypass the rule, if they are to be merged without")
	}
	if merging {
		say.ok("%s lets belay merge into %s by squash", name, s.DefaultBranch)
	}
	if len(s.Required) > 0 {
		say.ok("before a merge into %s these checks have to be green: %s", s.DefaultBranch, strings.Join(s.Required, ", "))
	} else {
		say.note(fmt.Sprintf("%s requires no checks on %s: a SAFE upgrade is merged when all that are reported are green", name, s.DefaultBranch), "require those that matter, in the repository's settings, Rules")
	}
}

// config reads belay.yml as it is on the default branch.
func (d *doctor) config(ctx context.Context, say *report, repo *github.Repository, s github.Settings) {
	data, err := repo.ReadFile(ctx, s.DefaultBranch, configPath)
	p := policy.Default()
	switch {
	case errors.Is(err, github.ErrNotFound):
		say.note(fmt.Sprintf("%s has no %s: the defaults hold, and nothing is backed up", repo.Name, configPath), "belay init writes a first one")
	case err != nil:
		say.trouble(err, why(err))
		return
	default:
		if p, err = policy.Parse(configPath, data); err != nil {
			say.todo(fmt.Sprintf("%s on %s: %s", repo.Name, s.DefaultBranch, oneLine(err.Error())), "correct it: until then belay does nothing there. belay config check says the same")
			return
		}
		say.ok("%s has a right %s on %s", repo.Name, configPath, s.DefaultBranch)
		d.strays(ctx, say, repo, s.DefaultBranch, p)
		if len(p.Apply.Checks) == 0 && p.Apply.Woodpecker == nil {
			say.note(repo.Name+" does not say which checks apply a merge: the watch begins with the merge itself, whether CI has brought it to the cluster by then or not", "name them in apply.checks")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.policies == nil {
		d.policies = map[string]policy.Policy{}
	}
	d.policies[repo.Name] = p
}

// recently is how far back the delivery log is read.
const recently = 3 * 24 * time.Hour

func (d *doctor) webhook(ctx context.Context, say *report) {
	if d.WebhookSecret == nil || d.WebhookSecret() == "" {
		say.todo("there is no webhook secret: every webhook is refused", "set BELAY_WEBHOOK_SECRET_FILE to the secret in the App's settings")
	} else {
		say.ok("there is a webhook secret")
	}
	if d.App == nil {
		return
	}
	hook, err := d.App.Hook(ctx)
	if err != nil {
		say.trouble(err, why(err))
		return
	}
	d.hookAddress(say, hook)
	list, err := d.App.Deliveries(ctx, d.Now().Add(-recently))
	if err != nil {
		say.trouble(err, why(err))
		return
	}
	failed := 0
	for _, v := range list {
		if !v.Delivered {
			failed++
		}
	}
	switch {
	case len(list) == 0:
		say.note("GitHub has sent no webhook for three days", "push something to a repository of the App, and look again")
	case !list[len(list)-1].Delivered:
		say.todo(fmt.Sprintf("the last webhook (%s) was answered with %d; %d of %d failed in three days", list[len(list)-1].Event, list[len(list)-1].Status, failed, len(list)), d.undelivered(list[len(list)-1].Status))
	case failed > 0:
		say.note(fmt.Sprintf("the last webhook has arrived; %d of %d failed in three days", failed, len(list)), "nothing: belay fetches what it missed when it runs")
	default:
		say.ok("all of the %d webhooks of the last three days have arrived", len(list))
	}
}

func (d *doctor) undelivered(status int) string {
	switch status {
	case 401:
		return "the secrets differ: set the same in the App's settings, Webhook, and in BELAY_WEBHOOK_SECRET"
	case 404, 405:
		return "the webhook's address has to end with /github/webhook"
	case 0, 502, 503, 504:
		return "see whether belay serve runs, and can be reached from GitHub at the webhook's address"
	}
	return "the log of belay serve says why"
}

func (d *doctor) hookAddress(say *report, hook github.Hook) {
	u, err := url.Parse(hook.URL)
	do := "correct the address in the App's settings, Webhook"
	switch {
	case err != nil || u.Host == "":
		say.todo("the App has no address for its webhooks", do+": https://HOST/github/webhook")
		return
	case !strings.HasSuffix(u.Path, "/github/webhook"):
		say.todo("webhooks go to "+u.Redacted()+", which is not belay's path", do+": it has to end with /github/webhook")
		return
	case u.Scheme != "https":
		say.note("webhooks go to "+u.Redacted()+", without TLS", "use https:// where that is not a private network")
	default:
		say.ok("webhooks go to %s", u.Redacted())
	}
	if hook.ContentType != "" && hook.ContentType != "json" {
		say.todo("webhooks are sent as "+hook.ContentType, "choose application/json in the App's settings, Webhook")
	}
	if s := fmt.Sprint(hook.InsecureSSL); s == "1" || s == "true" {
		say.note("GitHub does not verify the certificate of the webhook's address", "enable SSL verification in the App's settings, Webhook")
	}
}
