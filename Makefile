# Two commands on a machine with only make and python3: `make demo` and `make test`.
# Written for GNU Make 3.81, the newest that macOS ships.

PYTHON ?= python3
OUT ?= demo-out

VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install -qq --disable-pip-version-check
PYTEST := $(RUN) -m pytest -n logical --maxprocesses 4 --dist worksteal
SOURCES := pyproject.toml jaxneuro/_version.py

export MPLBACKEND := Agg
# Another environment's packages must not shadow the ones installed here.
unexport PYTHONPATH PYTHONHOME

fail = { echo "$(1)" >&2; exit 1; }

.PHONY: help demo test test-fast bench clean FORCE

help:
	@echo "make demo       fit two models, write figures, parameters and a report into $(OUT)/"
	@echo "make test       run all tests"
	@echo "make test-fast  run the tests that are not marked slow"
	@echo "make bench      measure speed beside other simulators"
	@echo "make clean      remove $(VENV), $(OUT) and caches"
	@echo "Each sets up $(VENV) by itself; another Python: make PYTHON=python3.12 test"

demo: $(VENV)/for-demo
	@$(VENV)/bin/jaxneuro demo --out "$(OUT)"

test: $(VENV)/for-test
	@$(PYTEST) -m "not gpu and not bench"

test-fast: $(VENV)/for-test
	@$(PYTEST)

bench: $(VENV)/for-test
	@$(PIP) -e ".[bench]" || echo "No peer to compare with could be installed; going on without."
	@$(RUN) benchmarks/run.py

clean:
	rm -rf $(VENV) "$(OUT)" .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment belongs to one interpreter and one folder, and is made anew when either changes:
# a copied or moved .venv still points to the folder that it came from.
$(VENV)/made-for: FORCE
	@version=`"$(PYTHON)" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null`; \
	case "$$version" in \
	  "") $(call fail,Python interpreter '$(PYTHON)' does not run; install Python 3.11 or newer$(comma) or name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS).);; \
	  [0-2].*|3.[0-9].*|3.10.*) $(call fail,Python must be 3.11 or newer$(comma) but '$(PYTHON)' is $$version; name a newer one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS).);; \
	esac; \
	if [ "`cat $@ 2>/dev/null`" = "$$version $(CURDIR)" ] && $(RUN) -c "" 2>/dev/null; then exit 0; fi; \
	echo "Making $(VENV) with Python $$version ..."; \
	"$(PYTHON)" -m venv --clear $(VENV) >/dev/null 2>&1 && echo "$$version $(CURDIR)" >$@ || \
	  { rm -rf $(VENV); $(call fail,Python $$version could not make $(VENV): install its venv module (Debian and Ubuntu: apt install python$${version%.*}-venv) and run make again.); }

$(VENV)/for-demo: $(VENV)/made-for $(SOURCES)
	@echo "Installing jaxneuro into $(VENV) (a minute or two the first time) ..."
	@$(PIP) -e ".[io]"
	@touch $@

# NEURON is a reference for some tests and has no wheel on some machines, so it may be absent.
$(VENV)/for-test: $(VENV)/made-for $(SOURCES)
	@echo "Installing jaxneuro and its tests' needs into $(VENV) (a minute or two the first time) ..."
	@$(PIP) -e ".[test]"
	@$(PIP) --no-build-isolation --only-binary neuron -e ".[verify]" 2>/dev/null || \
	  echo "NEURON has no wheel for this machine; the tests that need it will be skipped."
	@touch $@ $(VENV)/for-demo

FORCE:

comma := ,
