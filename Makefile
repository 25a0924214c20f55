# The commands for developers. Each works on a fresh machine: what it needs is installed into .venv, once.

PYTHON ?= python3
EXAMPLE ?=
PORT ?= 8080
DATA ?=
BENCH ?=
FETCH ?=
ONLY ?=
PYTHONS ?=

# A comma would end the argument of $(call).
DEV := [demo,dev]
ALL := [demo,fast,dev]
RUN := .venv/bin/python
PARALLEL := --numprocesses auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Several targets run one after the other, because they share .venv.
.NOTPARALLEL:
.PHONY: help demo test quick matrix check docs bench soak faults clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1 \t/p' Makefile | expand -t 16

demo: .venv/.demo  ## run an example with its own PostgreSQL: make demo [EXAMPLE=chat] [PORT=8080] [DATA=folder]
	@exec env PGRPC_STARTED_BY=make $(RUN) server.py demo $(EXAMPLE) --port $(PORT) $(if $(DATA),--data '$(DATA)')

test: .venv/.dev  ## run all tests, on the embedded PostgreSQL and on the installed ones, and check own coverage
	@$(RUN) -m pytest tests --module-coverage $(PARALLEL)

quick: .venv/.dev  ## run the unit tests: about ten seconds
	@$(RUN) -m pytest tests/unit -q $(PARALLEL)

matrix: .venv/.made  ## run unit and integration tests on each Python and PostgreSQL found: make matrix [FETCH=1] [ONLY=newest]
	@FETCH='$(FETCH)' ONLY='$(ONLY)' PYTHONS='$(PYTHONS)' $(RUN) tests/matrix.py

check: .venv/.dev  ## check lint, format, types, and which package may import which
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

docs: .venv/.dev  ## generate config.yaml.example, the dialects in the schema, the tables of keys, the list of modules
	@$(RUN) -m tools.docs

bench: .venv/.bench  ## run the benchmark with and without pgrpc[fast], about 20 minutes; with BENCH=--quick about one
	@$(RUN) -m bench $(BENCH)
	@$(RUN) -m bench --plain $(BENCH)

soak: .venv/.dev  ## run ten minutes of steady load; fails if memory or file descriptors have grown
	@$(RUN) tests/soak.py

faults: .venv/.dev  ## inject the faults of docs/reference/faults.md; frozen processes stay frozen for a minute
	@PGRPC_FAULT_SECONDS=60 $(RUN) -m pytest tests/acceptance/faults

clean:  ## remove everything that these commands created, including the demo's database
	rm -rf .venv .pgrpc .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.* dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "pgrpc needs Python 3.11 or newer; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)"; \
	  echo "If you have one under another name: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: on Debian and Ubuntu, apt install python3-venv"; exit 1; } >&2
	@echo "making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
	@touch $@

# Shows pip's output without "already satisfied". The pipe hides pip's exit status, so the stamp file shows failure.
define install
	@echo "installing pgrpc$(1) into .venv (the first time takes a minute)"
	@rm -f $@
	@{ $(RUN) -m pip install --disable-pip-version-check --no-input --progress-bar off -e '.$(1)' && touch $@; } \
	  | { grep -E '^ *(Collecting|Downloading|Using cached|Building|Installing|Successfully|ERROR)' || true; }
	@test -e $@ || { echo "pip could not install pgrpc$(1) on $$($(RUN) --version): its message is above"; \
	  echo "Supported Pythons: docs/reference/versions.md. For another one: make clean, then make PYTHON=python3.13 ..."; \
	  exit 1; } >&2
endef

.venv/.demo: pyproject.toml .venv/.made
	$(call install,[demo])

# The extra `dev` is installed with `demo`.
.venv/.dev: pyproject.toml .venv/.made
	$(call install,$(DEV))
	@touch .venv/.demo

.venv/.bench: pyproject.toml .venv/.made
	$(call install,$(ALL))
