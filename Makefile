# Slipway's entry points. `make help` lists them.
SHELL := bash
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/slipway/slipway/cli.Version=$(VERSION)
# The kills of `make crash`; `make test` runs a few.
KILLS ?= 200

# The systems: on Linux, instances run in sandboxes or as processes; on darwin, as
# processes. windows has the agent's and a client's commands; its 'slipway up' says
# that it is not supported.
TARGETS := linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 windows/amd64
# What the binary has where instances can run as processes: without a driver,
# process.New refuses, and the linker leaves this out.
PROCESSES := linux/amd64 linux/arm64 darwin/arm64 darwin/amd64
LAUNCH := compute/process.(*Driver).Launch

.PHONY: help build demo test conformance bench crash generate checkgenerate lint tools clean cross

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 16

build: ## Build bin/slipway
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/slipway ./cmd/slipway

demo: build ## Build, start, deploy examples/web and leave it up until Ctrl-C
	./bin/slipway demo

test: tools build ## Install what the tests need and run them all, with the race detector
	$(GO) test -race -timeout 14m ./...
	$(GO) test ./tests/hostile

conformance: tools build ## Drive Slipway with AWS's SDKs and command lines
	@tests/conformance/install
	cd tests/conformance && $(GO) vet ./... && $(GO) test -timeout 20m -count 1 ./...

bench: build ## Measure against a peer or a limit in the same run
	$(GO) test -run '^$$' -bench . -benchtime 1s ./tests/load/... ./store/... ./cfn/... ./platform ./service/sns/... ./service/sqs/... ./service/cloudformation/... ./auth/policy/...

crash: build ## Kill the server KILLS times at random instants and check that nothing is lost
	SLIPWAY_CRASH_KILLS=$(KILLS) $(GO) test -count 1 -timeout 4h -v ./tests/crash/...

generate: ## Write api/ anew from model/
	$(GO) generate ./...

checkgenerate: generate ## Fail if generating changes a file
	@git diff --exit-code --stat -- api docs model || { echo 'generated files are not current: commit what "make generate" writes'; exit 1; }
	@test -z "$$(git ls-files --others --exclude-standard -- api docs model)" || { echo 'generating made files that are not committed:'; git ls-files --others --exclude-standard -- api docs model; exit 1; }

cross: ## Check that the binary compiles for each system, with the process driver where it can run, and tests for darwin
	@set -e; out=$$(mktemp); trap 'rm -f "$$out"' EXIT; for target in $(TARGETS); do echo "compile for $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -trimpath -o "$$out" ./cmd/slipway; \
		has=no; if $(GO) tool nm "$$out" | grep -F '$(LAUNCH)' >/dev/null; then has=yes; fi; \
		wants=no; case ' $(PROCESSES) ' in *" $$target "*) wants=yes;; esac; \
		test $$has = $$wants || { echo "the binary for $$target has the process driver: $$has, wanted: $$wants"; exit 1; }; done
	@echo 'vet for darwin/arm64'; CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) vet -trimpath ./compute/... ./agent ./platform ./store/... ./cli/...

lint: ## Format, vet and static checks
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt wants to change:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=lint/go.mod staticcheck ./...

tools: ## Install what the tests need (Debian packages; asks for root where it must)
	@./tests/install

clean: ## Remove what was built
	rm -rf bin
