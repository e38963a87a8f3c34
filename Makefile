# Everything here runs in .venv, which `setup` makes of what build/requirements.lock pins by hash,
# and renews when that or pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/kitepipe.stamp
PEERS := .venv/peers.stamp
LOCKING := .venv/locking.stamp
SOAKING := .venv/soaking.stamp
LOCK := build/requirements.lock
VERSIONS := .venv/versions.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# One process more than cores: while a test waits, another has its core (225 s for 240). Those that
# kill and count the seconds have a core each.
PROCESSES = $(if $(SLOW),auto,$$(($$(getconf _NPROCESSORS_ONLN) + 1)))
PYTEST = $(BIN)/python -m pytest --dist worksteal -n
SOURCES := $(shell find kitepipe schema -name '*.py' -o -name '*.sql')
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help setup fmt lint test test-faults soak lock audit bench bench-full binary demo fetch load check clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  more options for a command: make fetch ARGS="--dry-run", make test ARGS="-k load -x"'

setup: $(STAMP) ## make .venv with kitepipe, the embedded PostgreSQL and the tools

$(STAMP): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'kitepipe needs Python 3.11 or newer: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'this Python has no venv: install it first (Debian: apt-get install python3-venv)' >&2; \
	  exit 1; }
	@echo 'setup: .venv (a minute or so the first time)'
	@$(PYTHON) -m venv .venv
	@$(PIP) --require-hashes --requirement $(LOCK)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# What else is installed keeps the versions of the lock; with its hashes pip would take nothing else.
$(VERSIONS): $(STAMP)
	@sed -e '/--hash=/d' -e 's/ \\$$//' $(LOCK) > $@

$(PEERS): $(VERSIONS)
	@$(PIP) --constraint $(VERSIONS) --no-build-isolation --editable '.[embedded,dev,bench]'
	@touch $@

$(SOAKING): $(VERSIONS)
	@$(PIP) --constraint $(VERSIONS) --no-build-isolation --editable '.[embedded,dev,soak]'
	@touch $@

$(LOCKING): $(VERSIONS)
	@$(PIP) --constraint $(VERSIONS) --no-build-isolation --editable '.[locking]'
	@touch $@

fmt: $(STAMP) ## format the code and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

lint: $(STAMP) ## ruff and mypy, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy kitepipe tests

test: $(STAMP) ## run the tests on all cores; SLOW=1 also the executable, faults, more examples
	$(PYTEST) $(PROCESSES) $(if $(SLOW),,-m 'not slow and not faults') $(ARGS)

test-faults: $(STAMP) ## kill, cut off and damage at every step, and look at what is left
	$(PYTEST) auto -m faults $(ARGS)

bench: $(PEERS) ## measure against limits and peers: one table, within 30 minutes
	$(BIN)/python -m tests.bench $(ARGS)

bench-full: $(PEERS) ## the same at full size: hours, and 40 GB of disk
	$(BIN)/python -m tests.bench --full $(ARGS)

soak: $(SOAKING) ## break it by the thousand, hours; ARGS="--seed 7 --size 0.1 kills"
	$(BIN)/python -m tests.soak $(ARGS)

lock: $(LOCKING) ## write build/requirements.lock anew: what pyproject.toml allows, by version and hash
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	  --extra embedded --extra dev --custom-compile-command 'make lock' pyproject.toml -o $(LOCK)

audit: $(LOCKING) ## look each pinned package up among known vulnerabilities (asks pypi.org)
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement $(LOCK)

binary: dist/kitepipe ## build dist/kitepipe, one file that needs no Python

dist/kitepipe: $(STAMP) build/spec.spec pyproject.toml $(SOURCES)
	$(BIN)/pyinstaller --noconfirm --log-level WARN --distpath dist --workpath build/work build/spec.spec
	@ls -lh $@

demo: $(STAMP) ## the whole way with a sandbox and an embedded PostgreSQL
	@$(BIN)/kitepipe demo $(ARGS)

fetch: $(STAMP) ## stage 1 in this folder: Kite to the staging file
	@$(BIN)/kitepipe fetch $(ARGS)

load: $(STAMP) ## stage 2 in this folder: the staging file to the warehouse
	@$(BIN)/kitepipe load $(ARGS)

check: lint ## what CI runs: lint and all tests
	@$(MAKE) --no-print-directory test SLOW=1

clean: ## remove what was built and cached here; .venv and staging files stay
	rm -rf dist build/work .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find kitepipe tests -name __pycache__ -type d -prune -exec rm -rf {} +
