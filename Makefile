# `make demo` shows the main job on an embedded S3 server; `make test` passes the tests. Both set up what they need.
PYTHON ?= python3
# By its path: below, the PATH begins with the environment that is yet to be made.
BASE_PYTHON := $(shell command -v $(PYTHON))
VENV := .venv
BIN := $(VENV)/bin
# The stand-in instance has the application's own pinned libraries, so it has an environment of its own.
STANDIN_VENV := $(VENV)/standin
# The real Gramps Web, for its tests: of the system's Python, which alone has GObject.
GRAMPS_VENV := $(VENV)/gramps
# Releases of boto3 as distributions have them, each in a folder of its own; the current one is .venv's.
BOTO3_RELEASES := $(sort $(basename $(notdir $(wildcard tests/boto3_releases/*.txt))))
# Molecule's scenarios whose servers are containers.
IN_CONTAINERS := systemd docker
COLLECTION := $(VENV)/collections/ansible_collections/selfhosted/media

export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(VENV)/collections
export STANDIN_VENV := $(CURDIR)/$(STANDIN_VENV)
export GRAMPS_VENV := $(CURDIR)/$(GRAMPS_VENV)
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Runs a command and says how long it took.
timed = @start=$$(date +%s); $(2); code=$$?; echo "== $(1): $$(($$(date +%s) - start)) s"; exit $$code

.PHONY: help setup demo demo-stop test lint unit integration molecule molecule-containers boto3 boto3-old boto3-current chaos profiles matrix matrix-ends bench fleet format changelog docs provider-page clean

help:
	@echo 'make demo   move 500 covers of a stand-in instance to an embedded S3 server (stop it: make demo-stop)'
	@echo 'make test   what CI runs: lint, docs, unit, integration, molecule, the S3 modules with the oldest boto3; CI adds make matrix-ends and molecule-containers'
	@echo 'make lint   ruff, mypy, ansible-lint, ansible-test sanity, documentation; make format mends what ruff can'
	@echo 'make unit, make integration, make molecule, make boto3-$(firstword $(BOTO3_RELEASES)): the other parts of make test'
	@echo 'make molecule-containers  both kinds of installation moved on servers with systemd and sshd, in containers; CI does it too'
	@echo 'make boto3  the S3 modules with boto3 $(BOTO3_RELEASES) and the current one'
	@echo 'make chaos  the long form of the tests that kill and break things, for an hour or more; CHAOS_SEED=7 for other moments'
	@echo 'make profiles  both applications move to every provider, as its documentation describes it, for half an hour or more'
	@echo 'make matrix  playbooks, units and sanity with each ansible-core and each Python and boto3 of a server; make matrix-ends: the ends alone, as in CI'
	@echo 'make docs   the documentation as a site in build/docs, without warnings; a part of make test'
	@echo 'make bench  media_sync against s5cmd, rclone and aws s3 sync; ARGS="--only W1 --rounds 1 --scale 0.1"'
	@echo 'make fleet  20 instances in network namespaces move in one run, as root: what that costs'

setup: $(VENV)/.ready

# The repository is the collection: tools find it by a link from a collections path.
$(VENV)/.ready: $(VENV)/.dev $(STANDIN_VENV)/.ready $(GRAMPS_VENV)/.ready
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

# Where it cannot be made its tests are skipped, and the next `make setup` tries again.
$(GRAMPS_VENV)/.ready: tests/grampsweb/requirements.txt
	@if /usr/bin/python3 -c 'import ensurepip, gi'; then \
	  echo 'Gramps Web is installed into $(GRAMPS_VENV)' && \
	  /usr/bin/python3 -m venv --system-site-packages $(GRAMPS_VENV) && \
	  $(GRAMPS_VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/grampsweb/requirements.txt && touch $@; \
	else echo 'Gramps Web is left out: /usr/bin/python3 has no gi or no ensurepip (Debian: python3-gi, python3-venv)'; fi

demo: setup
	$(BIN)/python demo/demo.py

demo-stop: setup
	$(BIN)/python demo/demo.py --stop

# Integration is with the newest boto3, and the oldest comes last.
test: lint docs unit integration molecule boto3-$(firstword $(BOTO3_RELEASES))

lint: setup
	$(call timed,lint,tests/lint.sh)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: setup
	$(call timed,unit,pytest tests/unit tests/standin)

integration: setup
	$(call timed,integration,pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder --durations=60 tests/integration)

# Those whose servers are containers need a Docker daemon; the others nothing.
molecule: setup
	@[ -e $(GRAMPS_VENV)/.ready ] || echo 'molecule: the scenario gramps_web is left out, because Gramps Web is not installed'
	$(call timed,molecule,molecule test --all $(IN_CONTAINERS:%=--exclude %) $$([ -e $(GRAMPS_VENV)/.ready ] || echo --exclude gramps_web))

molecule-containers: setup
	$(call timed,molecule in containers,tests/docker/molecule.sh $(IN_CONTAINERS))

boto3: boto3-old boto3-current

boto3-old: $(BOTO3_RELEASES:%=boto3-%)

$(VENV)/boto3/%/.ready: tests/boto3_releases/%.txt $(VENV)/.dev
	rm -rf $(@D)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --target $(@D) -r $<
	touch $@

$(BOTO3_RELEASES:%=boto3-%): boto3-%: setup $(VENV)/boto3/%/.ready
	$(call timed,boto3 $*,tests/boto3_releases/run.sh $*)

boto3-current: setup
	$(call timed,boto3 current,tests/boto3_releases/run.sh current)

# The same tests as in make test, many more times; two at a time.
chaos: setup
	CHAOS_KILLS=$${CHAOS_KILLS:-1000} CHAOS_PLAYBOOK_KILLS=$${CHAOS_PLAYBOOK_KILLS:-100} GENERATED_SEEDS=4 pytest --numprocesses=2 --verbose -rP \
	  tests/unit/plugins/module_utils/test_dotenv_generated.py tests/integration/test_bookwyrm_kills.py tests/integration/test_media_kills.py tests/integration/test_media_chaos.py

# The tests of the providers that make test has, and the sequences at all of them instead of two.
profiles: setup
	PROFILES=all pytest --numprocesses=2 --verbose -rP tests/integration/test_provider_*.py

matrix: setup
	PYTHONPATH=$(CURDIR)/$(VENV)/collections $(BIN)/python -m ansible_collections.selfhosted.media.tests.matrix $(ARGS)

# The oldest and the newest of everything alone.
matrix-ends: setup
	$(call timed,matrix,$(MAKE) --no-print-directory matrix ARGS=--ends)

# The peers have an environment of their own, which nothing else uses.
$(VENV)/bench/.ready: tests/bench/requirements.txt
	$(BASE_PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt
	touch $@

bench: setup $(VENV)/bench/.ready
	PYTHONPATH=$(CURDIR)/$(VENV)/collections $(BIN)/python -m ansible_collections.selfhosted.media.tests.bench $(ARGS)

# As root: each of the instances is in a network namespace of its own. ARGS="--hosts 20 --forks 10".
fleet: setup
	PYTHONPATH=$(CURDIR)/$(VENV)/collections $(BIN)/python -m ansible_collections.selfhosted.media.tests.bench.fleet $(ARGS)

# The site into build/docs, in the environment of the other tools; the theme lies in a folder of its own.
$(VENV)/docs/.ready: docs/requirements.txt $(VENV)/.dev
	rm -rf $(@D)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps --target $(@D) -r $<
	touch $@

docs: setup $(VENV)/docs/.ready
	$(call timed,docs,PYTHONPATH=$(CURDIR)/$(VENV)/docs docs/build.sh)

# Writes the page of providers anew from the provider table and the tests' profiles.
provider-page: setup
	PYTHONPATH=$(CURDIR)/$(VENV)/collections $(BIN)/python -m ansible_collections.selfhosted.media.tests.provider_page

# Writes CHANGELOG.rst anew from changelogs/fragments.
changelog: setup
	antsibull-changelog release --update-existing --refresh --reload-plugins

clean:
	rm -rf build $(VENV)
