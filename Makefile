# Every target needs nothing done before it: `env` builds what it lacks.

PYTHON ?= $(shell for p in python3.11 python3 python; do "$$p" -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	>/dev/null 2>&1 && echo "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help env demo test test-data check

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## Build .venv here, with the tested versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer not found: install it, or name it with make PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "$(VENV) holds a Python older than 3.11: remove the folder and run make again" >&2; exit 1; }
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev,formats,ray,sweep]"
	@touch $@

demo: env ## Rebuild a bundled ECG from its lead I: table and picture
	$(BIN)/python -m reconstruction.inpaint data=demo

test: env ## Run the tests; those that need recordings are skipped unless ECG_DATA names their folder
	$(PYTEST) -m "not gpu"

test-data: env ## Run only the tests on recordings: make test-data ECG_DATA=folder
	@test -n "$(ECG_DATA)" || { echo "Name the folder of the recordings: make test-data ECG_DATA=folder" >&2; exit 1; }
	ECG_DATA="$(abspath $(ECG_DATA))" $(PYTEST) -m "data and not gpu"

check: env ## Lint, format, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
