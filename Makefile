# `make run` and `make test` need python3, pip and make; they do the rest themselves.

PYTHON ?= python3
VENV := .venv
LITELLM := litellm[proxy]==1.106.2
AGENTS := @openai/codex@0.169.0 @anthropic-ai/claude-code@2.1.197
BIN := $(VENV)/bin
NPM := $(shell command -v npm 2>/dev/null)
PROCESSES ?= 2
SOAK_SECONDS ?= 1800
SOAK_STREAMS ?= 1000

.PHONY: run test lint types unit peers test-clients dashboard test-dashboard screenshots bench bench-scale bench-pages fuzz faults soak crash crash-long two-hosts clean

run: $(VENV)/.installed ## the main job: real recorded streams through a running gateway
	$(BIN)/headgate demo

test: $(VENV)/.installed-test ## linters, types and all tests; what is installed or tested apart from the rest, side by side
	$(MAKE) -j3 -O lint types $(VENV)-litellm/.installed $(if $(NPM),.clients/.installed dashboard/node_modules/.installed)
	$(MAKE) unit
	$(MAKE) -j2 -O peers $(if $(NPM),test-clients test-dashboard)
	@$(if $(NPM),,echo "npm is missing: test-clients and test-dashboard were left out")

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

unit: $(VENV)/.installed-test ## every test of headgate and its end-to-end tests, in two processes unless PROCESSES says otherwise
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist worksteal

peers: $(VENV)/.installed-test $(VENV)-litellm/.installed ## against servers too large for our own environment
	$(BIN)/pytest peers

test-clients: $(VENV)/.installed-test .clients/.installed ## Codex and Claude Code through the gateway; needs npm
	$(BIN)/pytest tests/clients

dashboard: dashboard/node_modules/.installed ## build the dashboard from its sources; needs npm
	npm --prefix dashboard run build

test-dashboard: $(VENV)/.installed-test dashboard/node_modules/.installed ## its own tests, that it builds as committed, axe-core; needs npm and chromium
	npm --prefix dashboard test
	$(BIN)/pytest tests/dashboard

screenshots: $(VENV)/.installed-test ## docs/screenshots: each page in light, in dark and on a phone; needs chromium
	$(BIN)/python -m tests.browser.screenshots

bench: $(VENV)/.installed-test $(VENV)-litellm/.installed .bench/portkey/.installed ## side by side with raw proxies and other gateways, 25 minutes; needs nginx, haproxy and npm
	$(BIN)/python -m bench

bench-scale: $(VENV)/.installed-test ## 1 and 2 workers, and two hosts in network namespaces on one PostgreSQL; namespaces need root and iproute2
	$(BIN)/python -m bench.scale

bench-pages: $(VENV)/.installed-test ## what pages wait for with ten million records in each database: takes an hour and 40 GB
	$(BIN)/python -m bench.pages

crash: $(VENV)/.installed-test ## kill -9 under load, then audit: five times on each database
	$(BIN)/pytest -s tests/e2e/test_crash.py

crash-long: $(VENV)/.installed-test ## the same, fifty times
	HEADGATE_KILLS=50 $(BIN)/pytest -s tests/e2e/test_crash.py

two-hosts: $(VENV)/.installed-test ## two gateways in network namespaces on one PostgreSQL; needs root and iproute2
	HEADGATE_TWO_HOSTS=netns $(BIN)/pytest -s tests/e2e/test_two_hosts.py

faults: $(VENV)/.installed-test ## five thousand exchanges over networks that fail, as hypothesis draws them
	HEADGATE_PLAYS=5000 $(BIN)/pytest -s tests/faults/test_exchange.py

soak: $(VENV)/.installed-test ## flat memory and exact books under load, a tenth of it misbehaving: half an hour
	HEADGATE_SOAK_SECONDS=$(SOAK_SECONDS) HEADGATE_SOAK_STREAMS=$(SOAK_STREAMS) $(BIN)/pytest -s tests/faults/test_soak.py

fuzz: $(VENV)/.installed-test ## the fuzzers for a minute each
	for target in fuzz/fuzz_*.py; do $(BIN)/python $$target --seconds 60 || exit 1; done

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/.installed

$(VENV)-litellm/.installed: Makefile
	test -x $(VENV)-litellm/bin/python || $(PYTHON) -m venv $(VENV)-litellm
	$(VENV)-litellm/bin/python -m pip install --quiet --disable-pip-version-check '$(LITELLM)'
	touch $@

.bench/portkey/.installed: bench/portkey.json
	mkdir -p .bench/portkey
	cp bench/portkey.json .bench/portkey/package.json
	npm install --prefix .bench/portkey --no-audit --no-fund --loglevel=error
	touch $@

.clients/.installed: Makefile
	mkdir -p .clients
	npm install --prefix .clients --no-audit --no-fund --loglevel=error $(AGENTS)
	touch $@

dashboard/node_modules/.installed: dashboard/package-lock.json
	npm --prefix dashboard ci --no-audit --no-fund --loglevel=error
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-litellm .bench .clients dashboard/node_modules dashboard/.test build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
