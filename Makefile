SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
UV := .tools/bin/uv
MEMBERS := libs/registry_core libs/hallmark services/ingestion services/scanner services/evaluator \
	services/approval services/lifecycle services/ledger services/console demo
INSTALLED := $(VENV)/.installed

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
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(MEMBERS:%=-e %)
	@touch $@

.PHONY: install
install: $(INSTALLED)  ## Install everything, locked, into .venv

.PHONY: lock
lock: $(UV)  ## Resolve the dependencies anew into requirements.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --group dev requirements.in --output-file requirements.lock
	@sed -i.bak '/^-e /d' requirements.lock && rm requirements.lock.bak
