# The commands people type. Each sets up what it needs first; nothing is done twice.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# A name on the PATH proves nothing (pyenv's shims fail when they run), so each is tried.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do $$p -c '$(FITS)' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CLASSES := $(VENV)/.classes
UV := uv==0.13.9
FREE_KB := 6000000
# rfc3987-syntax compiles a grammar, for seconds, in each process that reads a notebook; nothing here needs it.
UNWANTED := rfc3987-syntax
# The first import of a package compiles it: here once, and not in several processes at the same time.
COMPILED := import IPython, matplotlib.pyplot, mlflow.pyfunc, papermill, pyspark.ml, tensorflow as tf; tf.keras.Model
# An environment of its own, with pip: what is half made is made again, and nothing goes into the system's Python.
OWN := import pip, sys; sys.exit(sys.prefix == sys.base_prefix)

export TF_USE_LEGACY_KERAS := 1
export TF_CPP_MIN_LOG_LEVEL := 3
export SPARK_LOCAL_IP := 127.0.0.1
unexport PYTHONDONTWRITEBYTECODE # without .pyc files every process that imports TensorFlow takes 15 s instead of 5

.PHONY: help demo test docs lint lab export update lock java clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

demo: $(READY) java $(CLASSES) ## run the job nightly on a simulated shop, then an A/B test: from raw clicks to recommendations that are clicked
	@$(BIN)/rgg run nightly
	@$(BIN)/rgg run ab_test
	@echo
	@echo "Where to look next:"
	@echo "  $(BIN)/rgg show           the run again; its executed notebooks are in data/runs/"
	@echo "  $(BIN)/mlflow ui --backend-store-uri sqlite:///data/mlflow.db   the models and their metrics"
	@echo "  $(BIN)/rgg serve          the champion behind a REST endpoint"
	@echo "  make lab                  the notebooks, to change and run"

test: $(READY) java $(CLASSES) lint ## check that notebooks and generated code agree, then run every test
	@$(BIN)/python notebooks/library/export.py --check
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=25

docs: $(READY) java $(CLASSES) ## execute the notebooks and build the manual as a site in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python docs/build.py

lint: $(READY) ## ruff on the generated code, the tests and the notebooks
	@$(BIN)/ruff check .

lab: $(READY) java $(CLASSES) ## open Jupyter on the notebooks
	@$(BIN)/jupyter lab --ip=127.0.0.1 --notebook-dir=.

export: $(READY) ## clean the notebooks, then generate rgg_shared/ and tests/ from them
	@$(BIN)/python notebooks/library/export.py

update: $(READY) ## bring edits of rgg_shared/*/*.py back into the notebooks
	@$(BIN)/python notebooks/library/export.py --update

lock: $(READY) ## resolve the dependencies of settings.ini anew into requirements.lock
	@$(BIN)/uv pip compile setup.py --extra dev --python-version 3.11 --no-emit-index-url --no-header --no-annotate --refresh -q -o requirements.lock

clean: ## remove data/, the environment and everything generated
	@rm -rf data site $(VENV) build dist *.egg-info .pytest_cache .ruff_cache spark-warehouse metastore_db derby.log
	@find . -name .git -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

$(READY): requirements.lock settings.ini setup.py
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "rgg needs Python 3.11 or 3.12: install it, or name it with make PYTHON=/path/to/python3.12."; exit 1; }
	@test -d $(VENV)/lib || test $$(df -Pk . | awk 'NR==2 {print $$4}') -ge $(FREE_KB) || { echo "rgg needs 6 GB of free disk here for its dependencies, there is less: make room, or clone it elsewhere."; exit 1; }
	@echo "Setting up $(VENV) (some minutes the first time) ..."
	@$(BIN)/python -c '$(OWN)' 2>/dev/null || $(PYTHON) -m venv $(VENV) >/dev/null || { echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian and Ubuntu: apt-get install python3-venv)."; exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $(UV)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	@$(BIN)/uv pip uninstall --quiet --python $(BIN)/python $(UNWANTED) 2>/dev/null || true
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --refresh -e .
	@$(BIN)/python -c '$(COMPILED)'
	@touch $@

# Spark's JVM starts in two thirds of the time from an archive of its classes; without one it starts all the same.
$(CLASSES): $(READY) | java
	@echo "Archiving Spark's classes (about a minute, once) ..."
	@$(BIN)/python -c 'from rgg_shared.core.spark import write_class_archive; write_class_archive()' 2>$(VENV)/classes.log \
		|| echo "There is no archive, so Spark starts more slowly; $(VENV)/classes.log says why. To try again: rm $@"
	@touch $@

# Spark needs Java 17 or newer.
java:
	@java="$${JAVA_HOME:+$$JAVA_HOME/bin/}java"; \
	version=$$($$java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'); \
	if [ "$${version:-0}" -ge 17 ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -z "$$JAVA_HOME" ]; then \
		echo "Installing Java 17 ..."; apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless >/dev/null && exit 0; fi; \
	echo "Spark needs Java 17 or newer: install it (Debian and Ubuntu: sudo apt-get install openjdk-17-jre-headless), or set JAVA_HOME."; exit 1
