export CGO_ENABLED = 0

PLATFORMS = linux/arm64 freebsd/amd64 darwin/arm64 windows/amd64
# Where goroutines meet. Their largest tests are left to `make test`.
CONCURRENT = . ./walk ./internal/sim ./cli ./internal/rawdir ./internal/faultfs ./internal/bus/membus ./internal/joblog ./internal/post ./internal/client ./internal/server ./internal/gate ./internal/trust

VET = $(CURDIR)/bin/vet
STATICCHECK = go tool -modfile=tools/go.mod staticcheck

# `make lint` vets all: the tests need not do that again, with other options.
VETTED = -vet=off

# As it is released: what is tested and what is built share what they compile.
export GOFLAGS := $(strip $(filter-out -trimpath,$(GOFLAGS)) -trimpath)

.PHONY: help build test test-all chaos race sim scale fuzz bin/vet lint cross vulncheck release bench bench-cluster licenses

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile

build: ## build bin/hydra
	go build -o bin/ ./cmd/hydra

test: ## run the tests; as root, install first what only they need
	script/test-deps.sh find umount chromium ip unshare
	go test $(VETTED) ./...
	cd bench && go test $(VETTED) ./...
	cd tools && go test $(VETTED) ./...

test-all: ## run also the tests that take long
	script/test-deps.sh find umount chromium soffice ip unshare
	HYDRA_TEST_ALL=1 go test -count=1 -timeout=60m ./...
	cd bench && HYDRA_TEST_ALL=1 go test -count=1 -timeout=60m ./...
	cd tools && HYDRA_TEST_ALL=1 go test -count=1 -timeout=60m ./...

chaos: ## kill, freeze and cut off the processes of clusters for an hour; prints seeds
	script/test-deps.sh ip mount unshare
	HYDRA_TEST_ALL=1 go test -count=1 -v -timeout=180m ./internal/chaos

race: ## run the tests of what is concurrent with the race detector
	script/test-deps.sh cc
	script/race.sh $(CONCURRENT)

SIM_TIME = 10m

sim: ## run simulated worlds for SIM_TIME; SIM_FIRST is the first seed
	HYDRA_SIM_TIME=$(SIM_TIME) HYDRA_SIM_FIRST=$(SIM_FIRST) go test -count=1 -v -timeout=0 -run 'Whatever|ManyClients|Noticed' ./internal/sim

scale: ## measure how many clients are of use, in simulation; writes scale.csv
	HYDRA_TEST_SCALE=1 HYDRA_SCALE_CSV=$(CURDIR)/scale.csv go test -count=1 -v -timeout=0 -run TestScale ./internal/sim

FUZZ_TIME = 30s

fuzz: ## let each fuzz target try new inputs for FUZZ_TIME; what fails is kept as a test
	script/fuzz.sh $(FUZZ_TIME)

bin/vet: # go knows whether it is up to date
	go -C tools build -o $(VET) ./vet

lint: bin/vet ## gofmt, go vet, staticcheck, and whether modules are what go.sum says
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt -w is due:"; echo "$$unformatted"; exit 1; fi
	$(VET) ./...
	cd bench && $(VET) ./...
	$(STATICCHECK) ./...
	go mod verify

# Whether it compiles and links does not depend on how well: without optimization and
# what debuggers need that takes two thirds of the time. What is Linux is compiled by the
# tests, but for a few files. `make release` builds all.
cross: bin/vet ## build and vet for the other platforms
	@set -e; for p in $(PLATFORMS); do echo "$$p"; export GOOS=$${p%/*} GOARCH=$${p#*/}; \
		[ "$$GOOS" = linux ] || go build -gcflags='all=-N -l -dwarf=false' -ldflags=-w -o /dev/null ./cmd/hydra; \
		$(VET) ./...; done

# Not a part of .ci/run: what is known today was not when a change was made, and the
# database is online. script/vulncheck.sh says what it does without.
vulncheck: ## look for known vulnerabilities in what the program calls
	script/vulncheck.sh

release: ## build dist/: programs, their bills of materials, checksums
	go -C tools build -o $(CURDIR)/bin/release ./release
	bin/release -o dist linux/amd64 $(PLATFORMS)

bench: ## measure against a yardstick and other programs
	bench/run.sh

bench-cluster: ## measure what it costs to distribute a walk
	bench/run.sh -only cluster

licenses: ## write THIRD_PARTY_LICENSES
	go run ./script/licenses
