# The front door. Every target sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
# processes of the tests, one more than two cores, as each waits now and then; JOBS=0 for a debugger
JOBS ?= 3
# where it is set, each command would compile all that it imports
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
UV := $(BIN)/uv
APT := apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends
PROMETHEUS := prometheus prometheus-alertmanager prometheus-pushgateway
ENGINE := buildah podman runc mmdebstrap catatonit slirp4netns uidmap
FAULTS := gcc libc6-dev e2fsprogs mount
JAVA := openjdk-17-jre-headless
REDIS := redis-server
POSTGRESQL := /usr/lib/postgresql
have = for program in $(1); do command -v $$program || exit 1; done

# $(call debian,CONDITION,PACKAGES,SENTENCE): where the condition fails, install the packages if root may; where it still fails, say so in
# one line and go on: a test whose program is missing skips itself. Each condition has a subshell, as its `exit` would leave the recipe.
define debian
@( $(1) ) >/dev/null 2>&1 \
	|| { test "$$(id -u)" = 0 && { $(APT) $(2); } </dev/null >/dev/null 2>&1 && ( $(1) ) >/dev/null 2>&1; } \
	|| echo "$(3) On Debian 12: sudo apt-get install --no-install-recommends $(2)"
endef
COMPILE = $(UV) pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: .venv/core.stamp ## Run the whole loop on the real flights; what is unchanged is skipped
	@$(BIN)/loopline run $(PRODUCT)

.PHONY: status
status: .venv/core.stamp ## Show what is served: champion, digest, metrics, last run
	@$(BIN)/loopline status

.PHONY: ui
ui: .venv/core.stamp ## Open the Dagster UI on http://127.0.0.1:3000, with the pages and MLflow runs it links to
	@$(BIN)/loopline ui

.PHONY: test
test: .venv/dev.stamp .venv/containers.stamp .postgresql .redis .prometheus .engine ## Run all tests: unit, dbt, contract, component, service, end to end
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

# its commands run in a home of their own, made anew from the real data
.PHONY: textbook
textbook: .venv/core.stamp ## Run the textbook's commands on a fresh home, write what they print into its pages, and the map (about five minutes)
	@rm -rf build/textbook && LOOPLINE_HOME=$(CURDIR)/build/textbook $(BIN)/loopline run >/dev/null
	@LOOPLINE_HOME=$(CURDIR)/build/textbook $(BIN)/loopline predict flight_delay --month 2013-11
	@LOOPLINE_HOME=$(CURDIR)/build/textbook $(BIN)/python -m orchestration.operations.textbook.textbook_pages record
	@$(BIN)/python -m orchestration.operations.textbook.textbook_pages map

.PHONY: textbook-map
textbook-map: .venv/core.stamp ## Write docs/textbook.md anew from the textbook's pages
	@$(BIN)/python -m orchestration.operations.textbook.textbook_pages map

# MkDocs builds every page; a dead link or an unknown anchor is an error (not with --quiet, which counts no warnings)
.PHONY: docs
docs: .venv-docs/stamp ## Build the site of textbook and reference into site/
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --clean
	@echo "site/index.html: open it by make docs-serve, as the search needs a server"

.PHONY: docs-serve
docs-serve: docs ## Serve the site on http://127.0.0.1:8000
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8000

.PHONY: test-docs
test-docs: .venv/dev.stamp .venv-docs/stamp .chromium ## Build the site, and look at every page in Chromium: links, requests, contrast, a phone
	$(BIN)/pytest -n 0 tests/docs -rs $(ARGS)

.PHONY: .chromium
.chromium:
	$(call debian,$(call have,chromium),chromium,No Chromium: its tests are skipped.)

# the tests start a PostgreSQL of their own and compare its answers
.PHONY: .postgresql
.postgresql:
	$(call debian,ls $(POSTGRESQL)/*/bin/initdb,postgresql,No PostgreSQL: its tests are skipped.)

# and a Redis, which holds an online store of features
.PHONY: .redis
.redis:
	$(call debian,$(call have,$(REDIS)),$(REDIS),No Redis: its tests are skipped.)

# and a Prometheus, an Alertmanager and a Pushgateway, which hear of an alert
.PHONY: .prometheus
.prometheus:
	$(call debian,$(call have,$(PROMETHEUS)),$(PROMETHEUS),Not all of Prometheus: its tests are skipped.)

.PHONY: bare-machine
bare-machine: ## Run the README's commands on a Debian with nothing but what it names (root; about two minutes)
	@.ci/bare_machine.sh

.PHONY: lint
lint: .venv/dev.stamp ## Check style, types, imports, SQL and YAML
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
# sqlfluff's two processes leave semaphores, of which Python warns at the end
	PYTHONWARNINGS=ignore:resource_tracker $(BIN)/sqlfluff lint --processes 2 dbt_project
	$(BIN)/yamllint --strict .

.PHONY: format
format: .venv/dev.stamp ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --quiet --processes 2 dbt_project

.PHONY: reference
reference: .venv/core.stamp ## Write docs/product-spec.md, docs/registries.md, docs/schema and deploy/verify_certificate.py anew from the code
	@$(BIN)/python -m orchestration.operations.declaration.reference_docs
	@$(BIN)/python -m orchestration.operations.certification.standalone

.PHONY: alerts
alerts: .venv/dev.stamp ## Write deploy/monitoring anew: alert rules, Prometheus, Alertmanager, dashboards
	@$(BIN)/python -m orchestration.operations.monitoring.prometheus_export

.PHONY: monitoring
monitoring: .venv/core.stamp ## Start what the machine has of Prometheus, Alertmanager and Pushgateway, and say what it lacks
	@deploy/monitoring/start.sh

.PHONY: container
container: .venv/containers.stamp .engine ## Build the image of PRODUCT's champion (flight_delay), run it and call it
	@$(BIN)/loopline container $(or $(PRODUCT),flight_delay) --smoke

# Docker where there is one; else buildah and podman, installed where that is allowed
.PHONY: .engine
.engine:
	$(call debian,docker info || { $(call have,buildah podman mmdebstrap); },$(ENGINE),No container engine: no image is built and its tests are skipped.)

.PHONY: ci-steps
ci-steps: .venv/dev.stamp .venv/containers.stamp .engine ## Run every command of the CI files in a clone, that which builds an image too
	LOOPLINE_CI_STEPS=all $(BIN)/pytest -n 0 tests/ci $(ARGS)

.PHONY: bench
bench: .venv/dev.stamp ## Measure the figures of docs/benchmarks.md again (about 15 minutes)
	$(BIN)/python -m benchmarks

.PHONY: bench-gate
bench-gate: .venv/dev.stamp ## Measure how often the gate errs, for docs/gate.md (about 40 minutes)
	@$(BIN)/python -m benchmarks.gate

.PHONY: bench-serving
bench-serving: .venv/dev.stamp ## Measure how fast models answer, for docs/serving.md (about 10 minutes)
	@$(BIN)/python -m benchmarks.serving

.PHONY: bench-drift
bench-drift: .venv/dev.stamp .venv-evidently/stamp ## Measure false alarms and what is found, for docs/drift.md (about 30 minutes)
	@$(BIN)/python -m benchmarks.drift

.PHONY: bench-replay
bench-replay: .venv/dev.stamp ## Measure replays and what the policies come to, for docs/replay.md (about 10 minutes)
	@$(BIN)/python -m benchmarks.replay

.PHONY: bench-review
bench-review: .venv/dev.stamp ## Measure reviews of changes of flights, for docs/measured/review.md (about 10 minutes)
	@$(BIN)/python -m benchmarks.review $(ARGS)

.PHONY: bench-tables
bench-tables: .venv/dev.stamp .venv-tables/stamp ## Run strangers' tables, for docs/measured/tables.md (hours; ARGS="--sample 40" takes some)
	@$(BIN)/python -m benchmarks.tables $(ARGS)

.PHONY: bench-retention
bench-retention: .venv/dev.stamp ## Measure how a home grows over 60 retrainings, for docs/measured/retention.md (about 20 minutes)
	@$(BIN)/python -m benchmarks.retention $(ARGS)

.PHONY: bench-verify
bench-verify: .venv/dev.stamp ## Verify a home after each step of a year, for docs/measured/verify.md (about 5 minutes)
	@$(BIN)/python -m benchmarks.verify_year

.PHONY: bench-newcomer
bench-newcomer: .venv/dev.stamp ## Time a newcomer's path from a clean clone, for docs/measured/newcomer.md (about 5 minutes)
	@$(BIN)/python -m benchmarks.newcomer $(ARGS)

.PHONY: bench-experiments
bench-experiments: .venv/dev.stamp ## Simulate experiments, for docs/measured/experiments.md (about a minute, and the reports of 10 million rows; ARGS="canary" takes one section)
	@$(BIN)/python -m benchmarks.experiments $(ARGS)

.PHONY: bench-learning
bench-learning: .venv/dev.stamp ## Measure ways of learning, for docs/measured/learning.md (ARGS="transfer" takes one section)
	@$(BIN)/python -m benchmarks.learning $(ARGS)

.PHONY: bench-incidents
bench-incidents: .venv/dev.stamp ## Plant causes into flights and search for them, for docs/measured/incidents.md (ARGS="planted" takes one section)
	@$(BIN)/python -m benchmarks.incidents $(ARGS)

.PHONY: bench-stores
bench-stores: .venv/dev.stamp ## Kill, race and time homes in a real S3 server, for docs/measured/stores.md (about 15 minutes)
	@$(BIN)/python -m benchmarks.stores $(ARGS)

.PHONY: bench-engines
bench-engines: .venv/dev.stamp ## Measure the loop by other engines, for docs/measured/engines.md (about an hour; ARGS="jobs" takes some)
	@$(BIN)/python -m benchmarks.engines $(ARGS)

.PHONY: bench-faults
bench-faults: .venv/dev.stamp .faults ## Kill, fill disks, cut the power and set clocks, for docs/measured/faults.md (root; about 30 minutes)
	@$(BIN)/python -m benchmarks.faults $(ARGS)

# clocks are set by a library that is compiled; file systems are made and mounted
.PHONY: .faults
.faults:
	$(call debian,$(call have,gcc mkfs.ext4 mount),$(FAULTS),Not all that the faults need.)

.PHONY: soak
soak: .venv/dev.stamp ## Load a service for ten minutes, and overload it, for docs/soak.md
	@$(BIN)/python -m benchmarks.soak

.PHONY: pictures
pictures: .venv/core.stamp ## Take the README's pictures anew, with Chromium
	@docs/pictures.sh

.PHONY: setup
setup: .venv/core.stamp ## Only set up the environment

.PHONY: lock
lock: $(UV) ## Compile the hash-pinned locks anew from requirements/*.in
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(COMPILE) requirements/core.in -o requirements/core.txt
	$(COMPILE) -c requirements/core.txt requirements/stores.in -o requirements/stores.txt
	$(COMPILE) -c requirements/core.txt -c requirements/stores.txt requirements/dev.in -o requirements/dev.txt
	$(COMPILE) -c requirements/core.txt requirements/containers.in -o requirements/containers.txt
	$(COMPILE) -c requirements/core.txt --no-emit-package uv requirements/serving.in -o requirements/serving.txt
	$(COMPILE) -c requirements/core.txt --no-emit-package uv requirements/serving_arrow.in -o requirements/serving_arrow.txt
	$(COMPILE) -c requirements/core.txt -c requirements/stores.txt --no-emit-package uv requirements/serving_redis.in -o requirements/serving_redis.txt
	$(COMPILE) -c requirements/core.txt -c requirements/stores.txt --no-emit-package uv requirements/serving_arrow_redis.in -o requirements/serving_arrow_redis.txt
	$(COMPILE) -c requirements/core.txt requirements/boosters.in -o requirements/boosters.txt
	$(COMPILE) -c requirements/core.txt requirements/evidently.in -o requirements/evidently.txt
	$(COMPILE) -c requirements/core.txt requirements/tables.in -o requirements/tables.txt
	$(COMPILE) -c requirements/core.txt requirements/spark.in -o requirements/spark.txt
	$(COMPILE) requirements/dvc.in -o requirements/dvc.txt
	$(COMPILE) requirements/docs.in -o requirements/docs.txt
	$(COMPILE) requirements/feast.in -o requirements/feast.txt
	$(COMPILE) requirements/airflow.in -o requirements/airflow.txt
	$(COMPILE) requirements/kubeflow.in -o requirements/kubeflow.txt
	$(COMPILE) requirements/flower.in -o requirements/flower.txt
	$(COMPILE) -c requirements/core.txt requirements/notebook.in -o requirements/notebook.txt

.PHONY: clean
clean: ## Remove the environment and caches; data/ stays
	rm -rf .venv .venv-* build site *.egg-info dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache

$(UV): | requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Loopline needs Python 3.11 as $(PYTHON). On Debian 12: apt-get install python3.11 python3.11-venv"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "On Debian 12: apt-get install python3.11-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $(UV)

.venv/core.stamp: $(UV) requirements/core.txt pyproject.toml
	@echo "setting up .venv from requirements/core.txt"
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --require-hashes -r requirements/core.txt
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -j 2 .venv/lib >/dev/null 2>&1 || true
	@touch $@

.venv/dev.stamp: .venv/core.stamp requirements/dev.txt
	@echo "setting up .venv from requirements/dev.txt"
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: store
store: .venv/dev.stamp ## Start an S3 server on the loopback, its data in .store/, and print the variables that reach it
	@$(BIN)/python -m orchestration.operations.storage.store_server .store

# buckets, lake tables, PostgreSQL: only who declares them needs their libraries
.PHONY: stores
stores: .venv/stores.stamp ## Set up what a home needs whose data lies elsewhere: buckets, lake tables, PostgreSQL

.venv/stores.stamp: .venv/core.stamp requirements/stores.txt
	@echo "setting up .venv from requirements/stores.txt"
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --require-hashes -r requirements/stores.txt
	@touch $@

# 290 MB for two estimators: only who declares them needs their libraries
.PHONY: boosters
boosters: .venv/dev.stamp .venv/boosters.stamp ## Set up XGBoost and CatBoost, and hold ONNX and SQL of their models against what they answer
	$(BIN)/pytest tests/assets/training/test_boosters.py -rs $(ARGS)

.venv/boosters.stamp: .venv/core.stamp requirements/boosters.txt
	@echo "setting up .venv from requirements/boosters.txt"
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --require-hashes -r requirements/boosters.txt
	@touch $@

# Evidently's import takes longer than a whole look of ours, so it has an environment of its own
.PHONY: evidently
evidently: .venv-evidently/stamp ## Set up Evidently, for a second opinion on drift

# a gigabyte, and Java
.PHONY: spark
spark: .venv/dev.stamp .venv-spark/stamp .java ## Set up Spark, and run the tests of streams, warehouse and translated SQL with it
	$(BIN)/pytest -n 0 tests/assets/streaming tests/orchestration/operations/engines/test_spark*.py -rs $(ARGS)
	$(BIN)/pytest -n 0 tests/assets/serving/test_sql_export.py -k spark -rs $(ARGS)

# another feature store, given the same rows, answers the same: half a gigabyte
.PHONY: feast
feast: .venv/dev.stamp .venv-feast/stamp ## Set up Feast, and hold what it reads against what `loopline features` gives
	$(BIN)/pytest tests/assets/features/test_feast_repository.py -rs $(ARGS)

.PHONY: .java
.java:
	$(call debian,$(call have,java),$(JAVA),No Java: the tests with Spark are skipped.)

# kfp needs protobuf before 7
.PHONY: kubeflow
kubeflow: .venv/dev.stamp .venv-kubeflow/stamp ## Set up Kubeflow Pipelines' compiler and local runner, and run a pipeline whole
	$(BIN)/pytest tests/orchestration/operations/engines/test_kubeflow_export.py -rs $(ARGS)

# JupyterLab and its kernel have the core's pins, so that a notebook's digests are production's
.PHONY: notebook
notebook: .venv/core.stamp .venv-notebook/stamp ## Open JupyterLab on PRODUCT's notebook (flight_delay), in an environment of its own
	@$(BIN)/loopline notebook $(or $(PRODUCT),flight_delay)

.PHONY: notebook-page
notebook-page: .venv/core.stamp .venv-notebook/stamp ## Run the notebook of flight_delay on this home, and show it with its outputs in docs/notebooks (minutes)
	@PYTHONPATH=. .venv-notebook/bin/jupyter nbconvert --execute --to markdown --output-dir docs/notebooks notebooks/flight_delay.ipynb

# Flower needs protobuf before 7
.PHONY: flower
flower: .venv/dev.stamp .venv-flower/stamp ## Set up Flower, and train with clients that are processes of their own
	$(BIN)/pytest -n 0 tests/assets/training/test_federated_processes.py -rs $(ARGS)

# DVC's antlr4 breaks Dagster's asset selection
.PHONY: dvc
dvc: .venv/dev.stamp .venv-dvc/stamp ## Set up DVC, and run the tests of data repositories with it
	$(BIN)/pytest tests/orchestration/operations/engines/test_dvc_repository.py tests/assets/ingestion/test_dvc_files.py -rs $(ARGS)

# Airflow's pins clash with ours
.PHONY: airflow
airflow: .venv/core.stamp .venv-airflow/stamp ## Start Airflow on http://127.0.0.1:8080 with the exported DAGs; its own files lie in build/airflow
	@deploy/airflow/start.sh $(PRODUCT)

.PHONY: airflow-test
airflow-test: .venv/dev.stamp .venv-airflow/stamp ## Set up Airflow, and hold what its runs make against what `loopline run` makes
	$(BIN)/pytest -n 0 tests/orchestration/operations/engines/test_airflow.py -rs $(ARGS)

# every engine that has an environment of its own; a test whose program is missing is named as skipped
ENGINES := airflow dvc feast flower kubeflow notebook spark
ENGINE_TESTS := tests/orchestration/operations/engines/test_airflow.py tests/orchestration/operations/engines/test_airflow_export.py \
	tests/orchestration/operations/engines/test_kubeflow_export.py tests/orchestration/operations/engines/test_dvc_repository.py \
	tests/assets/ingestion/test_dvc_files.py tests/assets/features/test_feast_repository.py \
	tests/assets/training/test_federated_processes.py tests/assets/serving/test_sql_export.py \
	tests/orchestration/operations/research/test_notebooks.py $(wildcard tests/assets/streaming tests/orchestration/operations/engines/test_spark*.py tests/dbt/test_spark*.py)

.PHONY: test-engines
test-engines: .venv/dev.stamp $(ENGINES:%=.venv-%/stamp) .java ## Set up Airflow, DVC, Feast, Flower, JupyterLab, Kubeflow and Spark, run their tests, and name what was skipped
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -rs $(ENGINE_TESTS) $(ARGS)

# an engine that clashes with ours, or is too large for it, has an environment of its own
.venv-%/stamp: requirements/%.txt | .venv/core.stamp
	@echo "setting up $(@D) from $<"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python $(@D)
	@VIRTUAL_ENV=$(@D) $(UV) pip install --quiet --require-hashes -r $<
	@touch $@

.venv/containers.stamp: .venv/core.stamp requirements/containers.txt
	@echo "setting up .venv from requirements/containers.txt"
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --require-hashes -r requirements/containers.txt
	@touch $@
