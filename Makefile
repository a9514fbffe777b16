# Two commands matter: `make run` and `make check test`.
.PHONY: run install check check-types check-rest test bench bench-check docs pictures tables lock audit sbom clean

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -q
# Pythons on PATH or under pyenv, the newest first.
PYTHONS = python3.14 python3.13 python3.12 \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.14*/bin/python \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13*/bin/python \
	"$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.12*/bin/python python3 python
IS_NEW = import sys, sysconfig; new = sys.version_info >= (3, 12)
# Debian's and Ubuntu's are, and only a scheme of theirs says so (interceptor/operate/python_build.py).
IS_OPTIMISED = $(IS_NEW) and ("--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")) \
	or "deb_system" in sysconfig.get_scheme_names())
# The newest optimised Python >= 3.12, else the newest: an optimised build takes a tenth to a quarter less CPU time.
FIND_PYTHON = for wanted in '$(IS_OPTIMISED)' '$(IS_NEW)'; do for py in $(PYTHONS); do \
	  if "$$py" -c "$$wanted; sys.exit(not new)" 2>/dev/null; then echo "$$py"; break 2; fi; done; done
TELL_BUILD = $(IS_OPTIMISED); print("an optimised build" if new else "not an optimised build: \
one made with --enable-optimizations takes a tenth to a quarter less CPU time")
PACKAGES := ccproxy_site interceptor providers shapes flows jail
# Tests run in parallel; `make test ARGS="-k hooks -n0"` narrows them.
ARGS ?=

run: $(VENV)/.run  ## Start the interceptor in the foreground
	@exec $(VENV)/bin/ccproxy start

install: $(VENV)/.dev  ## Build the environment with the test tools

$(PY):
	@python="$$($(FIND_PYTHON))"; \
	if [ -z "$$python" ]; then echo "ccproxy needs Python 3.12 or newer on PATH or under pyenv" >&2; exit 1; fi; \
	echo "Creating $(VENV) with $$("$$python" -V), $$("$$python" -c '$(TELL_BUILD)')"; "$$python" -m venv $(VENV)

$(VENV)/.run: requirements.txt pyproject.toml | $(PY)
	@echo "Installing the locked packages (about a minute the first time)"
	@$(PIP) install --require-hashes --no-deps -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(PY)
	@echo "Installing the locked packages and the test tools (about a minute the first time)"
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.run

check: export CCPROXY_CONFIG_DIR = $(CURDIR)/$(VENV)/check-config
check: $(VENV)/.dev  ## Lint, types, layers, deployment checks, migrations
	@$(MAKE) --no-print-directory -j 2 check-types check-rest

# Mypy keeps one core busy; the other parts run beside it.
check-types:
	$(VENV)/bin/mypy

check-rest:
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint --lint --quiet templates
	CCPROXY_PRODUCTION=1 $(PY) manage.py check --deploy --fail-level WARNING
	$(PY) manage.py makemigrations --check --dry-run

# Four workers for two cores: tests of processes and of pages often wait, and one worker has
# the browser. Those processes write no bytecode, and would compile their modules at each start.
test: $(VENV)/.dev  ## The whole suite
	@$(PY) -m compileall -q -j 0 -x '/test_[^/]*\.py$$' $(PACKAGES) tests
	@env -u PYTHONDONTWRITEBYTECODE $(PY) -m tests.rewritten_bytecode
	env -u PYTHONDONTWRITEBYTECODE $(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

bench: $(VENV)/.dev  ## Measure; `make bench ARGS=translation` runs one section
	$(PY) -m tests.bench --json $(VENV)/bench.json $(ARGS)

# Not part of `make test`: what it says depends on the machine. Ratios may be 1.5 times the committed ones.
bench-check: $(VENV)/.dev  ## Measure the proxy quickly and compare its ratios with tests/bench/baseline.json
	$(PY) -m tests.bench --quick --check --json $(VENV)/bench.json requests bodies $(ARGS)

# The tools of the site have an environment of their own, so that no package of theirs meets ccproxy's.
DOCS := $(VENV)/docs
$(DOCS)/.done: requirements-docs.txt | $(PY)
	@echo "Installing the locked packages of the documentation"
	@$(PY) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-deps -r $<
	@touch $@

docs: $(DOCS)/.done  ## Build the documentation into build/docs, strictly
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict
	@echo "build/docs/index.html; with search: $(PY) -m http.server -b 127.0.0.1 -d build/docs"

pictures: $(VENV)/.dev $(DOCS)/.done  ## Take every picture of the documentation anew, from the demo
	$(PY) -m tests.pictures $(ARGS)

tables: $(VENV)/.dev  ## Write prepared tables anew: after a migration, or an update of genai-prices
	$(PY) -m tests.new_tables
	$(PY) -m tests.catalog_names

# Recompile the hashed lock files from pyproject.toml (needs uv on PATH).
COMPILE = uv pip compile -q --universal --python-version 3.12 --generate-hashes --no-annotate --no-header
LOCK = $(COMPILE) --group build
lock:  ## Recompile requirements*.txt
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) --group dev pyproject.toml -o requirements-dev.txt
	$(COMPILE) --group docs -o requirements-docs.txt

# Both need uv on PATH; the first asks a database on the internet.
audit:  ## Compare the locked packages with the known vulnerabilities
	uvx pip-audit==2.10.1 --requirement requirements.txt --require-hashes --disable-pip
sbom:  ## Write the list of the locked packages as sbom.cyclonedx.json
	uvx --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements.txt --output-file sbom.cyclonedx.json

clean:  ## Remove the environment
	rm -rf $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache
