# Two commands: `make demo` and `make test`. Both work in a fresh clone; neither downloads more than packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo install install-test test lint clean

demo: install ## Analyse the sample videos and say where the report is
	$(BIN)/engagement analyze sample_videos -o demo-report
	@echo "Open demo-report/index.html in a browser."

test: install-test lint ## Everything that must hold
	$(BIN)/python -m pytest

install: $(VENV)/.installed
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip
	$(PIP) install --quiet -c constraints.txt "torch" # first and alone: decides which build the rest fits
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

install-test: $(VENV)/.installed-test
$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install --quiet -c constraints.txt -e ".[test]"
	@touch $@

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) demo-report build dist *.egg-info
