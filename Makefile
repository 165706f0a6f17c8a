# Every chore of the project. Needs make, Python 3.11 or newer and pip; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The virtual environment has no pip of its own: where Debian keeps ensurepip back, `venv` alone still works.
INSTALL = $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check

define CHECK_PYTHON
import sys
if sys.version_info < (3, 11):
    sys.exit("OpenFER needs Python 3.11 or newer, this is %s; name another one: make PYTHON=python3.12" % sys.version.split()[0])
try:
    import pip
except ImportError:
    sys.exit("OpenFER needs pip for %s; install it, or name another Python: make PYTHON=python3.12" % sys.executable)
if tuple(int(part) for part in pip.__version__.split(".")[:2]) < (22, 3):
    sys.exit("OpenFER needs pip 22.3 or newer, this is %s; %s -m pip install --upgrade pip" % (pip.__version__, sys.executable))
endef
export CHECK_PYTHON

.PHONY: help setup demo test check fix docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/dev.stamp  ## install everything for development into .venv, PyTorch included

demo: $(VENV)/demo.stamp  ## install what prediction needs (no PyTorch) and read the faces of two portraits
	$(BIN)/openfer demo

test: setup  ## install everything for development and run the tests; ARGS="-k manifest" chooses some
	$(BIN)/python -m pytest $(ARGS)

check: setup  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## build the documentation into site/; any warning fails
	$(BIN)/mkdocs build --strict

clean:  ## remove build products and caches; .venv stays
	rm -rf build dist site openfer_demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c "$$CHECK_PYTHON"
	$(PYTHON) -m venv --without-pip $(VENV)

# A stamp is as old as its last installation: nothing is installed again until pyproject.toml changes.
$(VENV)/demo.stamp: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "Installing what prediction needs into $(VENV) (about 1 GB on disk; no PyTorch) ..."
	$(INSTALL) --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "Installing everything for development into $(VENV) (several GB: PyTorch) ..."
	$(INSTALL) --editable '.[train,dev]'
	@touch $@ $(VENV)/demo.stamp
