package main

// operations are the REST operations that belay calls, by method and path.
var operations = []string{
	"get /app", "get /app/installations", "get /app/hook/config", "post /app-manifests/{code}/conversions", "get /app/hook/deliveries", "get /app/hook/deliveries/{delivery_id}",
	"get /installation/repositories", "get /repos/{owner}/{repo}/installation", "post /app/installations/{installation_id}/access_tokens",
	"get /repos/{owner}/{repo}", "get /repos/{owner}/{repo}/branches/{branch}", "get /repos/{owner}/{repo}/rules/branches/{branch}",
	"get /repos/{owner}/{repo}/pulls", "post /repos/{owner}/{repo}/pulls", "patch /repos/{owner}/{repo}/pulls/{pull_number}",
	"put /repos/{owner}/{repo}/pulls/{pull_number}/merge",
	"get /repos/{owner}/{repo}/labels", "post /repos/{owner}/{repo}/labels", "put /repos/{owner}/{repo}/issues/{issue_number}/labels",
	"post /repos/{owner}/{repo}/issues", "patch /repos/{owner}/{repo}/issues/{issue_number}",
	"post /repos/{owner}/{repo}/issues/{issue_number}/comments", "get /repos/{owner}/{repo}/issues/comments/{comment_id}", "patch /repos/{owner}/{repo}/issues/comments/{comment_id}",
	"post /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
	"post /repos/{owner}/{repo}/statuses/{sha}", "post /repos/{owner}/{repo}/check-runs", "patch /repos/{owner}/{repo}/check-runs/{check_run_id}",
	"get /repos/{owner}/{repo}/collaborators/{username}/permission",
	"get /repos/{owner}/{repo}/releases", "get /repos/{owner}/{repo}/tags", "get /repos/{owner}/{repo}/contents/{path}", "get /repos/{owner}/{repo}/git/blobs/{file_sha}",
	"get /user", "get /user/installations", "get /user/installations/{installation_id}/repositories", "delete /applications/{client_id}/token",
}

// webhooks are those that belay listens to, as event and action.
var webhooks = []string{"pull_request opened", "pull_request closed", "pull_request synchronize", "pull_request reopened", "pull_request edited",
	"pull_request converted_to_draft", "pull_request ready_for_review", "pull_request_review submitted", "pull_request_review dismissed",
	"issue_comment created", "issue_comment edited", "issues edited", "issues closed", "issues reopened", "issues deleted", "check_run completed", "check_suite completed", "status", "push", "ping",
	"repository_dispatch", "repository renamed", "repository transferred",
	"installation created", "installation deleted", "installation suspend", "installation unsuspend",
	"installation_repositories added", "installation_repositories removed"}

// runs are events for which there are only workflow runs: belay gets no such
// webhooks, and the Action reads their files.
var runs = []string{"workflow_run", "workflow_dispatch"}

// fields are the parts of the GraphQL schema that belay reads.
var fields = map[string]string{
	"Query":                              "repository viewer",
	"Repository":                         "id nameWithOwner defaultBranchRef pullRequest object issue issues refs",
	"RefConnection":                      "nodes pageInfo",
	"PageInfo":                           "hasNextPage endCursor",
	"IssueConnection":                    "nodes",
	"Issue":                              "number title body state author comments",
	"Ref":                                "id name target associatedPullRequests",
	"PullRequestConnection":              "nodes",
	"GitObject":                          "oid",
	"Commit":                             "oid author statusCheckRollup",
	"GitActor":                           "email name user",
	"User":                               "login",
	"Bot":                                "login",
	"Actor":                              "login",
	"PullRequest":                        "number id state isDraft title body headRefOid headRefName headRef mergeable updatedAt mergeCommit mergedBy author labels reviews commits comments merged",
	"LabelConnection":                    "nodes",
	"Label":                              "name",
	"PullRequestReviewConnection":        "nodes",
	"PullRequestReview":                  "author state submittedAt commit",
	"PullRequestCommitConnection":        "nodes totalCount",
	"PullRequestCommit":                  "commit",
	"IssueCommentConnection":             "nodes",
	"IssueComment":                       "fullDatabaseId author body createdAt lastEditedAt editor",
	"StatusCheckRollup":                  "contexts state",
	"StatusCheckRollupContextConnection": "nodes",
	"CheckRun":                           "name status conclusion checkSuite",
	"CheckSuite":                         "app",
	"App":                                "slug",
	"StatusContext":                      "context state",
}
