# One command a habit; `make` or `make help` lists them.
#
# A machine needs Python >= 3.11 and make.  A C compiler makes some fits faster, uv makes installation faster; neither is
# needed.  Everything is installed into $(VENV); stamp files in it make the next call quick.

VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
JOBS ?= 2
BENCHMARKS ?= mixtures chains state_space factors kernels declared acceleration
UV := $(shell command -v uv 2>/dev/null)
SUITABLE := import sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$candidate" -c '$(SUITABLE)' >/dev/null 2>&1 && { echo "$$candidate"; break; }; done)

# What an installation depends on: change one of these, and the next call installs again.
INSTALLED_FROM := pyproject.toml hatch_build.py src/latentem/kernels/build.py \
	$(wildcard src/latentem/kernels/c/*.c src/latentem/kernels/c/*.h)
KERNELS := build/sanitize

.DEFAULT_GOAL := help
.PHONY: help venv demo test browser fuzz lint types bench coverage docs sanitize wheel clean distclean

help: ## list the targets
	@echo "make <target>, with target one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "Variables: PYTHON (>= 3.11, to make $(VENV) with), ARGS (for demo, test, fuzz, bench and coverage), JOBS (test processes)," \
		"BENCHMARKS (mixtures, chains, state_space, factors, kernels, declared, acceleration)"

venv: $(VENV)/.installed ## make .venv and install latentem into it

demo: $(VENV)/.installed ## fit Old Faithful's eruptions with 1 to 6 components and explain the result
	@$(BIN)/latentem demo $(ARGS)

test: $(VENV)/.installed-test ## run the tests
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

# The tests of the report drive a real browser; they are skipped where there is none.
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
browser: ## look for Chromium; as root on Debian or Ubuntu, install it
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 update && \
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends chromium >/dev/null; \
	else echo "no Chromium found; install it to run the tests of the report in a browser" >&2; exit 1; fi

fuzz: $(VENV)/.installed-test ## fit thousands of random awkward tables and look for what is wrong (ARGS: --count, --seed)
	@$(BIN)/python tests/bad_input/fuzz.py --count 20000 --seed 0 $(ARGS)
	@$(BIN)/python tests/fuzz_accelerations.py --count 20000 --seed 0 $(ARGS)

lint: $(VENV)/.installed-dev ## check the style (ruff)
	@$(BIN)/ruff check .

types: $(VENV)/.installed-dev ## check the types (mypy)
	@$(BIN)/mypy

bench: $(VENV)/.installed-test ## measure speed and memory beside scikit-learn, as ratios
	@for name in $(BENCHMARKS); do $(BIN)/python "benchmarks/$$name.py" $(ARGS) || failed=1; done; test -z "$$failed"

coverage: $(VENV)/.installed ## simulate how often 95 % intervals hold the truth: hours (ARGS: --replicates, --models, --jobs)
	@$(BIN)/python benchmarks/coverage.py $(ARGS)

docs: $(VENV)/.installed-docs ## build the documentation; warnings are errors
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# The package is copied with a library of its own, so that no installation is touched.  CPython's own allocations are no
# concern here, hence no leak check; the kernels allocate nothing.
sanitize: $(VENV)/.installed-test ## run the kernels' tests under the address and undefined-behaviour sanitizers
	@rm -rf $(KERNELS) && mkdir -p $(KERNELS) && cp -R src/latentem $(KERNELS)/latentem
	@rm -f $(KERNELS)/latentem/kernels/latentem_kernels.*
	@PYTHONPATH=$(CURDIR)/$(KERNELS) $(BIN)/python -m latentem.kernels.build --flag=-g --flag=-O1 --flag=-DLATENTEM_NO_CLONES \
		--flag=-fsanitize=address,undefined --flag=-fno-sanitize-recover=all --flag=-fno-omit-frame-pointer
	@PYTHONPATH=$(CURDIR)/$(KERNELS) ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$($${CC:-cc} -print-file-name=libasan.so)" \
		$(BIN)/python -c "from latentem.kernels import compiled; s = compiled.status(); print(s); assert '$(KERNELS)' in s.path and s.available"
	@PYTHONPATH=$(CURDIR)/$(KERNELS) ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$($${CC:-cc} -print-file-name=libasan.so)" \
		$(BIN)/python -m pytest -s -p no:cacheprovider tests/kernels $(ARGS)

wheel: $(VENV)/.installed-test ## build a wheel into dist/
	@$(BIN)/python -m hatchling build -t wheel -d dist

clean: ## remove what builds and tools leave behind (not .venv)
	rm -rf build dist out docs/_build docs/_static/theory .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also remove .venv and the compiled kernels
	rm -rf $(VENV) src/latentem/kernels/latentem_kernels.*

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "latentem needs Python >= 3.11 and found none; install one, or name one:" \
		"make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c '$(SUITABLE)' || { echo "latentem needs Python >= 3.11 with its venv module, but PYTHON=$(PYTHON) is" \
		"$$("$(PYTHON)" --version 2>&1)" >&2; exit 1; }
	@echo "making $(VENV) with $$("$(PYTHON)" --version)"
ifneq ($(UV),)
	@$(UV) venv -q --python "$$("$(PYTHON)" -c 'import sys; print(sys.executable)')" $(VENV)
else
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "python -m venv failed; on Debian and Ubuntu install" \
		"python3-venv" >&2; exit 1; }
endif

comma := ,
# $(call install,<extras>): with uv where there is one; with pip otherwise, or where uv does not get through.
with_pip = { $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; } && \
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.$(1)'
ifneq ($(UV),)
install = $(UV) pip install -q --python $(BIN)/python -e '.$(1)' || { echo "uv failed; trying pip" >&2; $(with_pip); }
else
install = $(with_pip)
endif

$(VENV)/.installed: $(INSTALLED_FROM) | $(BIN)/python
	@echo "installing latentem and what it needs into $(VENV) (the first time takes a minute or two)"
	@$(call install,)
	@touch $@

$(VENV)/.installed-test: $(INSTALLED_FROM) | $(BIN)/python
	@echo "installing latentem and what its tests need into $(VENV) (the first time takes a minute or two)"
	@$(call install,[test])
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(INSTALLED_FROM) | $(BIN)/python
	@echo "installing latentem, ruff and mypy into $(VENV)"
	@$(call install,[test$(comma)dev])
	@touch $@ $(VENV)/.installed-test $(VENV)/.installed

$(VENV)/.installed-docs: $(INSTALLED_FROM) | $(BIN)/python
	@echo "installing latentem and Sphinx into $(VENV)"
	@$(call install,[docs])
	@touch $@ $(VENV)/.installed
