# Each target is one command and sets itself up. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# The editable install keeps a list of packages, so a new folder asks for a new install; a new file does not.
PACKAGES       := $(wildcard fourd/*/__init__.py fourd/*/*/__init__.py)
NATIVE_SOURCES := $(wildcard cuda_ext/include/*.h cuda_ext/cpu/*.cpp cuda_ext/cpu/*.h cuda_ext/cpu/CMakeLists.txt)

SOURCES := $(wildcard fourd/*.py fourd/*/*.py)
LIFTING := $(filter-out fourd/cli.py fourd/commands/% fourd/doctor.py fourd/view/%,$(SOURCES))
DEMO    := $(addprefix out/demo/,scene.glb orbit.mp4 bullet_time.mp4 depth.mp4 contact_sheet.png)

.PHONY: help setup native demo test bench sanitize lint types check format clean

help:            ## What there is
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*##/\t/'

setup: $(READY)  ## Make the virtual environment and build the extension

# torch comes first and pinned: an open range, or another package asking for it, would fetch gigabytes of CUDA.
$(READY): constraints.txt pyproject.toml $(PACKAGES) $(NATIVE_SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@command -v c++ >/dev/null || { echo "A C++ compiler is needed. On Debian or Ubuntu: apt-get install g++"; exit 1; }
	@echo "Setting up $(VENV): a few minutes the first time."
	@$(PIP) torch
	@$(PIP) scikit-build-core nanobind cmake ninja
	@$(PIP) --no-build-isolation --editable '.[bench,dev]'
	@touch $@

native: $(READY) ## Build the extension (setup does it too)

demo: $(DEMO)    ## Lift the sample clip and leave the scene, videos and a contact sheet in out/demo/
	@echo "The demonstration is in out/demo:"
	@echo "  scene.glb          the scene; fourd render, info and export read it"
	@echo "  scene_sheet.png    what was filmed, the same views of the scene, its depth, and views from beside"
	@echo "  orbit.mp4          around the subject while time runs"
	@echo "  bullet_time.mp4    around the subject while time stands still"
	@echo "  depth.mp4          the orbit, as depth: near is light, holes are black"
	@echo "  contact_sheet.png  the orbit in twelve pictures"

# Each file is made once, and again only if the clip or the code that makes it has changed.
out/demo/scene.glb: data/sample.mp4 $(LIFTING) $(READY)
	@mkdir -p $(@D)
	@$(BIN)/fourd lift $< --size 480 -o $@
out/demo/orbit.mp4: out/demo/scene.glb $(SOURCES)
	@$(BIN)/fourd render $< --path orbit --degrees 15 -o $@
out/demo/bullet_time.mp4: out/demo/scene.glb $(SOURCES)
	@$(BIN)/fourd render $< --path freeze --degrees 15 -o $@
out/demo/depth.mp4: out/demo/scene.glb $(SOURCES)
	@$(BIN)/fourd render $< --path orbit --degrees 15 --show depth -o $@
out/demo/contact_sheet.png: out/demo/scene.glb $(SOURCES)
	@$(BIN)/fourd render $< --path orbit --degrees 15 -o $@

test: $(READY)   ## All tests
	@$(BIN)/python -m pytest -q

bench: $(READY)  ## Time rasterizer and fusion against the committed baseline, and leave figures and a chart in out/bench/
	@$(BIN)/python -m benchmarks.raster --chart out/bench/raster.png --scene $(wildcard out/demo/scene.glb)
	@$(BIN)/python -m benchmarks.fusion --json out/bench/fusion.json

# gcc's sanitizers must be there before Python is; torch and Python keep what would be told as leaks.
sanitize: $(READY) ## Test the kernels with the address and undefined-behaviour sanitizers (some minutes)
	@$(BIN)/cmake -S cuda_ext/cpu -B build/sanitize -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
		-DCMAKE_CXX_FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined" >/dev/null
	@$(BIN)/cmake --build build/sanitize >/dev/null
	@LD_PRELOAD="$$(for lib in asan ubsan stdc++; do c++ -print-file-name=lib$$lib.so; done | tr '\n' ' ')" \
		ASAN_OPTIONS=detect_leaks=0 FOURD_SANITIZED=build/sanitize $(BIN)/python -m pytest -q -p sanitized tests/native

lint: $(READY)   ## Style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/clang-format --dry-run --Werror $(wildcard cuda_ext/*/*.cpp cuda_ext/*/*.cu cuda_ext/*/*.h)

types: $(READY)  ## Static types
	@$(BIN)/pyright --warnings

check: lint types test ## Everything that CI asks

format: $(READY) ## Rewrite the sources in the house's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(wildcard cuda_ext/*/*.cpp cuda_ext/*/*.cu cuda_ext/*/*.h)

clean:           ## Remove what was built
	rm -rf $(VENV) build out fourd/native/*.so
