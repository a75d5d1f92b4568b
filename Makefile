# Everything is done by the `bittern` command and pytest; this file only sets them up and names the usual calls.
# `make sim` and `make test` work as the first command after cloning.

PRESET ?= small
SAMPLES ?= 32
WORKERS ?= 2

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup sim test test-fast bench verilog zcu102 lint estimate ulx3s docs train-setup lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv; asks for missing system packages, or installs them as root
	@scripts/setup

sim: setup  ## run trained transformers on the RTL and compare every integer with the reference
	bittern sim --bundle all --preset $(PRESET) --samples $(SAMPLES)

test: setup  ## the whole test suite
	pytest -n $(WORKERS) --dist worksteal

test-fast: setup  ## without the tests that need minutes
	pytest -n $(WORKERS) --dist worksteal -m 'not slow'

bench: setup  ## measure whole models on the RTL at full size; one table: bench-NAME
	bittern bench all --write-docs

bench-%: setup
	bittern bench $*

verilog: setup  ## build/verilog/<preset>/bittern.v for all presets, and zcu102 in LUT6_2 and CARRY8
	bittern verilog --preset all
	bittern verilog --preset zcu102 --mapping ultrascale

zcu102: setup  ## build/zcu102: a folder that Vivado makes a bitstream for the ZCU102 from
	bittern zcu102 --preset zcu102

ulx3s: setup  ## a bitstream for the ULX3S with open tools only: Yosys, nextpnr-ecp5, ecppack; up to 30 minutes
	@scripts/setup-extra ecp5
	bittern ulx3s; status=$$?; bittern routed >/dev/null && exit $$status

lint: setup  ## Ruff, types, and Verilator's lint over the Verilog of all presets
	ruff check .
	mypy
	bittern lint

estimate: setup  ## resources of PRESET by open synthesis, beside what the XCZU9EG has
	bittern estimate --preset $(PRESET) --paths

docs:  ## build/site: the documentation with a reference, to be read without network: build/site/index.html
	@scripts/setup-extra docs
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

train-setup: setup  ## add PyTorch and what training needs to .venv
	@scripts/setup-train

lock: setup  ## resolve the dependencies of pyproject.toml anew (needs uv)
	python scripts/lock.py

clean:  ## remove what was built, keep .venv
	rm -rf build .pytest_cache .hypothesis .mypy_cache .ruff_cache
