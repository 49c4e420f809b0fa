# `make` or `make help` lists what can be made.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help install run test test-long lint sbom format bench load lock messages

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: .venv/.installed  ## .venv with everything, pinned by hash

# hatchling comes from the lock too, so that building our own package needs nothing that has no hash
.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install  ## prepare an SQLite database, seed a demo firm at first start, serve on 127.0.0.1:8000
	$(BIN)/marchamo serve --prepare --demo-firm

test: install  ## all tests but soaks and long fuzzing (at most 15 minutes on 2 cores)
	$(BIN)/pytest -n 2 --dist loadgroup -m "not long"

test-long: install  ## soaks and long fuzzing
	$(BIN)/pytest -n 2 --dist loadgroup -m long

lint: install  ## style, types, import directions, bill of materials, known vulnerabilities of what we depend on
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/sbom.py
	$(BIN)/python .ci/dependency_audit.py

sbom: install  ## the bill of materials (CycloneDX) from the lock files: build/sbom.cdx.json
	$(BIN)/python .ci/sbom.py

format: install  ## rewrite the sources in the common style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: install  ## measure every figure we state; writes loadtests/RESULTS.md
	$(BIN)/python -m loadtests.bench

load: install  ## locust without a browser against a real server on loopback, with pass and fail thresholds
	$(BIN)/python -m loadtests.load

lock: install  ## pin every dependency again, with hashes: all of them, and those of the service alone
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --no-emit-index-url --no-annotate --no-header pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --constraints requirements.lock --group build --no-emit-index-url --no-annotate --no-header pyproject.toml --output-file requirements-service.lock

messages: install  ## collect the texts of pages and errors for translation, and compile what is translated
	$(BIN)/pybabel --quiet extract --project Marchamo --sort-by-file --no-location --mapping-file babel.cfg --output-file app/portal/translations/messages.pot app
	$(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete --input-file app/portal/translations/messages.pot --output-dir app/portal/translations
	$(BIN)/pybabel --quiet compile --directory app/portal/translations
