# The two commands are `make up` and `make test`; `make help` lists all.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# A hundred processes start here; without byte code each would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

# The first Python 3.11 or 3.12 that really runs and has venv: shims may exist and fail.
RUNS := import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python "$$HOME"/.pyenv/versions/3.1[12].*/bin/python; do \
	"$$python" -c '$(RUNS)' >/dev/null 2>&1 && { echo "$$python"; break; }; done)

# Most tests wait more than they compute; files stay whole, as their services are shared.
PARALLEL := -n 5 --dist loadfile --no-loadscope-reorder

NPM_CI := $(BIN)/python -m hub.embedded.node npm ci --no-progress --no-update-notifier --loglevel=error

.PHONY: up test soak check lint fmt freeze bench bench-peers bench-realtime requirements lock protocol docs clients install install-dev clean help

up: install ## start everything on this machine (ARGS="--reset" starts anew)
	@$(BIN)/pinghub up $(ARGS)

# Beside each other, as tests wait a lot: one run shows everything that is wrong, lint at the end.
# In a fresh clone one process compiles the tests first: five at once would each do all of it.
test: install-dev ## lint, types and every test but the long ones (ARGS="-k ring" selects)
	@said=$$(mktemp); $(MAKE) --no-print-directory lint >$$said 2>&1 & linting=$$!; \
	[ -e tests/__pycache__ ] || $(BIN)/pytest --collect-only -qq >/dev/null 2>&1; \
	$(BIN)/pytest $(PARALLEL) $(ARGS); tests=$$?; \
	wait $$linting; lint=$$?; cat $$said; rm -f $$said; exit $$((tests || lint))

soak: install-dev ## long outages and full-size chaos
	$(BIN)/pytest -m soak --timeout 1800 $(ARGS)

bench: install-dev ## print figures; see docs/performance.md
	$(BIN)/pytest -m bench -s --timeout 600 $(ARGS)

bench-peers: install ## install the peers of the realtime benchmark into .venv-bench
	@test -x .venv-bench/bin/python || "$(PYTHON)" -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet -r tests/bench/realtime/peers/requirements.txt
	@cp tests/bench/realtime/peers/package.json .venv-bench/
	@$(BIN)/python -m hub.embedded.node npm install --prefix .venv-bench --no-package-lock --no-audit --loglevel=error

bench-realtime: install-dev ## every realtime figure beside all peers; twenty minutes
	@$(BIN)/python -m tests.bench.realtime $(ARGS)

check: lint ## lint, types, import rules, architecture and fresh documents, without the other tests
	$(BIN)/pytest tests/architecture

lint: install-dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/python -m hub.embedded.node node_modules/pyright/index.js
	$(BIN)/lint-imports --no-cache

fmt: install-dev ## format and repair what can be repaired
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

freeze: install-dev ## keep this version's migrations, objects and queries as released; once per release
	@$(BIN)/python -m tests.freeze

requirements: install-dev ## which requirements are proved, and by which tests
	@$(BIN)/python -m tests.requirements

protocol: install-dev ## generate the Protobuf messages of the client protocol
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. hub/realtime/protocol/client.proto

docs: install-dev ## write the generated documents
	$(BIN)/python -m tests.documents

clients: install-dev ## generate the REST clients in TypeScript and Python (ARGS=folder)
	$(BIN)/python -m tests.clients $(ARGS)

# Without index addresses the same locks serve every machine.
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--no-emit-find-links --python-version 3.11 --no-header --annotation-style line
lock: install-dev ## rewrite the lock files from pyproject.toml and package.json (ARGS="--upgrade")
	$(COMPILE) $(ARGS) --group build --extra embedded --extra edge pyproject.toml -o requirements.lock
	$(COMPILE) $(ARGS) --group build --extra embedded --extra edge --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	echo amqtt | $(COMPILE) $(ARGS) - -o hub/embedded/requirements-amqtt.lock
	$(BIN)/python -m hub.embedded.node npm install --package-lock-only

install: $(VENV)/installed node_modules/.installed
install-dev: $(VENV)/installed-dev node_modules/.installed-dev

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or 3.12 with venv runs here: install one (Debian: apt-get install python3-venv), or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.lock hub/embedded/requirements-amqtt.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing Python packages"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@$(BIN)/python -m hub.embedded.fetch
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock hub/embedded/requirements-amqtt.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing Python packages for development"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@$(BIN)/python -m hub.embedded.fetch --amqtt
	@touch $@ $(VENV)/installed

node_modules/.installed: package-lock.json | $(VENV)/installed
	@echo "fetching the JS SDK"
	@$(NPM_CI) --omit=dev
	@$(BIN)/python -m hub.embedded.scalar
	@touch $@

node_modules/.installed-dev: package-lock.json | $(VENV)/installed-dev
	@$(NPM_CI)
	@$(BIN)/python -m hub.embedded.scalar
	@touch $@ node_modules/.installed

clean: ## remove what make has installed; data in .pinghub stays
	rm -rf $(VENV) node_modules

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s%s\n", $$1, $$2}' Makefile
