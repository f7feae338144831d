# One file runs everything: `make` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# $(call lock,NAME,EXTRAS,OPTIONS): requirements/NAME.lock from the extras, with hashes and no index address.
UV ?= $(BIN)/uv
OLDEST := .cache/litert-oldest
lock = $(UV) pip compile pyproject.toml requirements/build.in --constraint requirements/constraints.in $(addprefix --extra ,$(2)) $(3) \
  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-emit-package edge-xray --custom-compile-command "make lock" --quiet --output-file requirements/$(1).lock

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-arm64 lint format demo-model lock bench screenshots clean

help:  ## list the targets
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: $(VENV)/.demo  ## see the line work: both pages, a broker, an agent and synthetic radiographs
	@$(BIN)/edge-agent demo

test: $(VENV)/.dev $(OLDEST)/.done peers lint  ## everything CI runs: lint, types, import rules and all tests
	$(BIN)/pytest --numprocesses 2 --dist loadfile

test-fast: $(VENV)/.dev  ## the tests of edge and doctor alone, without TensorFlow
	$(BIN)/pytest tests/edge tests/doctor

test-arm64: $(VENV)/.dev  ## does the agent decide on a Raspberry Pi's processor as here? (qemu; some minutes)
	tests/arm64/fetch.sh .cache/arm64
	$(BIN)/pytest tests/arm64/aarch64.py --timeout 3600

lint: $(VENV)/.dev  ## lint, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

install-%: $(VENV)/.%  ## install a part into .venv: edge, trainer, doctor or dev
	@echo "$* is installed; to use it: . $(BIN)/activate"

demo-model: $(VENV)/.dev  ## rebuild the demo's bundle from nothing: phantoms, training, quantizing
	deploy/demo-model.sh

bench: $(VENV)/.dev  ## the figures of docs/benchmarks.md that need no data from outside
	$(BIN)/python tests/benchmarks/cold_start.py

screenshots: $(VENV)/.dev peers  ## take the pictures of docs/ anew
	@for script in tests/screenshots/*.py; do $(BIN)/python "$$script" docs/images || exit 1; done

lock:  ## resolve the lock files anew
	$(call lock,dev,dev)
	$(call lock,edge,edge dicom page,--constraint requirements/dev.lock)
	$(call lock,demo,demo,--constraint requirements/dev.lock)
	$(call lock,doctor,doctor postgres standards,--constraint requirements/dev.lock)
	$(call lock,trainer,trainer converter edge doctor postgres standards dicom page,--constraint requirements/dev.lock)

clean:  ## remove what the targets above made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed and $(PYTHON) was not found; install it, or: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3.11-venv" >&2; rm -rf $(VENV); exit 1; }

# The oldest LiteRT that is supported, unpacked beside the installed one: every bundle has to decide the same in both.
$(OLDEST)/.done: requirements/oldest-litert.lock | $(VENV)/.dev
	@echo "unpacking the oldest LiteRT that is supported into $(OLDEST) (once)"
	@$(PIP) install --quiet --require-hashes --no-deps --upgrade --target $(OLDEST) --requirement requirements/oldest-litert.lock
	@touch $@
.PHONY: litert-oldest
litert-oldest: $(OLDEST)/.done

.PRECIOUS: $(VENV)/.%
# Each stamp holds one environment: exactly its lock file, then this project without resolving anything.
$(VENV)/.%: requirements/%.lock pyproject.toml | $(BIN)/python
	@echo "installing $* into $(VENV) (once)"
	@$(PIP) install --quiet --require-hashes --requirement requirements/$*.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The tests run real peers. Debian keeps mosquitto in /usr/sbin and PostgreSQL's server under /usr/lib, off most people's PATH.
PEERS := mosquitto dcmtk chromium postgresql nginx-light
.PHONY: peers
peers:
	@PATH="$$PATH:/usr/sbin"; have() { command -v mosquitto && command -v nginx && command -v storescu && command -v chromium && ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1; \
	have || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing $(PEERS) (once)" && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PEERS) fonts-dejavu-core >/dev/null; } && have || { \
	  echo "the tests need a real broker, DICOM peer, browser, database and proxy; on Debian: sudo apt-get install $(PEERS)" >&2; exit 1; }
