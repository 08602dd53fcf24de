# Front door. Every target sets up what it needs into .venv first.
.PHONY: help setup demo test lint bench torture chaos month load hil commands updates settle-engines channel tls-matrix flash-kills lock cms-mutations clean
OUT ?= demo-out
# most tests wait for sockets and serial lines, so two at a time cost little more than one;
# those that keep the times of a wire run alone
JOBS ?= 2

help:
	@echo "make demo    run the whole chain without hardware; results in $(OUT)/"
	@echo "make test    all test tiers"
	@echo "make lint    formatting, lint, types, import direction, cross compilation"
	@echo "make bench   figures beside named peers (fetches them from the package index)"
	@echo "make torture power cuts at every byte of every flash operation of the journal"
	@echo "make chaos   1,000 transactions while the chain is being broken (about 20 minutes)"
	@echo "make month   31 days of quarter hours and switchings in about 10 minutes"
	@echo "make cms-mutations  10,000 altered messages of content security: all refused"
	@echo "make hil     HIL suite in its long form [BOARD=unix|rp2040|PORT] [UF2=FILE] (docs/hil.md)"
	@echo "make load    gateway: 10,000 events while it is killed, then 50 meters (about 6 minutes)"
	@echo "make commands 10,000 commands while SMGW, aEMT and lines are killed 50 times (about 15 minutes)"
	@echo "make updates 50 updates of a board, power cut at a random instant of each (about 8 minutes)"
	@echo "make settle-engines  settlement of 1,000 points x 1 year by core, DuckDB and Spark: same digits?"
	@echo "make channel a GiB each way through the CLS channel's proxy, its speed, times of switching over it"
	@echo "make tls-matrix  every TLS refusal and combination, with each OpenSSL there is (about 2 minutes)"
	@echo "make flash-kills  clsbench flash killed at 20 random instants and repeated (ARGS=--board rp2040 ...)"
	@echo "make setup   only install into .venv (command: .venv/bin/clsbench)"
	@echo "make lock    resolve requirements.lock anew (needs uv)"

setup:
	@sh tools/setup.sh

demo: setup
	.venv/bin/clsbench demo --out $(OUT) $(ARGS)

test: setup
ifeq ($(strip $(ARGS)),)
	.venv/bin/python -m pytest -n $(JOBS) --dist loadfile -m "not wire"
	.venv/bin/python -m pytest -m wire
else
	.venv/bin/python -m pytest $(ARGS)
endif

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/basedpyright --level error
	.venv/bin/basedpyright --level error -p firmware
	.venv/bin/python tools/check_tree.py
	.venv/bin/python tools/board_types.py

bench: setup
	.venv/bin/python tools/bench/run.py $(ARGS)

torture: setup
	nice -n 19 .venv/bin/python tools/torture.py --full $(ARGS)

chaos: setup
	nice -n 19 .venv/bin/python tools/chaos.py $(ARGS)

month: setup
	.venv/bin/python tools/month.py $(ARGS)

cms-mutations: setup
	nice -n 19 .venv/bin/python -W ignore tools/cms_mutations.py $(ARGS)

hil: setup
	.venv/bin/python -m pytest tests/hil $(addprefix --board ,$(or $(BOARD),unix)) \
	  $(addprefix --uf2 ,$(UF2)) $(ARGS)

load: setup
	nice -n 10 .venv/bin/python tools/smgw_events.py
	nice -n 10 .venv/bin/python tools/smgw_lines.py

commands: setup
	nice -n 19 .venv/bin/python tools/commands.py $(ARGS)

updates: setup
	nice -n 10 .venv/bin/python tools/updates.py $(ARGS)

channel: setup
	nice -n 19 .venv/bin/python tools/channel_gib.py
	nice -n 10 .venv/bin/python tools/channel_gib.py --compare --mib 64
	nice -n 10 .venv/bin/python tools/channel_latency.py $(ARGS)

settle-engines: setup
	nice -n 19 .venv/bin/python tools/settle_engines.py $(ARGS)

tls-matrix: setup
	.venv/bin/python tools/tls_matrix.py
	.venv/bin/python tools/tls_matrix.py --run

flash-kills: setup
	nice -n 19 .venv/bin/python tools/flash_kills.py $(ARGS)

lock:
	uv pip compile --universal --python-version 3.11 --group dev pyproject.toml \
	  --generate-hashes --no-header --no-annotate --upgrade --output-file requirements.lock

clean:
	rm -rf .venv build dist $(OUT) .pytest_cache .ruff_cache .hypothesis
