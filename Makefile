# Everything that is done with a checkout; `make` alone says what there is.
#
# Each target works alone in a fresh clone and does only what has not been done yet: stamp files in the two
# environments say what is in them. .venv is there to work with; build/testenv holds the built wheel, to test it.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: always help demo test simulate soak check bench dev wheel lock format clean
.PHONY: check-lint check-format check-types check-layers check-docs

PYTHON ?=
ARGS ?=

VENV := .venv
TESTENV := build/testenv
ENVS := $(VENV) $(TESTENV)
# Another PYTHON is another stamp, so the environments are made anew.
MADE := .made-$(or $(subst /,_,$(PYTHON)),default)

PIP := -m pip --quiet --quiet --disable-pip-version-check --no-input
INSTALL := $(PIP) install --require-hashes --requirement
SOURCES := $(shell find ledger node cli -name __pycache__ -prune -o -type f -print)

help:
	@echo 'Suyuan: a ledger for traceable data sharing between government departments'
	@echo
	@awk -F ': .*## ' '/^[a-z]+: .*## / && !($$1 == "bench" && system("test -f bench/run.py")) \
		{ printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 chooses the Python; ARGS='...' is handed on:  make test ARGS='-k proof'"

demo: $(VENV)/.wheel ## install everything into .venv and watch departments share data
	@$(VENV)/bin/suyuan demo $(ARGS)

test: $(TESTENV)/.wheel ## test the built wheel in an environment of its own, with coverage
	@echo '→ tests'
	@rm -f .coverage .coverage.*
	@PYTHONSAFEPATH=1 $(TESTENV)/bin/python -m coverage run -m pytest --quiet -n 2 $(ARGS)
	@$(TESTENV)/bin/python -m coverage combine --quiet
	@rm -f .coverage.*
	@$(if $(ARGS),echo '→ coverage is not judged: ARGS may have left tests out',$(judge-coverage))

judge-coverage = $(TESTENV)/bin/python -m coverage json --quiet && \
	$(TESTENV)/bin/python tools/check_coverage.py coverage.json || \
	{ $(TESTENV)/bin/python -m coverage report; exit 1; }

soak: $(TESTENV)/.wheel ## for minutes: real nodes parted, killed, wiped; how long they take to recover
	@echo '→ soak'
	@PYTHONSAFEPATH=1 $(TESTENV)/bin/python -m pytest --quiet -m nightly --capture no $(ARGS)

check: $(VENV)/.dev ## lint, format, types, layers, documents
	@$(MAKE) --no-print-directory --keep-going check-lint check-format check-types check-layers check-docs
	@echo '→ all checks passed'

check-lint: $(VENV)/.dev
	@echo '→ ruff check'
	@$(VENV)/bin/python -m ruff check --quiet

check-format: $(VENV)/.dev
	@echo '→ ruff format'
	@$(VENV)/bin/python -m ruff format --quiet --diff || { echo 'error: not formatted, run make format' >&2; exit 1; }

check-types: $(VENV)/.dev
	@echo '→ mypy'
	@$(VENV)/bin/python -m mypy --no-error-summary

check-layers: $(VENV)/.dev
	@echo '→ import-linter'
	@said=$$($(VENV)/bin/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }

check-docs: $(VENV)/.dev
	@echo '→ documents'
	@$(VENV)/bin/python tools/check_docs.py

simulate: $(VENV)/.dev $(VENV)/.wheel ## run SEEDS=1000 networks with liars and mishaps; SEED=1234 tells one in full
	@PYTHONHASHSEED=0 PYTHONPATH=tests:tests/simulation $(VENV)/bin/python tests/simulation/simulate.py \
		$(if $(SEED),--seed $(SEED),--quiet --first $(or $(FIRST),0) --seeds $(or $(SEEDS),1000)) \
		$(if $(COUNT),--count $(COUNT)) $(if $(THEME),--theme $(THEME)) $(ARGS)

bench: $(VENV)/.wheel ## measure this machine
	@test -f bench/run.py || { echo 'error: this checkout has no bench/run.py' >&2; exit 1; }
	@$(VENV)/bin/python bench/run.py $(ARGS)

wheel: build/.wheel ## build dist/suyuan-*.whl and check what is in it
	@ls dist/*.whl

dev: $(VENV)/.dev ## put all locked tools into .venv, for editors and quick runs

format: $(VENV)/.dev ## format the code and mend what ruff can mend
	@$(VENV)/bin/python -m ruff check --quiet --fix-only
	@$(VENV)/bin/python -m ruff format

UV_COMPILE := $(VENV)/bin/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock'

lock: $(VENV)/$(MADE) ## resolve requirements/*.txt; ARGS=--upgrade takes the newest of everything
	@$(VENV)/bin/python $(PIP) install 'uv>=0.8'
	@$(UV_COMPILE) $(ARGS) pyproject.toml --output-file requirements/runtime.txt
	@$(UV_COMPILE) $(ARGS) --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
	@$(UV_COMPILE) --group build --constraint requirements/dev.txt --output-file requirements/build.txt

clean: ## remove all that make has made, the environments too
	@rm -rf $(VENV) build dist .coverage .coverage.* coverage.json .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------------------------- stamps

$(ENVS:%=%/$(MADE)): %/$(MADE): tools/venv.sh
	@tools/venv.sh $* $(PYTHON)
	@touch $@

$(ENVS:%=%/.build): %/.build: requirements/build.txt %/$(MADE)
	@$*/bin/python $(INSTALL) $<
	@touch $@

$(ENVS:%=%/.runtime): %/.runtime: requirements/runtime.txt %/$(MADE)
	@echo '→ $*: what Suyuan runs on'
	@$*/bin/python $(INSTALL) $<
	@touch $@

$(ENVS:%=%/.dev): %/.dev: requirements/dev.txt %/.runtime
	@echo '→ $*: tools'
	@$*/bin/python $(INSTALL) $<
	@touch $@

$(VENV)/.wheel: $(VENV)/.runtime
$(TESTENV)/.wheel: $(TESTENV)/.dev
$(ENVS:%=%/.wheel): %/.wheel: build/.wheel
	@echo '→ $*: suyuan'
	@$*/bin/python $(PIP) install --no-deps --no-index --force-reinstall dist/*.whl
	@$*/bin/python -m pip check >/dev/null || { $*/bin/python -m pip check; echo 'error: run make lock' >&2; exit 1; }
	@touch $@

# The names of the sources, renewed only when one has come or gone.
build/.sources: always
	@mkdir -p build
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' > $@

build/.wheel: $(SOURCES) build/.sources pyproject.toml README.md LICENSE tools/check_wheel.py $(VENV)/.build
	@echo '→ wheel'
	@rm -f dist/*.whl
	@said=$$($(VENV)/bin/python -m hatchling build --target wheel 2>&1) || { echo "$$said"; exit 1; }
	@$(VENV)/bin/python tools/check_wheel.py dist/*.whl
	@touch $@
