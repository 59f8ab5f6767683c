# `make demo` shows the main job on an embedded S3 server; `make test` passes the tests. Both set up what they need.
PYTHON ?= python3
# By its path: below, the PATH begins with the environment that is yet to be made.
BASE_PYTHON := $(shell command -v $(PYTHON))
VENV := .venv
BIN := $(VENV)/bin
# The stand-in instance has the application's own pinned libraries, so it has an environment of its own.
STANDIN_VENV := $(VENV)/standin
COLLECTION := $(VENV)/collections/ansible_collections/selfhosted/media

export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(VENV)/collections
export STANDIN_VENV := $(CURDIR)/$(STANDIN_VENV)
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Runs a command and says how long it took.
timed = @start=$$(date +%s); $(2); code=$$?; echo "== $(1): $$(($$(date +%s) - start)) s"; exit $$code

.PHONY: help setup demo demo-stop test lint unit integration molecule bench format changelog clean

help:
	@echo 'make demo   move 500 covers of a stand-in instance to an embedded S3 server (stop it: make demo-stop)'
	@echo 'make test   everything CI runs: lint, unit, integration, molecule'
	@echo 'make lint   ruff, mypy, ansible-lint, ansible-test sanity, documentation; make format mends what ruff can'
	@echo 'make unit, make integration, make molecule: the other parts of make test'
	@echo 'make bench  media_sync against s5cmd, rclone and aws s3 sync; ARGS="--only W1 --rounds 1 --scale 0.1"'

setup: $(VENV)/.ready

# The repository is the collection: tools find it by a link from a collections path.
$(VENV)/.ready: $(VENV)/.dev $(STANDIN_VENV)/.ready
	mkdir -p $(dir $(COLLECTION))
	ln -sfn $(CURDIR) $(COLLECTION)
	touch $@

$(VENV)/.dev: requirements-dev.txt
	$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(BASE_PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

$(STANDIN_VENV)/.ready: tests/standin/requirements.txt
	$(BASE_PYTHON) -m venv $(STANDIN_VENV)
	$(STANDIN_VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/standin/requirements.txt
	touch $@

demo: setup
	$(BIN)/python demo/demo.py

demo-stop: setup
	$(BIN)/python demo/demo.py --stop

test: lint unit integration molecule

lint: setup
	$(call timed,lint,tests/lint.sh)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: setup
	$(call timed,unit,pytest tests/unit tests/standin)

integration: setup
	$(call timed,integration,pytest tests/integration)

molecule: setup
	$(call timed,molecule,molecule test --all)

# The peers have an environment of their own, which nothing else uses.
$(VENV)/bench/.ready: tests/bench/requirements.txt
	$(BASE_PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt
	touch $@

bench: setup $(VENV)/bench/.ready
	PYTHONPATH=$(CURDIR)/$(VENV)/collections $(BIN)/python -m ansible_collections.selfhosted.media.tests.bench $(ARGS)

# Writes CHANGELOG.rst anew from changelogs/fragments.
changelog: setup
	antsibull-changelog release --update-existing --refresh --reload-plugins

clean:
	rm -rf build $(VENV)
