# `make help` says what there is. Nothing but Python 3.11 to 3.13 and make is needed to begin.

BIN := .venv/bin
COMPOSE := docker-compose.yml

# Without bytecode each process compiles our modules anew: a quarter more time to start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check cover native bench messages pictures pins clean

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

run: .venv/run.stamp ## set up and serve with three demo backends; ARGS="--workers 2"
	@exec $(BIN)/python manage.py serve --demo $(ARGS)

test: .venv/dev.stamp ## run all tests; ARGS="tests/core -x"
	@$(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder -q --tb=short $(ARGS)

check: .venv/dev.stamp ## style, types, layers, migrations, settings, compose file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -W error::RuntimeWarning manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python -m pip check
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec $(COMPOSE)

cover: .venv/dev.stamp ## hold the tests of pools/core to every branch of it
	$(BIN)/python -m pytest -q tests/core --cov=pools.core --cov-branch \
		--cov-report=term-missing:skip-covered --cov-fail-under=100

native: .venv/native.stamp ## compile the request path: twice the speed; wants a C compiler
	@$(BIN)/python scripts/native.py

bench: .venv/dev.stamp native ## measure, and keep the tables in bench/results; wants wrk, nginx, haproxy
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	$(BIN)/python bench/match.py --write
	$(BIN)/python -m bench.view --write
	$(BIN)/python -m bench.health --write
	$(BIN)/python -m bench.flip --write
	$(BIN)/python -m bench.figures --write
	$(BIN)/python -m bench.console --write
	$(BIN)/python -m bench.gateway --write

messages: .venv/dev.stamp ## collect texts for translation, compile them, list what is missing; wants gettext
	@$(BIN)/python -m scripts.messages

pictures: .venv/dev.stamp ## draw docs/images anew; wants Chromium
	@$(BIN)/python -m scripts.screenshots

pins: .venv/dev.stamp ## write requirements*.txt anew from pyproject.toml
	$(PIN) -o requirements.txt
	$(PIN) --group dev -o requirements-dev.txt
	$(PIN) --group bench -o requirements-bench.txt
	$(PIN) --group native --constraint requirements-dev.txt -o requirements-native.txt

PIN = $(BIN)/uv pip compile --universal --quiet --upgrade --python-version 3.11 \
	--no-emit-index-url --no-header --no-annotate pyproject.toml

clean: ## remove what set-up and tools made; data/ stays
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv/run.stamp: requirements.txt scripts/setup
	@scripts/setup requirements.txt
	@touch $@

.venv/dev.stamp: requirements.txt requirements-dev.txt scripts/setup
	@scripts/setup requirements-dev.txt
	@touch $@ .venv/run.stamp

.venv/native.stamp: .venv/run.stamp requirements-native.txt
	@scripts/setup requirements-native.txt
	@touch $@
