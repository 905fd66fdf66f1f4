# Everything runs in environments that are made here from the locks; to begin with, Python 3.11 and make suffice.
PYTHON ?= python3
SCENARIO ?= incident-2026-02-06
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/tests

.PHONY: help demo demo-repair test preflight scenarios mutants lint bench build docs changelog lock clean
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

demo: .venv/installed lab-system ## replay the incident on this machine and diagnose it
	@tests/demo "$(SCENARIO)"

demo-repair: .venv/installed lab-system ## replay the incident, repair it and prove that
	@tests/demo "$(SCENARIO)" remediate -e voiceops_approve=true

# Most tests wait for deadlines of the lab, so that one more of them than there are processors can run.
test: .venv/installed .venv/awx system parts ansible-units ## every test: units, integration, scenarios
	@python -m pytest --numprocesses "$$(python -c 'import os; print((os.cpu_count() or 1) + 1)')" --dist worksteal

scenarios: .venv/installed ## judge the bank of known answers, or your own: BANK=folder
	@PYTHONPATH=tests:playbooks/collections python -m bank $(if $(BANK),"$(BANK)")

mutants: .venv/installed ## break each rule's conditions in turn, and list what no scenario notices
	@PYTHONPATH=tests:playbooks/collections python -m bank.mutants $(if $(BANK),"$(BANK)")

lint: ruff mypy yamllint shellcheck ansible-lint docs-lint changelog-lint ansible-sanity importer ## every check of form

preflight: .venv/installed ## ask of your own hosts what a diagnosis will need: INVENTORY=file or folder
	@[ -n "$(INVENTORY)" ] || { echo "name your inventory, for example: make preflight INVENTORY=inventory/mine"; exit 2; }
	@python -m pytest --quiet --no-header -rs --tb=short -p no:cacheprovider --force-ansible --ansible-inventory "$(INVENTORY)" tests/testinfra/preflight

bench: .venv/installed lab-system ## measure a diagnosis against an empty play, a script and a naive playbook
	@python tests/bench/bench.py

build: tarball ## the collection's tarball and wheel, into dist/
	@python -m build --wheel --no-isolation --outdir dist . >/dev/null

docs: .venv/installed ## write what is generated: the roles' READMEs, the signals in RETURN, the pages about causes
	@PYTHONPATH=playbooks/collections python tests/gates/readmes.py
	@PYTHONPATH=playbooks/collections python tests/gates/returned_signals.py
	@PYTHONPATH=tests:playbooks/collections python -m gates.causes

changelog: .venv/installed ## write CHANGELOG.rst from the fragments
	@antsibull-changelog release --update-existing --reload-plugins

lock: .venv/installed ## resolve the dependencies anew, for every Python and system
	@for group in dev importer oldest newest agent; do \
	  case $$group in importer | agent) project= ;; *) project=pyproject.toml ;; esac; \
	  uv pip compile $$project --group $$group --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --custom-compile-command 'make lock' --quiet --output-file requirements/$$group.lock; \
	done

clean: ## remove what was made here
	@rm -rf .venv .venv-importer .ansible .lab dist artifacts playbooks/artifacts .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

# --- what the targets above are made of ---
.PHONY: lab-system system parts tarball ruff mypy yamllint shellcheck ansible-lint docs-lint changelog-lint ansible-sanity ansible-units importer

.venv/installed: requirements/dev.lock
.venv-importer/installed: requirements/importer.lock
.venv/installed .venv-importer/installed:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is not Python 3.11 or newer; name one that is: make PYTHON=/path/to/python3"; exit 1; }
	@echo "installing $< into $(@D) (about a minute, once)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/awx: requirements/awx.lock .venv/installed
	@echo "installing the collection awx.awx into .venv (once)"
	@python tests/awx_modules.py
	@touch $@

lab-system:
	@tests/system-packages lab

system:
	@tests/system-packages all

parts: .venv/installed system
	@python -m parts

tarball: .venv/installed
	@rm -rf dist
	@ansible-galaxy collection build --output-path dist . >/dev/null

ruff: .venv/installed
	@ruff check .
	@ruff format --check .

mypy: .venv/installed
	@mypy

yamllint: .venv/installed
	@yamllint --strict .

shellcheck: system
	@! command -v shellcheck >/dev/null || shellcheck .ci/run inventory/lab/variables.sh tests/demo tests/system-packages tests/gates/ansible-test tests/gates/importer

ansible-lint: .venv/installed
	@ANSIBLE_COLLECTIONS_PATH=playbooks/collections ansible-lint --profile production --offline --strict

docs-lint: .venv/installed
	@PYTHONPATH=playbooks/collections python tests/gates/readmes.py --check
	@PYTHONPATH=playbooks/collections python tests/gates/returned_signals.py --check
	@PYTHONPATH=tests:playbooks/collections python -m gates.causes --check
	@antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all .

changelog-lint: .venv/installed
	@antsibull-changelog lint

ansible-sanity ansible-units: tarball
	@tests/gates/ansible-test $(@:ansible-%=%)

importer: tarball .venv-importer/installed
	@tests/gates/importer
