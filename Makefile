# `make` alone lists the targets. Everything is installed into .venv, from the versions in constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
DEMO_OUT ?= demo

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow theory lint format bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: .venv/demo.done ## set up, distil small rankers on built-in data, write a report (minutes)
	$(BIN)/rankstill demo --out $(DEMO_OUT)

test: .venv/dev.done ## set up and pass the fast tests (under 4 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadscope

test-slow: .venv/dev.done ## the tests that take minutes each
	$(BIN)/python -m pytest -m slow

theory: .venv/dev.done ## check every statement of docs/theory.md in worlds whose truth is known (under 2 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m theory

lint: .venv/dev.done ## ruff and mypy, as CI runs them
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev.done ## let ruff format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev.done ## speed next to other libraries, then time and memory on generated data; two hours, 15 GB of disk
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.speed.limit
	$(BIN)/python -m benchmarks.speed.plot
	$(BIN)/python -m benchmarks.million
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.bm25
	$(BIN)/python -m benchmarks.dense
	$(BIN)/python -m benchmarks.approximate
	$(BIN)/python -m benchmarks.measures $${TMPDIR:-/tmp}
	$(BIN)/python -m benchmarks.shift

clean: ## remove what the targets made
	rm -rf .venv $(DEMO_OUT)

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rankstill needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/%.done: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$*]'
	touch $@
