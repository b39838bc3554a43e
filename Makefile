.DEFAULT_GOAL := help
.PHONY: help bootstrap demo stack test test-all lint bench audit

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

bootstrap: # .venv from the hashed lock; nothing to do the second time
	@scripts/bootstrap

demo: bootstrap ## a simulated treasury day, judged live in the terminal
	@.venv/bin/treasury-watch demo

stack: bootstrap ## a whole site on this machine: Kafka, workers, PostgreSQL, Prometheus, Alertmanager
	@scripts/stack up

test: bootstrap ## the tests that this machine can run
	.venv/bin/pytest

test-all: bootstrap ## all tests: a skip is a failure; 95 % of the core's branches must be taken
	TREASURY_WATCH_TEST_ALL=1 .venv/bin/pytest --cov --numprocesses 2 --dist worksteal
	.venv/bin/python scripts/branch-coverage

lint: bootstrap ## style, types and layers
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

bench: bootstrap ## speed, latency and memory on this machine
	.venv/bin/python -m benchmarks

audit: bootstrap ## known weaknesses of what is locked; needs an index with advisories
	.venv/bin/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes -r requirements.lock
