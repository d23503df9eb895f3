# Every target sets up by itself what it needs. PYTHON= is the interpreter that .venv is made with.
PYTHON ?= python3
PORT ?= 8000
DURATION ?=
ARGS ?=

RUN := .venv/bin/python

.PHONY: help demo test test-all bench lint docs nogil clean venv

help:
	@echo 'make demo      run the shop with shoppers and a page of metrics   PORT=8000 DURATION= (seconds; empty: until Ctrl-C)'
	@echo 'make test      every test and check; the last line has the totals'
	@echo 'make test-all  the same, and the wheel under every other Python found'
	@echo 'make bench     speed and memory, side by side with other libraries   ARGS=--help tells more'
	@echo 'make soak      kill and reload servers under load and compare what was counted with what was answered   MINUTES=5'
	@echo 'make lint      style, types and the order of the floors'
	@echo 'make docs      the documentation, into docs/_build/html'
	@echo 'make nogil     the core on a free-threaded Python 3.13, which is built first (about four minutes, once)'
	@echo 'make clean     remove what was built; .cache keeps what was downloaded'

venv:
	@command -v $(PYTHON) >/dev/null || { echo '$(PYTHON) is not on this machine: apt-get install python3 python3-venv python3-dev' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or later is needed, this is %d.%d: set PYTHON=" % sys.version_info[:2] if sys.version_info < (3, 10) else 0)'
	@$(PYTHON) -m tools.environment

demo: venv
	@exec $(RUN) examples/shop/demo.py --port $(PORT) $(if $(DURATION),--duration $(DURATION))

test: venv
	@$(RUN) -m tools.check test

test-all: venv
	@$(RUN) -m tools.check all

bench: venv
	@$(RUN) -m bench $(ARGS)

.PHONY: soak
soak: venv
	@$(RUN) -m tools.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

lint: venv
	@$(RUN) -m tools.check lint

docs: venv
	@$(PYTHON) -m tools.environment docs
	@$(RUN) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo 'docs/_build/html/index.html'

nogil: venv
	@$(RUN) -m tools.nogil

clean:
	rm -rf .venv build dist docs/_build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests tools examples bench -name __pycache__ -type d -prune -exec rm -rf {} +
	find src -name '*.so' -delete
