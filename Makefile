# Every target sets up what it needs; nothing has to be installed by hand but Python 3.11+, git and make.
VENV   ?= .venv
# The newest Python of .python-version that this machine has and that can make an environment.
PYTHON ?= $(shell for v in $$(cat .python-version) ''; do p=python$${v:-3}; \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
STAMP  := $(VENV)/.lock-$(shell cksum < requirements.lock | tr ' ' '-')
BIN    := $(VENV)/bin
PEERS  := .venv-bench/.lock-$(shell cksum < integration/runs/bench/requirements.lock | tr ' ' '-')
ARGS   ?=
SEED   ?= 1
BASE   ?= origin/main

.PHONY: load test report capacity compare selfcheck holds bench bench-tools apart mutate aa planted noisy check lint types contracts format setup lock clean

load: $(STAMP)
	$(BIN)/locust -f locustfile.py --headless $(ARGS)

test: $(STAMP)
	$(BIN)/python -m integration $(ARGS)

# The last run again, beside the tests of now; another one: make report ARGS=reports/FOLDER
report: $(STAMP)
	$(BIN)/python -m load.again $(ARGS)

# The largest load within the objectives; another one: make capacity ARGS="--objective 'gap_ms p99 < 60' -t 300s"
capacity: $(STAMP)
	$(BIN)/locust -f locustfile.py --headless --find-capacity -u 400 -t 120s --objective 'ttft_ms p95 < 500' $(ARGS)

# Whether the working tree streams worse than a commit: make compare BASE=HEAD~1 ARGS="-t 90s"
compare: $(STAMP)
	$(BIN)/locust -f locustfile.py --headless --base $(BASE) $(ARGS)

# Whether a comparison on this machine finds what is planted, and nothing else
selfcheck: $(STAMP)
	$(BIN)/locust -f locustfile.py --headless --selfcheck $(ARGS)

# Kill loops, repetitions and long waits; not part of the checks.
holds: $(STAMP)
	$(BIN)/pytest -m holds $(ARGS)

# Beside other clients, then ratios from whole runs; minutes each. Parts: make bench ARGS="--only flat --runs 1"
bench: $(STAMP) $(PEERS)
	$(BIN)/python -m integration.runs.bench $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m integration.runs.bench.rough)
	$(if $(ARGS),,$(BIN)/python -m integration.runs.bench.overhead)

# Artillery (needs npm) and AIPerf beside them: 1.7 GB. k6 is taken from the PATH.
bench-tools: $(PEERS)
	npm install --prefix .venv-bench --no-save --ignore-scripts --no-audit --no-fund artillery@2.0.34
	$(BIN)/python -m venv .venv-bench/aiperf
	.venv-bench/aiperf/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: aiperf==0.13.0

# The accuracy of the bench across two network namespaces and through a relay; needs root: make apart ARGS=1
apart: $(STAMP)
	$(BIN)/python -m integration.runs.bench.apart $(ARGS)

# The other clients of the bench; without them it says what it skipped.
.venv-bench/.lock-%: | $(STAMP)
	rm -rf .venv-bench
	$(BIN)/python -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
		-r integration/runs/bench/requirements.lock
	touch $@

# Sixty error sites of the backend, each made wrong; goes on where it was stopped: make mutate SEED=2 ARGS="--by both"
mutate: $(STAMP)
	$(BIN)/python -m integration.mutate --seed $(SEED) $(ARGS)

# Real comparisons, a line each in docs/evidence; go on where they were stopped: make planted ONLY=ttft_10 N=40
aa planted noisy: $(STAMP)
	$(BIN)/python -m integration.evidence $@ $(if $(N),-n $(N)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

check: lint types contracts test

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(STAMP)

# The name of the stamp holds the sum of the lock: when it was written does not matter. The lock is whole, and
# an older pip (before 23.3) would look for the newest of what an extra asks for, and stop at its missing hash.
$(STAMP): | requirements.lock
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv was found; install one, or name it: make PYTHON=/path/to/python3"; exit 2; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements.lock
	touch $@

# Needs uv on the PATH. The lock holds hashes and markers for every platform, and names no registry.
lock:
	uv pip compile pyproject.toml --group test --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade --quiet -o requirements.lock

clean:
	rm -rf $(VENV) .venv-bench reports .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
