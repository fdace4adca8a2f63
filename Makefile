# From a clean clone with Python 3.11 and a package index: `make demo`, `make test`.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin

# What takes long, or needs Chromium or a package index, is not in `make test`.
SLOW = slow or browser or index
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadgroup --max-worker-restart=0

.PHONY: demo test test-slow test-all coverage check docs audit test-kubeedge clean

demo: $(VENV)/.installed
	$(BIN)/python examples/incremental_mobilenetv2/demo.py

test: $(VENV)/.installed
	$(PYTEST) -m "not ($(SLOW))"

test-slow: $(VENV)/.installed
	$(PYTEST) -m "$(SLOW)"

test-all: test test-slow

# Branch coverage of `make test`, or of all tests: make coverage SELECT=
SELECT = not ($(SLOW))
coverage: $(VENV)/.installed
	$(PYTEST) $(if $(SELECT),-m "$(SELECT)") --cov --cov-report=term:skip-covered

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation site, in docs/_build/html. It needs no MindSpore; a warning is an error.
docs: $(VENV)/docs/.installed
	$(VENV)/docs/bin/sphinx-build -q -W --keep-going -c docs . docs/_build/html

# Known vulnerabilities of what is installed, asked of the package index's advisory service; what it
# knows nothing of is a failure too.
audit: $(VENV)/.installed
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/audited.txt
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip -r $(VENV)/audited.txt

# A benchmark by its name, as `sedna-tinyms bench --help` tells them; those that learn pictures take
# them from you: make bench-update DATA=pacs WEIGHTS=mobilenetv2.npz
# PyTorch's rows need more: $(BIN)/pip install -e '.[bench]'
bench-%: $(VENV)/.installed
	$(BIN)/sedna-tinyms bench $* $(if $(DATA),--data "$(DATA)") $(if $(WEIGHTS),--weights "$(WEIGHTS)") --json bench-$*.json

bench-core: bench-serving

# Needs KubeEdge Sedna's own library: make test-kubeedge SEDNA_LIB=/path/to/sedna/lib
test-kubeedge: $(VENV)/.installed
	test -d "$(SEDNA_LIB)/sedna" || { echo "SEDNA_LIB must name the lib directory of a KubeEdge Sedna checkout"; exit 2; }
	$(BIN)/pip install --quiet -e '.[kubeedge]'
	SEDNA_LIB="$(SEDNA_LIB)" $(BIN)/python -m pytest tests/testing

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=23.1'
	$(BIN)/python -m pip install --quiet -e '.[all,dev]'
	touch $@

$(VENV)/docs/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install --quiet --upgrade 'pip>=23.1'
	$(VENV)/docs/bin/python -m pip install --quiet -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) demo-run docs/_build docs/api
