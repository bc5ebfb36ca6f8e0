# The two commands of the README are `make audit` and `make test`; both need nothing but Python 3.11 and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAGE := build/stage
WORKERS ?= 2

# One thread a process: two test workers on two cores, and the same sums on any machine.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: audit test test-slow test-slow-sample lint types stage doctest wheel bench schema clean

audit: $(VENV)/installed
	@$(BIN)/robust audit

test: $(VENV)/installed
	@$(BIN)/python -P -m pytest -n $(WORKERS) -q
	@$(MAKE) --no-print-directory doctest

test-slow: $(VENV)/installed
	@$(BIN)/python -P -m pytest -n $(WORKERS) -q -m slow

# A fixed part of the long simulations: the sizes and coverages that every gate rests on.
test-slow-sample: $(VENV)/installed
	@$(BIN)/python -P -m pytest -n $(WORKERS) -q -m slow $(SLOW_SAMPLE)

SLOW_SAMPLE := tests/robust/intervals/test_tango.py tests/robust/intervals/test_delong.py tests/robust/examples

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1)
	@echo "setting up $(VENV) (once; torch and onnxruntime are large)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

# The four wings are mapped into the package, which static tools and doctest cannot see in the checkout:
# they run on a staged install.
stage: $(VENV)/installed
	@rm -rf $(STAGE) build/lib build/bdist.*
	@$(BIN)/python -m pip install --quiet --no-deps --target $(STAGE) .

doctest: stage
	@cd $(STAGE) && $(BIN)/python -m pytest -q -c $(CURDIR)/pyproject.toml --rootdir . -p no:cacheprovider -p no:randomly --doctest-modules robust

lint: $(VENV)/installed stage
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@cd $(STAGE) && $(BIN)/lint-imports --config $(CURDIR)/.importlinter --no-cache

types: stage
	@cd $(STAGE) && $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache

# The wheel in a second, empty environment, outside the checkout; after the stage, which builds in the same folder.
wheel: stage
	@rm -rf dist build/lib build/bdist.* build/wheel-env
	@$(BIN)/python -m build --wheel --outdir dist . > build/wheel.log 2>&1 || (cat build/wheel.log; exit 1)
	@$(BIN)/python tests/wheel_check.py dist build/wheel-env constraints.txt

# Without -P: the folder benchmarks/ is not installed, it is found because it lies here.
bench: $(VENV)/installed
	@$(BIN)/python -m benchmarks

schema: $(VENV)/installed
	@$(BIN)/python -P -c "from pathlib import Path; from robust.record.codec import json_schema; Path('robust/record/schema-1.json').write_bytes(json_schema())"

clean:
	rm -rf $(VENV) build dist .robust robust-report .pytest_cache .mypy_cache .ruff_cache
