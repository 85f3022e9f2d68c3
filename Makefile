# Two commands on a fresh machine: `make demo` and `make test`. Both build the same .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO_OUT ?= out/demo
FUZZ_SEED ?= 16
FUZZ_SECONDS ?= 15

.PHONY: demo test long ray lint types docs bench fuzz clean

# The demo needs the core alone; tests, lint and types the development extras too. pip runs again only when what it reads has changed.
$(VENV)/core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[dev,data,viz,export]'
	@touch $(VENV)/core $@

demo: $(VENV)/core
	$(BIN)/fiducia detect assets/astronaut.jpg --out $(DEMO_OUT) --format png,json

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long"

# Minutes a case: every network learns eight real faces by heart. Needs the research photographs.
long: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m long

# The tests of annotate on Ray, which is 330 MB.
ray: $(VENV)/dev
	$(PIP) -e '.[ray]'
	$(BIN)/python -m pytest -m ray

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

docs: $(VENV)/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/dev
	$(BIN)/python benchmarks/run.py $(if $(MEDIAPIPE_PYTHON),--mediapipe-python $(MEDIAPIPE_PYTHON))

# A quarter of a minute for each kind of input; ends with status 1 where any of them is not refused or read rightly.
fuzz: $(VENV)/dev
	$(BIN)/python benchmarks/fuzz.py $(FUZZ_SEED) 100000 --seconds $(FUZZ_SECONDS)

clean:
	rm -rf $(VENV) out build dist
