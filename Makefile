# Everything runs in .venv; only Python 3.11 or newer must be on this machine.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
SEED ?= 1

.PHONY: help setup demo test check chaos bench docs clean setup-local setup-test

help:  ## these lines
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' $(MAKEFILE_LIST)

setup: setup-local  ## .venv with all that the demo needs
	@echo "ready: $(BIN)/entityflow --help"

demo: setup-local  ## grow the demo domain end to end on this machine
	@$(BIN)/entityflow demo $(ARGS)

test: setup-test  ## lint, types and all tests, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 3 --dist loadfile

check: setup-test  ## lint, types and the tests that need no server
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 tests/unit tests/contract

chaos: setup-test  ## the tests that kill services at random moments, SEED=n
	ENTITYFLOW_CHAOS_SEED=$(SEED) $(BIN)/pytest tests/e2e $(wildcard tests/chaos/test_*.py)

bench: setup-test  ## every benchmark, one after the other
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

docs: setup-test  ## the pages that are made from code
	$(BIN)/python -m entityflow.reasons_page > docs/reasons.md

clean:  ## stop the servers, remove .stack and what the tools left; .venv and downloads stay
	@if [ -x $(BIN)/entityflow ] && [ -d .stack ]; then $(BIN)/entityflow down; fi
	rm -rf .stack .mypy_cache .ruff_cache .pytest_cache .hypothesis build

setup-local setup-test: setup-%:
	@if [ -z "$(PYTHON)" ]; then \
	echo "error: no Python 3.11 or newer on PATH" >&2; \
	echo "hint: install Python 3.11, or make PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@"$(PYTHON)" scripts/setup.py $*
