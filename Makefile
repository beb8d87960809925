# Two commands do all the set-up: `make drill` runs the main drill on the lab, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXPERIMENT ?= experiments/kafka-broker-loss.json
MODULES := chaosdrills tests benchmarks

# Tests that only compute, with a low priority beside those that run real servers and watch them.
PURE := tests/core tests/report

# The others run real servers and watch them, each worker with labs of its own, a file staying together (two of Kafka's
# drills at once fill two cores; PostgreSQL's and Redis's mostly wait). Beside others a drill may find no quiet baseline,
# so what failed is tried once more, alone, when all is done: that must pass, and both are shown.
WORKERS ?= 5
SERVERS := tests $(addprefix --ignore=,$(PURE))
TRIES := .pytest_cache/tries

.PHONY: drill drills test feast test-pure test-servers test-again lint validate bench clean

drill: $(VENV)/.all
	@$(BIN)/chaos --no-version-check run $(EXPERIMENT)

drills: $(VENV)/.dev
	CHAOSDRILLS_FULL=1 $(BIN)/python -m pytest -v -s tests/lab/test_experiments.py tests/lab/test_timescaledb_experiments.py \
	  tests/lab/test_redis_experiments.py tests/lab/test_feast_experiments.py

test: lint validate feast
	@rm -rf $(TRIES)
	@$(MAKE) --no-print-directory --jobs=2 test-servers test-pure
	@$(MAKE) --no-print-directory test-again

# An environment for Feast, made once (590 MB): no test is to wait for it.
feast: $(VENV)/.dev
	@$(BIN)/chaosdrills lab prepare feast

test-pure: $(VENV)/.dev
	nice -n 15 $(BIN)/python -m pytest -q $(PURE)

# What fails is left to test-again; all else that keeps pytest from an answer is final.
test-servers: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -o cache_dir=$(TRIES) $(SERVERS) -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  || { status=$$?; test $$status -eq 1 && touch $(TRIES)/failed; }

test-again: $(VENV)/.dev
	@test ! -e $(TRIES)/failed || { echo "Once more, alone: what failed beside others"; \
	  $(BIN)/python -m pytest -q -o cache_dir=$(TRIES) $(SERVERS) --last-failed --last-failed-no-failures=none; }

lint: $(VENV)/.dev
	$(BIN)/ruff check $(MODULES)
	$(BIN)/ruff format --check $(MODULES)
	$(BIN)/mypy
	$(BIN)/lint-imports

validate: $(VENV)/.dev
	@for experiment in experiments/*.json; do \
	  $(BIN)/chaos --no-version-check --no-log-file validate $$experiment || exit 1; done

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

$(VENV)/.all: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all,dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
