# One named command per job. Continuous integration runs the same ones.
.DEFAULT_GOAL := help
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8080
BIN := .venv/bin

.PHONY: help run test check lint types bench lock

help:  ## say what each command does
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/runtime  ## install, prepare ./data, and serve on http://$(HOST):$(PORT)
	@MAILSETTINGS_DATA_DIR="$${MAILSETTINGS_DATA_DIR:-$(CURDIR)/data}" $(BIN)/mailsettings serve --dev --host $(HOST) --port $(PORT)

test: check  ## install, then every check: format, lint, types, import contracts, tests

check: lint types  ## the same without the word test
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2

lint: .venv/dev  ## format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev  ## mypy --strict
	$(BIN)/mypy

bench: .venv/dev  ## measure reads, round trips of a test, and a thousand tests at once
	$(BIN)/python benchmarks/read_path.py
	$(BIN)/python benchmarks/probe_round_trips.py
	$(BIN)/python benchmarks/probe_concurrency.py

lock: .venv/dev  ## renew the hashed locks from pyproject.toml
	$(BIN)/python scripts/lock.py

.venv/runtime: requirements.lock scripts/install.py
	@$(PYTHON) scripts/install.py requirements.lock $@

.venv/dev: requirements-dev.lock scripts/install.py
	@$(PYTHON) scripts/install.py requirements-dev.lock $@ .venv/runtime
