SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
UV := .tools/bin/uv
MEMBERS := libs/registry_core libs/hallmark services/ingestion services/scanner services/evaluator \
	services/approval services/lifecycle services/ledger services/console demo
PACKAGES := $(foreach member,$(MEMBERS),$(wildcard $(member)/hallmark*/ $(member)/registry_core/)) bench
INSTALLED := $(VENV)/.installed
PEERS := .bench
PEERS_INSTALLED := $(PEERS)/.installed

.PHONY: help
help:  ## Tell every target
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Hallmark needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .tools || { echo "Python's venv module is missing; on Debian: apt install python3-venv"; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(INSTALLED): $(UV) requirements.lock $(MEMBERS:%=%/pyproject.toml)
	@echo "Installing Hallmark (locked) ..."
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	@touch $@

.PHONY: install
install: $(INSTALLED)  ## Install everything, locked, into .venv

.PHONY: demo
demo: $(INSTALLED)  ## Walk one real model from CI to retirement, on PostgreSQL and Kafka from wheels (needs nothing else)
	@$(BIN)/hallmark demo

.PHONY: up
up: $(INSTALLED)  ## Start Hallmark and stay: console and API on http://127.0.0.1:8080, data kept in var/
	@$(BIN)/hallmark up

.PHONY: doctor
doctor: $(INSTALLED)  ## Say what is wrong with this machine's set-up and how to mend it
	@$(BIN)/hallmark doctor

.PHONY: test
test: $(INSTALLED)  ## Every test on the same embedded parts, in two processes, but what the next two run
	$(BIN)/pytest -m "not faults and not long and not kafka" --numprocesses 2 --dist loadgroup $(ARGS)

.PHONY: test-long
test-long: $(INSTALLED) $(PEERS_INSTALLED)  ## A real MLflow server, the templates for CI, large files, every route by its OpenAPI (about five minutes)
	$(BIN)/pytest -m "long and not faults and not kafka" --numprocesses 2 --dist loadgroup $(ARGS)

.PHONY: faults
faults: $(INSTALLED)  ## A hundred kills, wipes and restarts, on the same embedded parts (about six minutes)
	$(BIN)/pytest -m "faults and not kafka" $(ARGS)

FUZZ := tests/integration/core/test_openapi_fuzz.py tests/integration/ingestion/test_intake_fuzz.py

.PHONY: fuzz
fuzz: $(INSTALLED)  ## Ask every route and topic for all sorts of nonsense, anew each time (FUZZ_EXAMPLES=20: some minutes)
	HALLMARK_FUZZ=$(or $(FUZZ_EXAMPLES),20) $(BIN)/pytest $(FUZZ) $(ARGS)

$(PEERS_INSTALLED): $(UV) bench/requirements.lock
	@echo "Installing what benchmarks compare with, and the MLflow that tests run (locked) ..."
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(PEERS)
	@$(UV) pip sync --quiet --compile-bytecode --python $(PEERS)/bin/python --require-hashes bench/requirements.lock
	@touch $@

.PHONY: bench
bench: $(INSTALLED) $(PEERS_INSTALLED)  ## Every workload beside its reference; ARGS="seal verify" runs some, ARGS=--list tells them
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bench-growth
bench-growth: $(INSTALLED) $(PEERS_INSTALLED)  ## One log at 100 k, 1 M and 10 M events (takes long; ARGS="100000 1000000" for less)
	@$(BIN)/python -m bench.growth $(ARGS)

.PHONY: bench-simulate
bench-simulate: $(INSTALLED)  ## What the design comes to at 1e8 to 1e10 events, from what was measured (seconds)
	@$(BIN)/python -m bench.simulate

.PHONY: check
check: $(INSTALLED)  ## Lint, format, both halves of the SDK, compatibility of event schemas, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python libs/hallmark/make_sync.py --check
	$(BIN)/python -m registry_core.compatibility check schemas
	$(BIN)/mypy $(PACKAGES)

.PHONY: format
format: $(INSTALLED)  ## Format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: sdk
sdk: $(INSTALLED)  ## Make the SDK's blocking half from hallmark/aio
	$(BIN)/python libs/hallmark/make_sync.py

.PHONY: schemas
schemas: $(INSTALLED)  ## Generate schemas/ from the code
	$(BIN)/python -m registry_core.schemas schemas

.PHONY: release-schemas
release-schemas: $(INSTALLED)  ## Take the event schemas for released: from then on they may only grow
	$(BIN)/python -m registry_core.compatibility release schemas

.PHONY: hammer
hammer: $(INSTALLED)  ## Write, kill and restart, checking the log all the while: make hammer ARGS="--seconds 60 --seed 7"
	@$(BIN)/hallmark hammer $(ARGS)

.PHONY: bench-rejected
bench-rejected: $(INSTALLED)  ## The rejected ways to order and append, tried again: what each breaks or costs
	@$(BIN)/python -m bench.rejected $(ARGS)

.PHONY: kafka
kafka: $(INSTALLED)  ## Run Apache Kafka 4 without Docker (needs Java 17 and Maven), until Ctrl-C
	@$(BIN)/python -m registry_core.local.kafka

.PHONY: test-kafka
test-kafka: $(INSTALLED)  ## The messaging and end-to-end tests against Apache Kafka (needs Java 17 and Maven)
	HALLMARK_TEST_KAFKA=kafka $(BIN)/pytest -m "(messaging or e2e or kafka) and not faults" $(ARGS)

.PHONY: faults-kafka
faults-kafka: $(INSTALLED)  ## Kills, wipes and restarts against Apache Kafka (about ten minutes)
	HALLMARK_TEST_KAFKA=kafka $(BIN)/pytest -m faults $(ARGS)

.PHONY: clean
clean:  ## Remove what was installed; data in var/ and bench/out/ stays
	rm -rf .venv .bench .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: lock
lock: $(UV)  ## Resolve the dependencies anew into requirements.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --group dev requirements.in --output-file requirements.lock
	@sed -i.bak '/^-e /d' requirements.lock && rm requirements.lock.bak

.PHONY: lock-bench
lock-bench: $(UV)  ## The same for what only benchmarks compare with, into bench/requirements.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links bench/requirements.in --output-file bench/requirements.lock
