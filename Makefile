# Every verb sets itself up; CI calls the same ones.
.DEFAULT_GOAL := help
CARGO ?= cargo
XTASK := $(CARGO) run --quiet --package xtask --
STOCK_GUESTS := deployment replicaset scheduler garbage-collector

.PHONY: help
help: ## Show the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: guests
guests: ## Build every guest and test fixture to target/guests/*.wasm
	@$(XTASK) guests

.PHONY: languages
languages: ## Build the guests in other languages that tests run
	@$(XTASK) languages

.PHONY: build
build: ## Build the binary with the stock guests inside: target/release/windlass
	@$(XTASK) guests $(STOCK_GUESTS)
	@$(CARGO) build --quiet --release --package windlass --bin windlass

.PHONY: demo
demo: build ## Show the main job on the embedded cluster
	@target/release/windlass demo

.PHONY: up
up: build ## Bring an embedded cluster with three nodes
	@target/release/windlass up --nodes 3

.PHONY: test
test: guests ## Run every test, native and guest
	@$(XTASK) tools
	@$(XTASK) kubectl
	@$(XTASK) helm
	@$(XTASK) languages
	@$(XTASK) sdks
	@$(XTASK) bindings --check
	@$(CARGO) build --quiet --workspace --bins --tests
	@$(XTASK) deploy target/debug/windlass --check
	@$(XTASK) book target/debug/windlass
	$(CARGO) test --workspace
	$(CARGO) test --manifest-path guests/Cargo.toml --workspace --exclude 'windlass-fixture-*'

.PHONY: e2e
e2e: build ## Check the chart and the host's rights on a real API server: KUBECONFIG
	@$(XTASK) cluster target/release/windlass $(KUBECONFIG)

.PHONY: image
image: ## Build the container image, and look at it; ARCHITECTURES, such as "amd64 arm64"
	@$(XTASK) image $(ARCHITECTURES)

.PHONY: release
release: ## Make archives, image, chart, checksums of this commit; SNAPSHOT=1 of any state
	@$(XTASK) release $(if $(SNAPSHOT),--snapshot)

.PHONY: fuzz
fuzz: guests ## Fuzz every target for FUZZ_SECONDS (default 60), guided by coverage
	@$(XTASK) fuzz $(or $(FUZZ_SECONDS),60)

.PHONY: check
check: guests ## Formatting, lints with warnings denied, crate boundaries, unlinked files
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path guests/Cargo.toml --all --check
	$(CARGO) clippy --quiet --workspace --all-targets -- --deny warnings
	$(CARGO) clippy --quiet --manifest-path guests/Cargo.toml --workspace --all-targets -- --deny warnings
	@$(XTASK) boundaries

.PHONY: bench
bench: guests ## Measure; one JSON line per figure, also in target/bench.jsonl
	@$(XTASK) bench

.PHONY: doc
doc: ## Build the API documentation, of every SDK too, with warnings denied
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --quiet --workspace --no-deps
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --quiet --manifest-path guests/Cargo.toml --package windlass-sdk --no-deps
	@$(XTASK) references

.PHONY: packages
packages: ## Pack each SDK as its registry takes it, and try it where it is installed
	@$(XTASK) packages

.PHONY: book
book: ## Build the book under docs to target/book/index.html
	@$(XTASK) guests $(STOCK_GUESTS)
	@$(CARGO) build --quiet --package windlass --bin windlass
	@$(XTASK) book target/debug/windlass

.PHONY: fmt
fmt: ## Format everything
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path guests/Cargo.toml --all
