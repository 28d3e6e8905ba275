# Every target needs nothing done before it: it installs what it lacks into .venv, `demo` the core and the page.

PYTHON ?= $(shell for p in python3.11 python3 python; do "$$p" -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	>/dev/null 2>&1 && echo "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
ALL := $(VENV)/.all
# Modules are compiled when they are first imported: half of them never are.
INSTALL := $(BIN)/python -m pip install -qq --no-compile -c constraints.txt
# Without compiled modules every process compiles PyTorch anew, which takes longer than most tests.
export PYTHONDONTWRITEBYTECODE :=
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help env demo test attack gpu test-data check docs

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(ALL) ## Build .venv here, with everything, in the tested versions of constraints.txt

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer not found: install it, or name it with make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)

$(CORE): $(BIN)/python pyproject.toml constraints.txt
	@$(BIN)/python -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "$(VENV) holds a Python older than 3.11: remove the folder and run make again" >&2; exit 1; }
	@echo "Installing the core and the page into $(VENV): a few minutes, 1.3 GB, most of it PyTorch"
	@$(INSTALL) -e ".[formats,measures,web]"
	@touch $@

$(ALL): $(CORE)
	@echo "Installing what the tests, the checks and the documentation need: a few minutes more, another GB"
	@$(INSTALL) -e ".[dev,docs,exchange,formats,measures,ray,sweep,train,web]"
	@touch $@

demo: $(CORE) ## Rebuild a bundled ECG from its lead I: table and picture
	@$(BIN)/python -m reconstruction.inpaint data=demo

test: env ## Run the tests; those that need recordings are skipped unless ECG_DATA names their folder
	$(PYTEST) -m "not gpu"

gpu: env ## Where there is a GPU: its tests, known answers, and ten minutes of the benchmark; writes docs/gpu.md
	@$(BIN)/python -m tests.gpu_page

attack: env ## Attack it: 5,000 damaged inputs, kills, full disks, two processes at once; over an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.attack --jobs 2 --write docs/reliability.md
	$(BIN)/python -m tests.kills

test-data: env ## Run only the tests on recordings: make test-data ECG_DATA=folder
	@test -n "$(ECG_DATA)" || { echo "Name the folder of the recordings: make test-data ECG_DATA=folder" >&2; exit 1; }
	ECG_DATA="$(abspath $(ECG_DATA))" $(PYTEST) -m "data and not gpu"

check: env docs ## Lint, format, types, import layers, and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: env ## Build the documentation's site into site/, with every link checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
