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
  bind9 bind9-dnsutils snmpd fail2ban nftables rbldnsd openssl \
  chromium prometheus
CONTAINERS := podman buildah runc netavark aardvark-dns iptables catatonit debootstrap
COMPILE := uv pip compile -q --universal --generate-hashes pyproject.toml
PROTOS := $(shell find protos -name '*.proto')
CONSOLE := $(shell find console -name node_modules -prune -o -type f ! -name schema.d.ts -print)
# Folders with packages of npm's: of what the edge serves, and of tests.
STATIC := console edge/docs
NPM := tests/browser tests/contract/redocly tests/integration/oidc tests/integration/openapi

.PHONY: help up lab pictures down test faults fuzz compose lint format gen golden bench lock

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo
	@echo 'Other ports:  make up UP="--public 8080 --internal 8081"'
	@echo 'Some tests:   make test TESTS=tests/unit'

up: DEBIAN := $(if $(LAB),$(MACHINES))
up: .venv/.installed edge/static/openapi.json $(if $(LAB),debian) ## Run everything with a simulated fleet, or LAB=1 machine in QEMU
	@exec python -m lab.up $(if $(LAB),--nodes $(LAB)) $(UP)

lab: DEBIAN := $(MACHINES)
lab: .venv/.installed gen/descriptor.binpb debian ## Add NODES=1 machine in QEMU to a running `make up`
	@exec python -m lab.machines --nodes $(or $(NODES),1) $(UP)

pictures: DEBIAN := chromium
pictures: .venv/.installed debian ## Take pictures of the console of a running `make up`
	python -m lab.pictures

down: ## Stop a running `make up` and forget its databases, secrets and logs
	@python3 -m lab.down

test: .venv/.installed edge/static/openapi.json debian $(NPM:%=%/node_modules/.installed) ## Install what the tests need and run them
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

faults: .venv/.installed gen/descriptor.binpb debian ## Kill processes and lose datagrams, 25 times as often as the tests
	FAULT_SCALE=25 python -m pytest -q tests/fault

fuzz: .venv/.installed gen/descriptor.binpb debian ## Try the API against its OpenAPI document for longer, from another seed
	FUZZ_EXAMPLES=60 FUZZ_SEED=$$RANDOM python -m pytest -q tests/integration/openapi/test_schemathesis.py

lint: .venv/.installed gen/descriptor.binpb console/node_modules/.installed ## Check form, types, imports and the contract
	ruff format --check .
	ruff check .
	mypy services tools lab edge deploy tests bench
	lint-imports --no-cache
	buf lint gen/descriptor.binpb --config buf.yaml
	python -m tools.breaking
	python -m tools.console

format: .venv/.installed console/node_modules/.installed ## Put code and protos into form
	ruff format .
	ruff check --fix .
	buf format -w --path protos
	python -m tools.console --write

gen: .venv/.installed ## Generate stubs, descriptor, catalogue and OpenAPI from the protos
	python -m tools.gen

golden: gen/descriptor.binpb ## Write what docs/ has of the contract: OpenAPI and errors
	python -m tools.golden

bench: DEBIAN := wrk openipmi ipmitool freeipmi-tools fail2ban rbldnsd adns-tools
bench: .venv/.installed gen/descriptor.binpb debian ## Measure, and write docs/benchmarks.md
	python -m bench

compose: DEBIAN := $(CONTAINERS)
compose: .venv/.installed gen/descriptor.binpb debian ## Build the images, run docker-compose.yml on Podman and try it
	python -m lab.containers

# dev.lock has everything; what an image is made from is a part of it, at the same versions.
lock: ## Pin the newest allowed versions in the lock files
	$(COMPILE) --upgrade --group dev -o requirements/dev.lock
	for group in auth server_ops security setup gen; do \
	  $(COMPILE) --group $$group -c requirements/dev.lock -o requirements/$$group.lock || exit 1; done

.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv || { echo 'The venv module is needed: apt-get install python3-venv' >&2; rm -rf .venv; exit 1; }
	.venv/bin/python -m pip install --quiet uv==0.13.9

.venv/.installed: .venv/bin/uv requirements/dev.lock
	VIRTUAL_ENV=.venv .venv/bin/uv pip sync --quiet --require-hashes requirements/dev.lock
	@touch $@

%/node_modules/.installed: %/package-lock.json .venv/.installed tools/node_packages.py
	python -m tools.node_packages $*
	@touch $@

gen/descriptor.binpb: .venv/.installed $(PROTOS) $(wildcard tools/*.py tools/openapi/*.py) pyproject.toml
	python -m tools.gen

# The last file that tools.static writes, always into a new folder.
edge/static/openapi.json: gen/descriptor.binpb $(STATIC:%=%/node_modules/.installed) $(wildcard edge/docs/*.*) $(CONSOLE)
	python -m tools.static

.PHONY: debian
debian:
	@if ! dpkg -s $(DEBIAN) >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ]; then \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $(DEBIAN) >/dev/null; \
	  else echo 'Needed: sudo apt-get install $(DEBIAN)' >&2; exit 1; fi; fi
