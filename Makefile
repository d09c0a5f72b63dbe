# Bulkhead. `make` lists the targets. The logic is in Python (infra/kind, infra/demo, tests), not here.

KUBECONFIG_UP := $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig $(KUBECONFIG))
BULKHEAD_KIND := .venv/bin/bulkhead-kind
BULKHEAD_DEMO := .venv/bin/bulkhead-demo
PYTEST        := .venv/bin/python -m pytest
LOCK          := .venv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-emit-find-links \
                 --no-emit-index-url
TIMEOUT       := --timeout 600

.DEFAULT_GOAL := help
.PHONY: help up down status images demo demo-cluster demo-bad-day test lint unit packages root-test kind-test \
        bench lock fmt

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use
up: .venv/synced ## Create the cluster, build the images, install everything, run a job (KUBECONFIG=… for your own cluster)
	@$(BULKHEAD_KIND) up $(KUBECONFIG_UP)

down: .venv/synced ## Remove the cluster and its registry
	@$(BULKHEAD_KIND) down

status: .venv/synced ## Show whether the cluster runs, and its pods
	@$(BULKHEAD_KIND) status

images: .venv/synced ## Build and push the images, and show their sizes
	@$(BULKHEAD_KIND) images

##@ Try the grocer: three teams, one flow
demo: .venv/synced ## On this machine only, with DuckDB, without a cluster (ARGS=--fresh: with empty data)
	@$(BULKHEAD_DEMO) laptop $(ARGS)

demo-cluster: .venv/synced ## On the cluster, after the steps of `up`, with PostgreSQL and the object store
	@$(BULKHEAD_DEMO) cluster $(KUBECONFIG_UP)

demo-bad-day: .venv/synced ## Add a file with broken rows and a step with too little memory (ARGS=--laptop after `demo`)
	@$(BULKHEAD_DEMO) bad-day $(KUBECONFIG_UP) $(ARGS)

##@ Test
test: lint unit ## Run all checks and tests that need no cluster

lint: .venv/synced .tools/synced ## Check style, types, import layers, charts, workflows and Dockerfiles
	@.venv/bin/python -m tests.lint

unit: .venv/synced .tools/synced ## Run unit tests, tests of the rendered charts, and the tests of each code location
	@$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

packages: .venv/synced ## Install the Debian packages that tests call (`sudo make packages`)
	@$(BULKHEAD_KIND) packages

root-test: packages ## Unit tests that need root, such as packet filters (`sudo make root-test`)
	@test "$$(id -u)" = 0 || { echo "root-test needs root: run sudo make root-test"; exit 1; }
	@$(PYTEST) -m needs_root $(ARGS)

kind-test: .venv/synced ## The promises, on a real cluster (ARGS='-k quota' for some)
	@$(BULKHEAD_KIND) up --no-run
	@$(BULKHEAD_KIND) images --also tests/e2e/locations
	@$(PYTEST) tests/e2e $(TIMEOUT) --durations=20 $(ARGS)

bench: .venv/synced ## Compare runs and steps with Dagster's own executors, and write build/bench.md
	@$(BULKHEAD_KIND) up --no-run
	@$(BULKHEAD_KIND) images --also tests/bench/locations
	@.venv/bin/python -m tests.bench $(ARGS)

##@ Maintain
fmt: .venv/synced ## Format the Python code
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

lock: .venv/synced ## Compute every requirements.lock again
	@$(LOCK) --python-version 3.11 --group pyproject.toml:dev --extra deploy packages/bulkhead/pyproject.toml infra/kind/pyproject.toml infra/demo/pyproject.toml -o requirements.lock
	@.venv/bin/python -m tests.locks

.venv/synced: requirements.lock packages/bulkhead/pyproject.toml infra/kind/pyproject.toml infra/demo/pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required, but python3 is " + sys.version.split()[0])'
	@test -x .venv/bin/python || python3 -m venv .venv
	@.venv/bin/pip install -q --disable-pip-version-check "$$(grep -o '^uv==[0-9.]*' requirements.lock)"
	@.venv/bin/uv pip sync -q --compile-bytecode --require-hashes --python .venv/bin/python requirements.lock
	@.venv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e packages/bulkhead -e infra/kind -e infra/demo
	@touch $@

.tools/synced: .venv/synced
	@$(BULKHEAD_KIND) tools && touch $@
