# Two commands on a fresh machine: `make sweep` measures, `make test` checks. Each makes what it needs.
.DEFAULT_GOAL := help
.PHONY: help sweep test test-extra format clean

VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?= --ops hyena,flash --max-len 131072
# pip's bundled version is new enough, and its notice of a newer one is noise.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help:
	@echo "make sweep       install into $(VENV) and run: hyenaprof sweep $(ARGS)"
	@echo "                 another sweep: make sweep ARGS=\"--ops hyena,attention --max-len 16k\""
	@echo "make test        install the tools as well; ruff, mypy --strict, pytest"
	@echo "make test-extra  the tests that need chromium or the package index, none of them skipped"
	@echo "make format      let ruff rewrite what it can"
	@echo "make clean       remove $(VENV) and the caches; runs are kept"
	@echo "PYTHON=/path/to/python chooses the interpreter (3.11 or newer)."

sweep: $(VENV)/.package
	$(BIN)/hyenaprof sweep $(ARGS)

test: $(VENV)/.tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

test-extra: $(VENV)/.axe $(VENV)/.compared
	sh scripts/extra-tools
	HYENAPROF_REQUIRE_TOOLS=1 $(BIN)/pytest -m "browser or extra"

format: $(VENV)/.tools
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

# The stamps stand inside the environment, so that they vanish with it; the install is editable, so that a change of
# the source needs no second one.
$(VENV)/.made:
	@PYTHON="$(PYTHON)" sh scripts/make-venv $(VENV)
	@touch $@

$(VENV)/.package: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing hyenaprof into $(VENV) (torch is large: this can take minutes)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.tools: pyproject.toml constraints.txt | $(VENV)/.package
	@echo "installing ruff, mypy, pytest and what the tests compare with into $(VENV)"
	@$(PIP) install -c constraints.txt -e ".[dev]"
	@touch $@

# The accessibility checker axe-core, a script inside this wheel; the browser driver that the wheel asks for is unused.
$(VENV)/.axe: | $(VENV)/.tools
	@$(PIP) install --no-deps axe-playwright-python==0.1.8
	@touch $@

# flash-linear-attention's code that is plain PyTorch, for the tests to compare with. In a folder of its own: on the
# environment's path `hyena:fla` would be there for every other test.
$(VENV)/.compared: | $(VENV)/.tools
	@$(PIP) install --no-deps --target $(VENV)/compared fla-core==0.6.0 einops==0.8.2
	@touch $@
