# Every target builds its own virtual environment first, so a fresh clone needs only
# make and Python 3.11 or newer. Another Python: make PYTHON=python3.12 test
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
JOBS   ?= 2

# scikit-learn reads SCIPY_ARRAY_API when scipy is first imported; without it check_estimator
# leaves out the array API checks. One thread a process, because pytest runs JOBS of them; and
# OpenMP threads that wait without spinning, because two spinning pools on two cores stand still.
TEST_ENV := SCIPY_ARRAY_API=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
            NUMBA_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE MPLBACKEND=Agg

.PHONY: help demo test lint types pytest bench docs clean
.DELETE_ON_ERROR:

help:
	@echo "make demo   a first useful run: fit several models, compare, write a report"
	@echo "make test   lint, types and the whole default test suite (what CI runs)"
	@echo "make lint   ruff only"
	@echo "make types  mypy only"
	@echo "make pytest tests only; more: make pytest PYTEST_ARGS='-m slow'"
	@echo "make bench  measure against peers and print the tables (long)"
	@echo "make docs   build the pages into docs/_build/html"
	@echo "make clean  remove the virtual environment and what was built"

# Stamps: an environment is renewed when what it was built from has changed.
$(VENV)/.base: pyproject.toml constraints.txt
	@echo "==> environment: $(VENV) ($(PYTHON))"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# torch first and alone: the resolver then never looks for another build of it.
	@$(PIP) install -q -c constraints.txt torch
	@$(PIP) install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "==> environment: tools for tests"
	@$(PIP) install -q -c constraints.txt -e ".[dev]"
	@touch $@

$(VENV)/.bench: $(VENV)/.dev tests/benchmarks/peers.txt
	@echo "==> environment: peers to measure against"
	@$(PIP) install -q -c constraints.txt -r tests/benchmarks/peers.txt
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	@echo "==> environment: tools for docs"
	@$(PIP) install -q -c constraints.txt -e ".[docs]"
	@touch $@

demo: $(VENV)/.base
	@echo "==> demo: zoo run examples/quickstart.yaml"
	@$(BIN)/zoo run examples/quickstart.yaml

lint: $(VENV)/.dev
	@echo "==> lint: ruff"
	@$(BIN)/ruff check .

types: $(VENV)/.dev
	@echo "==> types: mypy (strict on the floors)"
	@$(BIN)/mypy

test: lint types pytest

pytest: $(VENV)/.dev
	@echo "==> tests: pytest, $(JOBS) processes"
	@$(TEST_ENV) $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal --durations=15 $(PYTEST_ARGS)

bench: $(VENV)/.bench
	@for script in tests/benchmarks/bench_*.py; do \
	    echo "==> bench: $$script"; \
	    OMP_WAIT_POLICY=PASSIVE $(BIN)/python "$$script" || exit 1; \
	done

# The gallery runs every example; ZOO_EXAMPLE_SIZE=small makes that a matter of a minute.
docs: $(VENV)/.docs
	@echo "==> docs: sphinx into docs/_build/html"
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache build dist
	find zoo tests -name __pycache__ -type d -prune -exec rm -rf {} +
