# ctferry: build, demo, test, bench, lint. Needs Go and nothing else to build.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 30s

.DEFAULT_GOAL := build
.PHONY: build demo test chaos deps fuzz bench microbench lint package release clean

build: ## a static bin/ctferry
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ctferry ./cmd/ctferry

demo: build ## real traffic in a private namespace through the whole pipeline
	./bin/ctferry demo

test: deps ## everything, on the real kernel and real brokers
	$(GO) vet ./...
	$(GO) test -race -count=1 -timeout 30m ./... # the kernel and the brokers are no input that a cached result knows

chaos: deps ## the fault suite at full length, with its table of figures; CASE=kill, CASE=nats ... runs one
	CHAOS=long $(GO) test -v -count=1 -timeout 60m -run 'TestChaos/./$(CASE)' ./cmd/ctferry

deps: ## what the tests use beside Go; says what it cannot install
	@./.ci/deps

fuzz: ## every fuzz target for FUZZTIME
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; done

bench: build ## what it costs against the baselines, into BENCHMARKS.md; ROWS=cpu or ROUNDS=1 for a part, on the screen only; NICE=-20 on a busy machine
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/bench ./internal/bench
	./bin/bench $(if $(ROUNDS),-rounds $(ROUNDS)) $(if $(NICE),-nice $(NICE)) $(if $(ROWS),-rows '$(ROWS)') $(if $(ROWS)$(ROUNDS),,-o BENCHMARKS.md)

microbench: ## the benchmarks beside the code; COUNT=10 for benchstat
	$(GO) test -run '^$$' -bench . -benchmem -count $(or $(COUNT),1) ./...

lint: deps ## gofmt, vet, buf
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	PATH="$$PATH:$(CURDIR)/bin/node_modules/.bin"; cd encode/schemas && buf lint

package: ## dist/: .deb and .rpm of this machine's architecture
	configs/package/build dist $(VERSION) $(shell $(GO) env GOARCH)

release: ## dist/: .deb, .rpm and archive for amd64 and arm64, bills of materials, checksums
	rm -rf dist
	RELEASE=1 configs/package/build dist $(VERSION) amd64 arm64

clean:
	rm -rf bin dist
