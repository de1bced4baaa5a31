# What a fresh machine needs: Go, git and make. Tools come from hack/tools/go.mod, pinned; hack/setup brings what tests run against.
GO      ?= go
TOOL     = $(GO) tool -modfile=hack/tools/go.mod
PACKAGES = ./...
FUZZTIME ?= 30s
# SQLite is C turned into Go: checking its pointers one by one costs more than all the rest.
RACE     = -race -gcflags='modernc.org/...=-d=checkptr=0'
# The packages whose golden files and generated documents are held to the code.
CURRENT  = $$(grep -rlE 'func Test[A-Za-z]*(Golden|Schema|Current)' --include='*_test.go' cmd bot rules hack | xargs -n1 dirname | sort -u | sed 's,^,./,')
UPDATED  = $$(grep -rlE 'Bool\("update"' --include='*_test.go' cmd bot rules hack | xargs -n1 dirname | sort -u | sed 's,^,./,')

.PHONY: build demo setup kube test test-short check docs-check bench fuzz golden clean

build: ## bin/belay and bin/belay-action
	$(GO) build -trimpath -ldflags "-s -w" -o bin/ ./cmd/belay ./cmd/belay-action

demo: ## plans, then four upgrades from dispatch to end, on this machine alone
	$(GO) run ./cmd/belay demo

setup: ## what the tests need beyond Go: the Kubernetes control plane, PostgreSQL, Chromium, axe-core
	@hack/setup

kube: ## a Kubernetes control plane to look at, until Ctrl-C
	@hack/setup kube
	@$(GO) run ./hack/controlplane

test: setup ## everything, with the race detector
	$(GO) test $(RACE) -timeout 40m $(PACKAGES)
	$(GO) -C hack/alerts test ./...

test-short: ## the inner loop: without the race detector, PostgreSQL, the control plane and the long property runs
	@echo "left out by -short: the race detector, PostgreSQL, the Kubernetes control plane, Chromium, long property runs"
	$(GO) test -short $(PACKAGES)

check: ## formatting, vet, linters, import direction, generated files
	@unformatted="$$(gofmt -l cmd bot rules hack deploy testdata)"; test -z "$$unformatted" || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	$(GO) vet $(PACKAGES)
	$(TOOL) staticcheck $(PACKAGES)
	$(TOOL) golangci-lint run $(PACKAGES)
	$(GO) tool -modfile=hack/actionlint/go.mod actionlint -shellcheck= -pyflakes= .github/workflows/*.yml docs/examples/*.yml
	$(GO) mod verify >/dev/null
	$(GO) mod tidy -diff
	$(GO) test -count=1 -run 'Golden|Schema|Current' $(CURRENT) >/dev/null

docs-check: ## links, command lines and the walk through docs/getting-started.md
	$(GO) test -count=1 -run 'Docs' ./cmd/belay

bench: ## figures of docs/performance.md
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m $(PACKAGES) | grep --line-buffered -E '^(Benchmark|pkg:|PASS|FAIL|---)'
	$(GO) run ./hack/intake-bench

fuzz: ## every fuzz target for FUZZTIME
	@hack/fuzz $(FUZZTIME)

golden: ## rewrite golden files and generated documents; read the diff
	$(GO) test -run 'Golden|Schema|Current' $(UPDATED) -args -update

clean:
	rm -rf bin
