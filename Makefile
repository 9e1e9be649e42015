.DEFAULT_GOAL := help
SHELL := /bin/bash
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that is new enough; `make setup PYTHON=/path/to/python` overrides the search.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# The lock files are complete, so pip need not resolve; modules compile at their first import, so pip need not either.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q install --no-compile --no-deps
# One worker per core, eight at the most: they share one Postgres.
WORKERS ?= auto
ARGS ?=
# The interpreters that `make test-pythons` looks for; paths do, too.
PYTHONS ?= python3.11 python3.12 python3.13 python3.14
# The server of `make test-15`: a superuser's URL.
SERVER_15 ?= postgresql+psycopg://postgres@127.0.0.1:5432/postgres
SEED ?= 0

.PHONY: help setup setup-dev demo drill test test-fast test-15 test-pythons real-shops simulate simulate-all storm lint types imports migrations docs bench bench-full build check check-wheel lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## Make .venv with what orderflow needs to run

setup-dev: $(VENV)/.dev ## Add to .venv what tests and checks need

demo: setup ## Start everything with a fake Glopal and a fake shop, and walk orders through it
	@$(BIN)/orderflow demo $(ARGS)

drill: setup ## Lose a database and restore it to an earlier moment: nothing may be lost or done twice
	@$(BIN)/orderflow drill $(ARGS)

test: setup-dev ## Run every test (ARGS="-k name" passes options to pytest)
	@$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal $(ARGS)

test-fast: setup-dev ## Run the tests of the pure core only: no database, seconds
	@$(BIN)/python -m pytest -q tests/domain $(ARGS)

test-15: setup-dev ## Run the tests that need a database on the PostgreSQL 15 at 127.0.0.1:5432
	@ORDERFLOW_TEST_SERVER="$(SERVER_15)" $(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 8 \
		tests/store tests/projections tests/intake tests/relay tests/audit tests/recovery $(ARGS)

test-pythons: ## Run the tests of core, Glopal and store, and the demo, on each Python from 3.11 to 3.14 that is here
	@missing=""; for python in $(PYTHONS); do \
		version=$$($$python -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) \
			|| { missing="$$missing $$python"; continue; }; \
		echo "== Python $$version" && $(MAKE) --no-print-directory PYTHON=$$python VENV=build/venv-$$version setup-dev \
		&& build/venv-$$version/bin/python -m pytest -q -n $(WORKERS) --maxprocesses 8 tests/domain tests/glopal tests/store $(ARGS) \
		&& build/venv-$$version/bin/orderflow demo --orders 30 | tail -n 5 || exit 1; \
	done; test -z "$$missing" || echo "not found, so not tested:$$missing"

real-shops: setup-dev ## Install real shops from npm below build/shops (node 20.19 or newer) and run orderflow against them
	@$(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 2 --dist loadfile -m real_shop tests/shops $(ARGS)

simulate: setup-dev ## Replay one seed of the simulation step by step (SEED=17), or a range (SEED="0 100")
	@$(BIN)/python -m tests.simulation $(SEED)

simulate-all: setup-dev ## Run 5 000 seeds in two processes and show which fault fired where (ARGS="500 --first 9000")
	@$(BIN)/python -m tests.simulation.campaign $(ARGS)

storm: setup-dev ## Kill workers four times a second for a minute, then suspend them beyond their leases for another
	@$(BIN)/python -m tests.e2e.storm kill 60
	@$(BIN)/python -m tests.e2e.storm stop 60

lint: setup-dev ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup-dev ## Check types (strict)
	@$(BIN)/mypy

imports: setup-dev ## Check that no layer imports upwards
	@$(BIN)/lint-imports --no-logo

migrations: setup-dev ## Check that the migrations build exactly what store/tables.py describes
	@$(BIN)/python -m orderflow.store.migrate --check

docs: $(VENV)/.docs ## Build the documentation into build/docs; a broken link or a warning is an error
	@$(BIN)/sphinx-build -q -W --keep-going -n -E -d build/docs-trees docs build/docs
	@echo "build/docs/index.html"

bench: $(VENV)/.bench ## Measure orderflow beside its peers and the bare database, in minutes (ARGS="--only append --rounds 5")
	@$(BIN)/python -m bench $(ARGS)

bench-full: $(VENV)/.bench ## The same with 10 M events and an old snapshot: hours
	@$(BIN)/python -m bench --full $(ARGS)

build: setup-dev ## Build wheel and sdist into dist/; the same source gives the same bytes
	@rm -rf dist && $(BIN)/python -m hatchling build -d dist

check-wheel: setup-dev ## Install the wheel into an empty environment and run its commands and its demo
	@$(BIN)/python -m pytest -q -m installs tests/packaging $(ARGS)

check: lint types imports migrations docs ## Run every check that is not a test

lock: $(VENV)/.dev ## Resolve the newest dependencies into the lock files
	@tools=$$(mktemp -d) && $(PYTHON) -m venv $$tools && $$tools/bin/python -m pip install -q uv \
		&& compile="$$tools/bin/uv pip compile pyproject.toml --group build --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-header --no-annotate -q --upgrade" \
		&& $$compile -o requirements.lock && $$compile --group dev -c requirements.lock -o requirements-dev.lock \
		&& $${compile/pyproject.toml --group build/--group pyproject.toml:docs} -c requirements-dev.lock -o requirements-docs.lock \
		&& $${compile/pyproject.toml --group build/--group pyproject.toml:bench} -c requirements-dev.lock -o requirements-bench.lock \
		&& rm -rf $$tools

clean: ## Remove .venv, caches and build output
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests migrations -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "orderflow needs Python 3.11 or newer with its venv module (Debian, Ubuntu: apt install python3-venv)." \
		"None of python3, python3.14 ... python3.11 qualifies; name another with: make setup PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

# Beside the rest: the documentation tool imports nothing of ours.
$(VENV)/.docs: requirements-docs.lock | $(BIN)/python
	@$(PIP) --require-hashes -r requirements-docs.lock
	@touch $@

# Beside the rest: orderflow itself needs none of it.
$(VENV)/.bench: requirements-bench.lock $(VENV)/.runtime
	@$(PIP) --require-hashes -r requirements-bench.lock
	@touch $@
