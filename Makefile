# `make run` and `make test` do all their own set-up. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
BROKERS ?= 1

.PHONY: help run demo kafka test lint unit fuzz soak chaos bench setup-test constraints docs screenshots recordings clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: $(VENV)/installed ## the app on 127.0.0.1:8501, with the demo cluster unless a Kafka is set
	@$(BIN)/python -m scripts.preflight "$(PORT)"
	@$(BIN)/streamlit run streamlit_app.py --server.port "$(strip $(PORT))"

demo: $(VENV)/installed ## the reference scenario on the console: 20 orders, one of which fails for good
	@$(BIN)/python -m scripts.demo

kafka: $(VENV)/installed ## Apache Kafka and a schema registry to play with, until Ctrl-C; BROKERS=3 for three brokers
	@$(BIN)/python -m scripts.local --brokers $(BROKERS)

# The long ones first, so that no core is left over with one of them in the end.
LONG_ONES := tests/chaos tests/pipeline tests/registry tests/browser
TESTS := $(LONG_ONES) $(filter-out $(LONG_ONES), $(patsubst %/, %, $(wildcard tests/*/)))
# To look through all files takes 9 s, and nothing runs beside these: only those that have such a test are looked through.
ALONE = $(shell grep -rl --include='*.py' 'mark\.alone' tests)

# Thousands of processes start in it: none may compile everything anew, whatever the environment says.
test: export PYTHONDONTWRITEBYTECODE =
test: setup-test ## everything: lint, types, unit, contract, app and browser tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# Types are looked at by one core for half a minute, which tests that wait for something leave free.
	$(BIN)/mypy & types=$$!; \
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not alone" $(TESTS); tests=$$?; \
	wait $$types && exit $$tests
	$(BIN)/python -m pytest -m alone $(ALONE)

lint: $(VENV)/installed-dev ## lint, format and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/installed-dev ## the quick tests only
	$(BIN)/python -m pytest tests/unit tests/contract

fuzz: $(VENV)/installed-dev ## at least 200,000 hostile inputs to whatever reads what others wrote
	$(BIN)/python -m tests.fuzz

soak: $(VENV)/installed-dev ## 24 simulated hours of load with retention on: does the buffer stay at its size?
	$(BIN)/python -m scripts.soak

BENCH ?=
bench: setup-test $(VENV)-bench/installed ## measures beside the bare loop and other frameworks on Apache Kafka; BENCH=--full
	@$(BIN)/python -m bench $(BENCH)

FAULTS ?= 300
SEED ?= 1
KINDS ?=
chaos: setup-test ## faults of every kind under load on Apache Kafka, against an outsider's count; FAULTS=, SEED=, KINDS=a,b
	$(BIN)/python -m tests.chaos --faults $(FAULTS) --seed $(SEED) --kinds "$(KINDS)"

docs: $(VENV)/installed-dev ## writes the tables of settings, rooms and query fields into the docs
	@$(BIN)/python -m scripts.settings_table --write
	@$(BIN)/python -m scripts.rooms --write
	@$(BIN)/python -m scripts.query_fields --write

screenshots: setup-test ## takes the pictures of README and docs again from the running app
	$(BIN)/python -m scripts.screenshots

recordings: $(VENV)/installed ## lets others write their dead letters, orders and failures again (Maven, Java 17, Go, Node, two databases; large)
	mvn -B -q -f tests/writers/pom.xml compile exec:java
	cd tests/writers/watermill && go run . ../../data/dead_letters/watermill-1.5.1.jsonl
	cd tests/writers/kafkajs-async-retry && npm ci --silent && node write.js ../../data/dead_letters/kafkajs-async-retry-1.0.0.jsonl
	$(BIN)/python tests/writers/confluent-rules/write.py tests/data/dead_letters/confluent-rules-2.16.1.jsonl
	$(BIN)/python -m tests.writers.kcat.write tests/data/imports/kcat-1.7.1.jsonl
	$(BIN)/python -m tests.writers.record_orders
	$(BIN)/python -m tests.writers.record_failures

setup-test: $(VENV)/installed-dev
	@sh scripts/setup_test.sh
	@$(BIN)/python -m scripts.local.fetch
	@$(BIN)/python -m scripts.local.keep_classes

constraints: $(VENV)/installed-dev ## rewrites constraints.txt from what is installed
	@(echo "# Every package at the version that was tested, direct or not. Made by \`make constraints\`."; \
	  $(BIN)/pip freeze --all --exclude pip) > constraints.txt

clean: ## takes the virtual environment and the caches away; data stays
	rm -rf $(VENV) $(VENV)-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis test-results

$(VENV)/bin/python:
	@sh scripts/make_venv.sh $(PYTHON) $(VENV)

$(VENV)/installed: requirements.txt requirements-pipeline.txt constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)-bench/installed: requirements-bench.txt
	@sh scripts/make_venv.sh $(PYTHON) $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@
