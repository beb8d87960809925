# Two commands do all the set-up: `make drill` runs the main drill on the lab, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXPERIMENT ?= experiments/kafka-broker-loss.json
MODULES := chaosdrills tests benchmarks

# Tests that only compute, with a low priority beside those that run real servers and watch them.
PURE := tests/core tests/report

# The others run real servers and watch them, each worker with labs of its own, a file staying together: those of
# PostgreSQL and then of Redis, which mostly wait for Patroni and for Sentinel, beside the rest. Beside others a drill may
# find no quiet baseline, so what failed is tried once more, alone, when all is done: that must pass, and both are shown.
WORKERS ?= 3
WAITING_WORKERS ?= 3
POSTGRESQL := $(sort tests/timescaledb tests/lab/test_application.py $(wildcard tests/lab/test_timescaledb*.py))
REDIS := $(sort tests/redis tests/feast tests/gameday/test_soak.py $(wildcard tests/lab/test_redis*.py tests/lab/test_fea*.py tests/lab/test_heal*.py))
OTHERS := tests $(addprefix --ignore=,$(PURE) $(POSTGRESQL) $(REDIS))
TRIES := .pytest_cache/tries

.PHONY: drill drills test feast test-pure test-servers test-waiting test-again lint validate bench clean

drill: $(VENV)/.all
	@$(BIN)/chaos --no-version-check run $(EXPERIMENT)

drills: $(VENV)/.dev
	CHAOSDRILLS_FULL=1 $(BIN)/python -m pytest -v -s tests/lab/test_experiments.py tests/lab/test_timescaledb_experiments.py \
	  tests/lab/test_redis_experiments.py tests/lab/test_feast_experiments.py

test: lint validate feast
	@rm -rf $(TRIES)
	@$(MAKE) --no-print-directory --jobs=3 test-servers test-waiting test-pure
	@$(MAKE) --no-print-directory test-again

# An environment for Feast, made once (590 MB): no test is to wait for it.
feast: $(VENV)/.dev
	@$(BIN)/chaosdrills lab prepare feast

test-pure: $(VENV)/.dev
	nice -n 15 $(BIN)/python -m pytest -q $(PURE)

test-servers: $(VENV)/.dev
	@$(call try,servers,$(OTHERS) -n $(WORKERS))

test-waiting: $(VENV)/.dev
	@TESTS_LANE=3 $(call try,postgresql,$(POSTGRESQL) -n $(WAITING_WORKERS))
	@TESTS_LANE=3 $(call try,redis,$(REDIS) -n $(WAITING_WORKERS))

test-again: $(VENV)/.dev
	@$(call again,servers,$(OTHERS))
	@$(call again,postgresql,$(POSTGRESQL))
	@$(call again,redis,$(REDIS))

# What fails is left to test-again; all else that keeps pytest from an answer is final.
try = $(BIN)/python -m pytest -q -o cache_dir=$(TRIES)/$1 $2 --dist loadfile --no-loadscope-reorder \
  || { status=$$?; test $$status -eq 1 && touch $(TRIES)/$1.failed; }
again = test ! -e $(TRIES)/$1.failed || { echo "Once more, alone: what failed beside others ($1)"; \
  $(BIN)/python -m pytest -q -o cache_dir=$(TRIES)/$1 $2 --last-failed --last-failed-no-failures=none; }

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
