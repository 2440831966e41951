# Every target makes what it needs in .venv: nothing has to be installed or activated by hand.
# ARGS goes to the command a target ends in:  make test ARGS="-k aget -x"

IS_RECENT := -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12; do \
	$$python $(IS_RECENT) && { echo $$python; break; }; done)
endif
PYTHON_VERSION := $(if $(PYTHON),$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))

# Where rustup puts cargo, for a shell that has not read its profile.
export PATH := $(PATH):$(HOME)/.cargo/bin
# Cargo's cache holds the build for one interpreter at a time, so each has its own.
export CARGO_TARGET_DIR := $(CURDIR)/target/py$(PYTHON_VERSION)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt
RUST := Cargo.toml rust/turbo_core/Cargo.toml $(shell find rust/turbo_core/src -name '*.rs')

# What is in .venv is recorded by empty files. Another Python has another VENV stamp, and starts anew.
MADE := .venv/.made
VENV := $(MADE)/python-$(PYTHON_VERSION)
EXTENSION := $(MADE)/extension
# For those who only look: built without LTO, if there is none yet.
QUICK_EXTENSION := $(or $(wildcard $(EXTENSION)),$(MADE)/extension-demo)
group = $(MADE)/group-$(1)

say = @echo "==> $(1)"
need_python = @$(or $(PYTHON),false) $(IS_RECENT) \
	|| { echo "No Python 3.12 or newer was found. Name one: make PYTHON=/path/to/python3"; exit 1; }
need_cargo = @command -v cargo >/dev/null \
	|| { echo "Rust is needed, and cargo was not found: https://rustup.rs"; exit 1; }

.PHONY: help demo site test checked conformance ecosystem pgbouncer haproxy topology postgis chromium soak fuzz lint types bench bench-http anatomy report docs methods private-api wheel matrix clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(QUICK_EXTENSION) $(call group,demo) ## load real cities into PostgreSQL and time turbo-orm beside Django
	$(call say,running the demo)
	@$(BIN)/python examples/atlas/manage.py tour $(ARGS)

site: $(QUICK_EXTENSION) $(call group,site) ## serve the atlas as a site, with an admin, an API and events
	$(call say,starting the site)
	@PYTHONPATH=examples $(BIN)/python -m atlas.site $(ARGS)

# Tests wait for the server as long as they compute, so there are more workers than processors. What
# they import is compiled once, for them and for the processes that they start.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(EXTENSION) $(call group,tools) $(call group,bench) ## run the tests, by a worker for each processor and one more
	$(call say,running the tests)
	@$(BIN)/python -m pytest --numprocesses auto $(ARGS)

FUZZ := rust/turbo_core/fuzz
CHECKED := $(CURDIR)/.venvs/checked
# What hydrates: the core by itself, and values and rows of all kinds through Django.
CORE_TESTS = tests/codecs tests/hydration tests/orm/test_instances.py

checked: $(EXTENSION) $(call group,test) ## test the core with assertions, a debugging allocator and odd bytes
	$(need_cargo)
	$(call say,testing the parsers)
	@cargo test --quiet --manifest-path $(FUZZ)/Cargo.toml
	$(call say,compiling the extension with assertions)
	@rm -rf $(CHECKED)
	@$(BIN)/maturin build --profile checked --quiet --interpreter $(BIN)/python --out $(CHECKED)/wheel
	@$(PIP_INSTALL) --no-deps --target $(CHECKED)/site $(CHECKED)/wheel/*.whl
	$(call say,running its tests)
	@cd $(CHECKED) && PYTHONPATH=site ../../$(BIN)/python -c \
		'import turbo_orm._core as c; assert c.__file__.startswith("$(CHECKED)"), c.__file__'
	@PYTHONPATH=$(CHECKED)/site PYTHONMALLOC=debug $(BIN)/python -m pytest --quiet --numprocesses auto \
		$(CORE_TESTS) $(ARGS)

DJANGO = 6.1
MODE = hot
# The Django of constraints.txt is in .venv. Each other one is in an environment of its own.
DJANGO_VENV := $(if $(filter django==$(DJANGO).%,$(file < constraints.txt)),.venv,.venvs/django-$(DJANGO))

conformance: $(if $(filter .venv,$(DJANGO_VENV)),$(EXTENSION) $(call group,conformance),$(DJANGO_VENV)/made) ## run Django's own tests: DJANGO=6.1 MODE=hot|loop|bridge|requests|… LABELS=…
	$(call say,running Django's tests)
	@PYTHONPATH=examples $(DJANGO_VENV)/bin/python -m tests.conformance --mode $(MODE) \
		$(if $(LABELS),--labels $(LABELS)) $(if $(VARIANT),--variant $(VARIANT)) $(ARGS)

.venvs/django-%/made: $(VENV) $(RUST) $(shell find python -name '*.py*') pyproject.toml constraints.txt
	$(need_cargo)
	$(call say,installing Django $* and the wheel into .venvs/django-$*)
	@rm -rf .venvs/django-$*
	@$(PYTHON) -m venv .venvs/django-$*
	@$(BIN)/maturin build --release --quiet --interpreter $(BIN)/python --out .venvs/django-$*/wheel
	@grep -v -e '^django==' -e '^django-async-backend==' constraints.txt > .venvs/django-$*/constraints.txt
	@$(BIN)/python -m pip --python .venvs/django-$*/bin/python install --quiet --constraint .venvs/django-$*/constraints.txt \
		.venvs/django-$*/wheel/*.whl 'django==$*.*' --group conformance
	@touch $@

ECOSYSTEM := .venvs/ecosystem
ECOSYSTEM_ARGS = $(if $(PACKAGES),--packages $(PACKAGES)) $(if $(CELL),--cell $(CELL)) $(if $(MODES),--modes $(MODES))

ecosystem: $(ECOSYSTEM)/made $(call group,conformance) ## run other packages' tests: PACKAGES=… CELL=fast MODES="patched hot bridge"
	$(call say,running the tests of other packages)
	@PYTHONPATH=examples $(BIN)/python -m tests.ecosystem $(ECOSYSTEM_ARGS) $(ARGS)

$(ECOSYSTEM)/made: $(VENV) $(RUST) $(shell find python -name '*.py*') pyproject.toml constraints.txt
	$(need_cargo)
	$(call say,building the wheel into $(ECOSYSTEM))
	@rm -rf $(ECOSYSTEM)/wheel
	@$(BIN)/maturin build --release --quiet --interpreter $(BIN)/python --out $(ECOSYSTEM)/wheel
	@touch $@

PGBOUNCER = .cache/pgbouncer

pgbouncer: $(PGBOUNCER)/usr/sbin/pgbouncer ## unpack Debian's PgBouncer for tests/topology, which skip themselves without one

$(PGBOUNCER)/usr/sbin/pgbouncer:
	$(call say,unpacking PgBouncer)
	@mkdir -p $(PGBOUNCER)
	@cd $(PGBOUNCER) && apt-get download -q pgbouncer libc-ares2 libevent-2.1-7 2>/dev/null
	@for package in $(PGBOUNCER)/*.deb; do dpkg-deb -x $$package $(PGBOUNCER); done

HAPROXY = .cache/haproxy

haproxy: $(HAPROXY)/made $(call group,patroni) ## unpack Debian's HAProxy and etcd, and install Patroni, for tests/topology/test_haproxy.py

# With what is not installed of all that they depend on.
$(HAPROXY)/made:
	$(call say,unpacking HAProxy and etcd)
	@command -v apt-get >/dev/null || { echo "HAProxy is unpacked from Debian's packages."; exit 1; }
	@rm -rf $(HAPROXY) && mkdir -p $(HAPROXY)/debs
	@cd $(HAPROXY)/debs && servers="haproxy etcd-server" \
		&& { apt-get install --simulate --no-install-recommends $$servers \
			| sed -n 's/^Inst \([^ ]*\).*/\1/p'; printf '%s\n' $$servers; } | sort -u > list \
		&& apt-get download -qq $$(cat list) 2>/dev/null
	@for package in $(HAPROXY)/debs/*.deb; do dpkg-deb -x $$package $(HAPROXY); done
	@rm -r $(HAPROXY)/debs && touch $@

topology: $(PGBOUNCER)/usr/sbin/pgbouncer $(HAPROXY)/made $(EXTENSION) $(call group,tools) $(call group,patroni) ## test poolers, replicas, failover, tenants, migrations under load
	$(call say,running the tests of topologies)
	@$(BIN)/python -m pytest --numprocesses auto tests/topology $(ARGS)

POSTGIS = .cache/postgis

postgis: $(POSTGIS)/made ## unpack Debian's PostGIS, GDAL and GEOS for tests/geodjango, which skip themselves without

# Of the newest PostgreSQL that Debian has PostGIS for: the server, and what is not installed of
# all that they depend on. The package's postinst names the extension without its version.
$(POSTGIS)/made:
	$(call say,unpacking PostgreSQL with PostGIS)
	@command -v apt-get >/dev/null || { echo "PostGIS is unpacked from Debian's packages."; exit 1; }
	@rm -rf $(POSTGIS) && mkdir -p $(POSTGIS)/debs
	@cd $(POSTGIS)/debs && server=$$(apt-cache pkgnames postgresql- \
			| sed -n 's/^\(postgresql-[0-9]*\)-postgis-3$$/\1/p' | sort -V | tail -1) \
		&& { apt-get install --simulate --no-install-recommends $$server $$server-postgis-3 \
			| sed -n 's/^Inst \([^ ]*\).*/\1/p'; echo $$server; } | sort -u > list \
		&& apt-get download -qq $$(cat list) 2>/dev/null
	@for package in $(POSTGIS)/debs/*.deb; do dpkg-deb -x $$package $(POSTGIS); done
	@cd $(POSTGIS)/usr/share/postgresql/*/extension \
		&& for each in *-3.control; do ln -s $$each $${each%-3.control}.control; done
	@rm -r $(POSTGIS)/debs && touch $@

CHROMIUM = .cache/chromium
BROWSER = $(shell for each in chromium google-chrome chromium-browser; do command -v $$each; done)

chromium: $(if $(BROWSER),,$(CHROMIUM)/run) $(call group,browser) ## unpack Debian's Chromium for tests/integrations/test_browser.py, which skips itself without

# The one that has no windows, and what is not installed of all that it depends on.
$(CHROMIUM)/run:
	$(call say,unpacking Chromium)
	@command -v apt-get >/dev/null || { echo "Chromium is unpacked from Debian's packages."; exit 1; }
	@rm -rf $(CHROMIUM) && mkdir -p $(CHROMIUM)/debs
	@cd $(CHROMIUM)/debs && browser=chromium-headless-shell \
		&& { apt-get install --simulate --no-install-recommends $$browser \
			| sed -n 's/^Inst \([^ ]*\).*/\1/p'; echo $$browser; } | sort -u > list \
		&& apt-get download -qq $$(cat list) 2>/dev/null
	@for package in $(CHROMIUM)/debs/*.deb; do dpkg-deb -x $$package $(CHROMIUM); done
	@rm -r $(CHROMIUM)/debs
	@cd $(CHROMIUM) && lib=$$(echo $$PWD/usr/lib/*-linux-gnu*) \
		&& printf '#!/bin/sh\nLD_LIBRARY_PATH=%s:%s/pulseaudio exec %s "$$@"\n' \
			$$lib $$lib $$PWD/usr/lib/chromium/chromium-headless-shell > run
	@chmod +x $@

SECONDS = 60

soak: $(if $(filter pgbouncer,$(THROUGH)),$(PGBOUNCER)/usr/sbin/pgbouncer) $(EXTENSION) $(call group,test) ## let 2,000 tasks at a pool of 10 for SECONDS=60, cancel some, and audit; THROUGH=pgbouncer|replica
	$(call say,soaking)
	@PYTHONPATH=examples $(BIN)/python -m tests.faults.soak --seconds $(SECONDS) \
		$(if $(THROUGH),--through $(THROUGH)) $(ARGS)

fuzz: ## let libFuzzer at the parsers for SECONDS=60
	$(need_cargo)
	@cargo fuzz --version >/dev/null 2>&1 \
		|| { echo "cargo-fuzz was not found: cargo install cargo-fuzz --version 0.13.2"; exit 1; }
	$(call say,fuzzing the parsers)
	@mkdir -p target/corpus
	@RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir $(FUZZ) wire target/corpus $(FUZZ)/corpus/wire -- \
		-max_len=200 -max_total_time=$(SECONDS) -print_final_stats=1 $(ARGS)

lint: types ## check format, rules, types, the direction of imports, and the workflows
	$(call say,ruff)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	$(call say,import-linter)
	@$(BIN)/lint-imports --no-logo
	$(call say,rustfmt)
	@cargo fmt --check
	@cargo fmt --check --manifest-path $(FUZZ)/Cargo.toml
	$(call say,clippy)
	@PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo clippy --quiet --all-targets -- -D warnings
	@cargo clippy --quiet --manifest-path $(FUZZ)/Cargo.toml --all-targets -- -D warnings
	$(call say,workflows)
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/zizmor --offline --quiet .github
	@if command -v actionlint >/dev/null; then actionlint; else echo "(actionlint is not installed: CI runs it)"; fi

types: $(EXTENSION) $(call group,lint) $(call group,test) ## check types: mypy strict, _core.pyi against the built module, and what a project sees
	$(call say,mypy)
	@$(BIN)/mypy
	$(call say,stubtest)
	@$(BIN)/stubtest turbo_orm._core --mypy-config-file pyproject.toml
	$(call say,mypy and pyright on code that uses turbo-orm)
	@$(BIN)/python -m pytest --quiet tests/test_typing.py

# All of them, unless ARGS names some.
BENCH = $(BIN)/python -m pytest $(if $(findstring benches/,$(ARGS)),,benches) --benchmark-sort=min \
	--benchmark-columns=min,median,rounds,iterations

bench: $(EXTENSION) $(call group,bench) ## run the benchmarks
	$(call say,running the benchmarks)
	@$(BENCH) $(ARGS)

# The load generator: what is installed, or Debian's, which need not be.
WRK := $(if $(shell command -v wrk),,.cache/wrk/run)

bench-http: $(EXTENSION) $(call group,bench) $(WRK) ## put ORMs under load, behind a server; ARGS=--quick takes two minutes
	$(call say,running the servers)
	@PYTHONPATH=examples WRK=$(or $(WRK),wrk) $(BIN)/python -m benches.http $(ARGS)

.cache/wrk/run:
	$(call say,fetching wrk)
	@command -v apt-get >/dev/null || { echo "wrk was not found. Install it: brew install wrk"; exit 1; }
	@rm -rf $(@D) && mkdir -p $(@D)
	@cd $(@D) && apt-get download -qq wrk libluajit-5.1-2 2>/dev/null && for each in *.deb; do dpkg -x $$each .; done
	@printf '#!/bin/sh\nLD_LIBRARY_PATH=$$(echo %s/usr/lib/*/) exec %s/usr/bin/wrk "$$@"\n' $(abspath $(@D)) $(abspath $(@D)) > $@
	@chmod +x $@

anatomy: $(EXTENSION) $(call group,bench) ## tell where the time of single operations goes
	$(call say,taking operations apart)
	@PYTHONPATH=examples $(BIN)/python -m benches.anatomy

report: $(EXTENSION) $(call group,bench) ## run the benchmarks, and report on them in benches/results
	$(call say,running the benchmarks)
	@mkdir -p .benchmarks
	@$(BENCH) --benchmark-json=.benchmarks/run.json $(ARGS)
	$(call say,writing the report)
	@$(BIN)/python -m benches.report .benchmarks/run.json
	@$(BIN)/python -m benches.page
	@$(BIN)/python -m benches.readme

docs: $(VENV) $(call group,docs) ## build the documentation into site/
	$(call say,building the documentation)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "site/index.html"

methods: $(VENV) ## write the tables of docs/compatibility.md and docs/requests.md
	@$(BIN)/python -m tests.support.method_tables
	@$(BIN)/python -m tests.support.middleware_table

private-api: $(EXTENSION) $(call group,test) ## write the tables of private names in docs/architecture.md
	@$(BIN)/python -m tests.support.private_names

wheel: $(VENV) $(call group,wheel) ## build a wheel for each Python found, and prove it where there is no Rust; PYTHONS="3.13" selects
	$(need_cargo)
	@$(BIN)/python .ci/wheel $(PYTHONS)

matrix: $(VENV) ## run the tests for every Python and Django; CELLS="3.12-5.2 newest" selects
	$(need_cargo)
	$(call say,running the matrix)
	@$(BIN)/python .ci/matrix $(CELLS)

clean: ## remove everything that was built
	rm -rf .venv .venvs target dist site .benchmarks .cache .*_cache
	rm -f python/turbo_orm/*.so python/turbo_orm/*.pyd
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV): constraints.txt
	$(need_python)
	$(call say,making .venv with Python $(PYTHON_VERSION))
	@$(PYTHON) -m venv --clear .venv
	@$(PIP_INSTALL) --upgrade pip
	@$(PIP_INSTALL) maturin
	@mkdir -p $(MADE) && touch $@

$(MADE)/extension-demo: PROFILE = demo
$(EXTENSION): PROFILE = release
$(EXTENSION) $(MADE)/extension-demo: $(VENV) $(RUST) pyproject.toml constraints.txt
	$(need_cargo)
	$(call say,compiling the extension (about a minute the first time))
	@VIRTUAL_ENV=$(CURDIR)/.venv PIP_CONSTRAINT=constraints.txt PIP_QUIET=1 $(BIN)/maturin develop --profile $(PROFILE)
	@touch $@

$(MADE)/group-%: $(VENV) pyproject.toml constraints.txt
	$(call say,installing what $* needs)
	@$(PIP_INSTALL) --group $*
	@touch $@
