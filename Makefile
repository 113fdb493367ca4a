# Two commands on a fresh machine: `make run` and `make test`; both do all set-up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?= --dataset digits --generator native --epochs 60

.PHONY: run test test-slow test-all gate docker-test image lint types clean

$(VENV)/.run: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

run: $(VENV)/.run  ## generate, audit, judge and report; ARGS="--dataset cifar100 ..." for another job
	$(BIN)/python -m harness $(ARGS)

test: $(VENV)/.dev  ## the quick tier
	$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.dev  ## the slow tier alone
	$(BIN)/python -m pytest -n 2 -m slow

test-all: test test-slow  ## both tiers

docker-test: $(VENV)/.dev  ## the image, with a Docker engine that is started where none runs
	tests/docker/engine.sh with $(BIN)/python -m pytest -n 0 --timeout 1200 -m docker tests/docker

image: Dockerfile  ## the image `submission`, which knows the commit it was built from
	docker build --tag submission --build-arg COMMIT="$$(git describe --always --abbrev=40 --dirty=+ --exclude '*')" .

gate: $(VENV)/.run  ## accuracy on digits against the committed baseline
	$(BIN)/python -m harness regress --baseline benchmarks/results/digits-baseline.json

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
