# make demo: build .venv, install, simulate a tilted specimen, reconstruct it, name the results.
# make test: build .venv, install, run every test.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo

.PHONY: demo test lint install clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
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

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv $(DEMO)
