# make demo: build .venv, install, simulate a tilted specimen, reconstruct it, name the results.
# make test: build .venv, install, run every test, on all cores.
# make docs: build the site, examples included, into docs/_build/html; strict, and offline.
# make dist: build sdist and wheel into dist/, install the wheel into an empty environment, try it.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
# a fresh environment beside the checkout's own, for the wheel alone
EMPTY := build/empty

.PHONY: demo test lint docs dist install clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

demo: install
	rm -rf $(DEMO)
	$(BIN)/fpm-inr simulate --preset demo -o $(DEMO)/data
	$(BIN)/fpm-inr reconstruct $(DEMO)/data/acquisition.h5 -o $(DEMO)/result --z-range -8 8
	$(BIN)/fpm-inr focus $(DEMO)/result/field.safetensors -o $(DEMO)/focus --data $(DEMO)/data/acquisition.h5
	$(BIN)/fpm-inr evaluate $(DEMO)/focus/all_in_focus.npy $(DEMO)/data/truth.h5 -o $(DEMO)/comparison.png
	$(BIN)/fpm-inr render $(DEMO)/result/field.safetensors -o $(DEMO)/stack.ome.tif
	@echo
	@echo "Results in $(DEMO)/:"
	@echo "  data/specimen.png          what was simulated: frames and the truth"
	@echo "  result/preview.png         amplitude and phase at five heights"
	@echo "  result/field.safetensors   the field; render it at any z"
	@echo "  focus/all_in_focus.png     all-in-focus image; focus/depth.png its depth map"
	@echo "  comparison.png             all-in-focus image against the truth"
	@echo "  stack.ome.tif              a focus stack for Fiji or napari"

# a process a core, each on one thread: small transforms gain nothing from more
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal

docs: install
	MPLBACKEND=agg $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo "The site: docs/_build/html/index.html"

dist: install
	rm -rf dist $(EMPTY)
	mkdir -p build
	$(BIN)/python -m build --no-isolation > build/dist.log || (cat build/dist.log; exit 1)
	$(PYTHON) -m venv $(EMPTY)
	$(EMPTY)/bin/python -m pip install --quiet --constraint constraints.txt dist/*.whl
	$(EMPTY)/bin/python -I .ci/check_installed.py
	@ls -l dist

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv $(DEMO) build dist docs/_build docs/gallery
