# hostadmin: every target can be run again and again. `make run` and `make test` need root.
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.stamp

.PHONY: setup run test check unit integration demo bench fuzz lock clean

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml tools/setup
	tools/setup $(VENV)
	touch $@

run: setup
	tools/run

test: setup
	tools/packages test
	$(MAKE) check
	tools/test

check: setup
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m pytest -q tests/unit

demo: setup
	tools/packages demo
	tests/disposable/dhost $(PYTHON) tests/demo.py

bench: setup
	tools/packages bench
	tests/disposable/dhost $(PYTHON) -m benchmarks.guard
	tests/disposable/dhost $(PYTHON) -m benchmarks.users

FUZZ_COUNT ?= 1000000
FUZZ_START ?= 0
FUZZ_SEED ?= 1
FUZZ_SECONDS ?= 3600

fuzz: setup
	tools/packages test
	$(PYTHON) -u -m tests.fuzz.pure --count $(FUZZ_COUNT) --start $(FUZZ_START) --seed $(FUZZ_SEED)
	tests/disposable/dhost $(PYTHON) -u -m tests.fuzz.run --sieve --count $(FUZZ_COUNT) --start $(FUZZ_START) --seed $(FUZZ_SEED) --seconds $(FUZZ_SECONDS)

lock:
	tools/lock

clean:
	rm -rf $(VENV) .engines .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
