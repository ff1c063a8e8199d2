# One named command per job. Continuous integration runs the same commands.
.DEFAULT_GOAL := help
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8080
CATCH_ALL_PORT ?= 1025
BIN := .venv/bin

# More processes than processors: half of the time the tests wait, for a deadline or another process.
PYTEST := $(BIN)/pytest -n 4 --dist worksteal
QUICK := $(addprefix tests/,auth dialects domain use_cases web webhook network store/test_sealing.py)

.PHONY: help run catch-all test check quick real mta lint types bench lock fuzz chaos mutate coverage audit measure

help:  ## say what each command does
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/runtime  ## install, prepare ./data, serve on http://$(HOST):$(PORT), and relay mail on 127.0.0.1:2587
	@MAILSETTINGS_DATA_DIR="$${MAILSETTINGS_DATA_DIR:-$(CURDIR)/data}" $(BIN)/mailsettings serve --dev --relay --host $(HOST) --port $(PORT)

catch-all: .venv/dev  ## a mail server on 127.0.0.1:$(CATCH_ALL_PORT) that prints every mail, to try connection tests
	@$(BIN)/python scripts/catch_all.py --port $(CATCH_ALL_PORT)

test: check  ## install, then every check: format, lint, types, import contracts, tests

check: lint types coverage  ## as test; each test runs once, in coverage or in the rest
	$(BIN)/lint-imports
	$(PYTEST) $$($(BIN)/python scripts/tested.py rest)

quick: .venv/dev  ## the fast tests, in less than a minute
	$(PYTEST) $(QUICK) -k "not postgresql"

mta:  ## install the mail servers for `make real`, each into a folder below .real; needs root and Debian
	$(PYTHON) scripts/mta.py

real: .venv/dev  ## the tests with foreign programs: proxies, browsers, …; lists what is missing and how to get it
	$(PYTEST) tests/real

lint: .venv/dev  ## format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev  ## mypy --strict
	$(BIN)/mypy

bench: .venv/dev  ## measure reads, tests, growth, a long list, and the relay; minutes on an idle machine
	PYTHONPATH=tests $(BIN)/python benchmarks/read_path.py
	$(BIN)/python benchmarks/probe_round_trips.py
	$(BIN)/python benchmarks/probe_concurrency.py
	PYTHONPATH=tests $(BIN)/python benchmarks/scale.py --rounds 3 --seconds 1
	PYTHONPATH=tests $(BIN)/python benchmarks/attacks.py
	PYTHONPATH=tests $(BIN)/python benchmarks/relay.py
	PYTHONPATH=tests $(BIN)/python benchmarks/sendmail.py

fuzz: .venv/dev  ## fire 100,000 requests at the APIs; FUZZ_REQUESTS and FUZZ_SEED say how many and which
	PYTHONPATH=tests $(BIN)/python -m fuzz

chaos: .venv/dev  ## kill, cut and restart servers and databases and count what is lost; CHAOS_SECONDS, CHAOS_SEED
	PYTHONPATH=tests $(BIN)/python -m chaos

mutate: .venv/dev  ## break the rules one by one and see whether the tests notice; MODULES names them
	$(BIN)/python scripts/mutate.py $(MODULES)

coverage: .venv/dev  ## every branch of the modules in scripts/tested.py has a test, or this fails
	$(PYTEST) $$($(BIN)/python scripts/tested.py counted)

measure: .venv/dev  ## sizes of the code, and the files and statements of a request
	@$(BIN)/python scripts/measure.py

audit: .venv/dev  ## ask for known vulnerabilities of the locked packages; needs the internet, fails without
	$(BIN)/python scripts/audit.py requirements.lock requirements-dev.lock

lock: .venv/dev  ## renew the hashed locks from pyproject.toml
	$(BIN)/python scripts/lock.py

.venv/runtime: requirements.lock scripts/install.py
	@$(PYTHON) scripts/install.py requirements.lock $@

.venv/dev: requirements-dev.lock scripts/install.py
	@$(PYTHON) scripts/install.py requirements-dev.lock $@ .venv/runtime
