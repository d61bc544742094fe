export CGO_ENABLED = 0

PLATFORMS = linux/arm64 freebsd/amd64 darwin/arm64 windows/amd64
# Where goroutines meet. Their largest tests are left to `make test`.
CONCURRENT = . ./walk ./cli ./internal/rawdir ./internal/faultfs

STATICCHECK = go tool -modfile=tools/go.mod staticcheck

.PHONY: help build test test-all race lint cross bench bench-cluster licenses

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile

build: ## build bin/hydra
	go build -trimpath -o bin/ ./cmd/hydra

test: ## run the tests; as root, install first what only they need
	script/test-deps.sh find umount chromium
	go test ./...
	cd bench && go test ./...

test-all: ## run also the tests that take long
	script/test-deps.sh find umount chromium soffice
	HYDRA_TEST_ALL=1 go test -count=1 -timeout=60m ./...
	cd bench && HYDRA_TEST_ALL=1 go test -count=1 -timeout=60m ./...

race: ## run the tests of what is concurrent with the race detector
	script/test-deps.sh cc
	CGO_ENABLED=1 go test -race -short $(CONCURRENT)

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt -w is due:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	$(STATICCHECK) ./...
	cd bench && go vet ./...

cross: ## build and vet for the other platforms
	@set -e; for p in $(PLATFORMS); do echo "$$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} go build ./...; \
		GOOS=$${p%/*} GOARCH=$${p#*/} go vet ./...; done

bench: ## measure against a yardstick and other programs
	bench/run.sh

bench-cluster: ## measure what it costs to distribute a walk
	bench/run.sh -only cluster

licenses: ## write THIRD_PARTY_LICENSES
	go run ./script/licenses
