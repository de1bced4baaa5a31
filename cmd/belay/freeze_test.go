package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belaybot/belay/bot/server"
	"github.com/belaybot/belay/cmd/internal/program"
)

// TestFreezeCommands is what freeze and unfreeze ask of a server, and say.
func TestFreezeCommands(t *testing.T) {
	asked := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var f server.FreezeRequest
		_ = json.NewDecoder(req.Body).Decode(&f)
		asked = req.Method + " " + req.URL.Path + " " + f.Repository + " " + f.Who + " " + f.Reason
		if f.Repository == "acme/gone" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"there are acme/home-ops","field":"repository"}`))
			return
		}
		_ = json.NewEncoder(w).Encode(server.Frozen{Repository: f.Repository, Was: f.Repository != "acme/other"})
	}))
	defer srv.Close()
	t.Setenv("BELAY_DIUN_TOKEN", "token")
	for _, tc := range []struct {
		name  string
		args  []string
		exit  int
		asked string
		says  string
	}{
		{"a repository with a reason", []string{"freeze", "--repository", "acme/home-ops", "--as", "ana", "--reason", "incident"}, program.ExitOK, "POST /api/freeze acme/home-ops ana incident", "acme/home-ops: frozen by ana: incident"},
		{"every repository", []string{"freeze", "--all", "--as", "ana"}, program.ExitOK, "POST /api/freeze  ana ", "every repository: frozen by ana"},
		{"goes on", []string{"unfreeze", "--repository", "acme/home-ops", "--as", "bo"}, program.ExitOK, "POST /api/thaw acme/home-ops bo ", "acme/home-ops: goes on"},
		{"was not frozen", []string{"unfreeze", "--repository", "acme/other", "--as", "bo"}, program.ExitNothing, "POST /api/thaw acme/other bo ", "was not frozen"},
		{"a repository that is not served", []string{"freeze", "--repository", "acme/gone", "--as", "ana"}, program.ExitUsage, "POST /api/freeze acme/gone ana ", "there are acme/home-ops"},
		{"no repository", []string{"freeze", "--as", "ana"}, program.ExitUsage, "", "or --all for every repository"},
		{"both", []string{"freeze", "--all", "--repository", "acme/home-ops"}, program.ExitUsage, "", "not both"},
		{"nobody", []string{"unfreeze", "--all", "--as", ""}, program.ExitUsage, "", "say who you are"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked = ""
			var out bytes.Buffer
			got := run(append(tc.args, "--server", srv.URL), strings.NewReader(""), &out, &out)
			if got != tc.exit || asked != tc.asked || !strings.Contains(out.String(), tc.says) {
				t.Errorf("exit %d, asked %q, said %q; want %d, %q, %q", got, asked, out.String(), tc.exit, tc.asked, tc.says)
			}
		})
	}
}
