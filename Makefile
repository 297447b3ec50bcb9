# Two commands do all set-up on a machine with Python and make: `make demo` and `make test`.
.DEFAULT_GOAL := menu
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Not an environment: the source of moto, whose tests check the stand-in, and the libraries they import.
MOTO := .venv-moto
SPARK := $(VENV)/.installed-spark
# The CDK's packages contradict the platform's (python-dateutil, typeguard), so they live beside them.
INFRA_VENV := .venv-infra
# So do those of the AWS CLI and the training toolkit, which the tests run as others would.
FOREIGN_VENV := .venv-foreign
TEMPLATES := infra/cdk.out/manifest.json
UV := uv==0.13.9
# The first interpreter that starts and is a version we support. A shim that is merely on the PATH does not count.
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; done)
WORKERS ?= 2

# With this set Python would compile Dagster anew in every process: twice its import time.
unexport PYTHONDONTWRITEBYTECODE
# Our virtual environment must not see packages of another one.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: menu setup demo dev test lint types check handbook synth clean

menu:
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## Create .venv and install the locked dependencies; the others do it by themselves

demo: $(INSTALLED) ## See the whole loop on this machine, in under ten minutes
	$(BIN)/ml-platform demo

dev: $(INSTALLED) ## Local services and Dagster's UI until Ctrl-C
	@exec $(BIN)/ml-platform dev

test: $(INSTALLED) $(SPARK) $(TEMPLATES) $(FOREIGN_VENV)/.installed $(MOTO)/.installed ## Every test that needs no AWS account
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not aws"

# tests/aws runs on the stand-in in `make test`; asked for by name it runs on an account, and says what it needs for that.
MARK_aws := aws
test-%: $(INSTALLED) ## test-loop: a bad model is stopped, a bad rollout comes back; test-aws: jobs and endpoints on a real account
	$(BIN)/pytest tests/$* -m "$(or $(MARK_$*),not aws)"

lint: $(INSTALLED) ## Style, formatting and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(INSTALLED) $(SPARK) ## Static types
	$(BIN)/mypy -p ml_platform

check: lint types test ## Everything CI runs

handbook: $(INSTALLED) ## The Fraud Detection Handbook's data and figures: make handbook DATA=<parquet>
	$(BIN)/ml-platform handbook --data "$(or $(DATA),$(error Say which data: make handbook DATA=path/to/handbook_transactions.parquet))"

bench-%: $(INSTALLED) ## tax, standin, ground, features, gate, handbook, reasons: ours beside a named reference
	$(BIN)/python -m bench.$* $(if $(DATA),--data "$(DATA)")

synth: $(TEMPLATES) ## Synthesize the AWS stacks; no account and no node needed

clean: ## Delete the virtual environments and the local state in .ml_platform
	rm -rf $(VENV) $(INFRA_VENV) $(FOREIGN_VENV) $(MOTO) .venv-ground infra/cdk.out .ml_platform .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build ./*.egg-info

# create_venv,folder: keeps one that works, if without pip; replaces one that does not.
define create_venv
@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed and none was found. Install one, or say where it is:" \
	"make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
@$(1)/bin/python -c 'import pip' 2>/dev/null || $(1)/bin/python -m ensurepip >/dev/null 2>&1 || \
	$(PYTHON) -m venv --clear $(1) || { \
	echo "$(PYTHON) cannot create a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
@$(1)/bin/python -m pip install --quiet --disable-pip-version-check "$(UV)"
endef

# install,folder,lock: uv takes seconds; pip takes minutes, but knows the pip.conf of machines behind a package mirror.
define install
@UV_COMPILE_BYTECODE=1 $(1)/bin/uv pip install --quiet --python $(1)/bin/python --require-hashes -r $(2) || { \
	echo "uv could not install $(2); trying pip" >&2; \
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2); }
endef

$(INSTALLED): requirements.lock pyproject.toml
	@echo "Installing the locked dependencies into $(VENV) (1.2 GB, once)"
	$(call create_venv,$(VENV))
	$(call install,$(VENV),requirements.lock)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(SPARK): $(INSTALLED) requirements-spark.lock
	@echo "Installing Spark and a Java runtime into $(VENV) (0.6 GB, once)"
	$(call install,$(VENV),requirements-spark.lock)
	@touch $@

$(INFRA_VENV)/.installed: infra/requirements.lock
	@echo "Installing the CDK into $(INFRA_VENV) (once)"
	$(call create_venv,$(INFRA_VENV))
	$(call install,$(INFRA_VENV),infra/requirements.lock)
	@touch $@

# `true` for a compiler: the toolkit's one C file serves MPI only, and fresh machines can build nothing.
$(FOREIGN_VENV)/.installed: export CC := true
$(FOREIGN_VENV)/.installed: export LDSHARED := true
$(FOREIGN_VENV)/.installed: tests/foreign/requirements.lock tests/foreign/gethostname.py
	@echo "Installing the AWS CLI and the training toolkit into $(FOREIGN_VENV) (0.4 GB, once)"
	$(call create_venv,$(FOREIGN_VENV))
	$(call install,$(FOREIGN_VENV),tests/foreign/requirements.lock)
	@cp tests/foreign/gethostname.py "$$($(FOREIGN_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

$(MOTO)/.installed: tests/foreign/moto/source.lock tests/foreign/moto/libraries.lock $(INSTALLED)
	@echo "Fetching the source of moto, whose tests check the stand-in (10 MB, once)"
	@rm -rf $(MOTO) && mkdir $(MOTO)
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary moto --require-hashes \
		-d $(MOTO) -r tests/foreign/moto/source.lock
	@tar -xzf $(MOTO)/moto-*.tar.gz -C $(MOTO)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target $(MOTO)/site --no-deps --require-hashes \
		-r tests/foreign/moto/libraries.lock
	@touch $@

$(TEMPLATES): $(INFRA_VENV)/.installed $(wildcard infra/*.py infra/*/*.py)
	$(INFRA_VENV)/bin/python -m infra.app
	@touch $@
