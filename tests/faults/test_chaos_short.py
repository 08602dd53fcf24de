"""Chaos in short: a few transactions while the chain is being broken; in full: `make chaos`."""

import importlib.util
import random
from pathlib import Path

from clsbench.bench.bad_lines import CTRL_C, MODES, Mangler
from clsbench.bench.chaos import Commanded, Course
from clsbench.bench.chaos_verdict import Verdict, figures

TOOL = Path(__file__).resolve().parents[2] / "tools" / "chaos.py"
SEED, TRANSACTIONS, GAP_S = 11, 6, (0.02, 0.3)


def tool():
    spec = importlib.util.spec_from_file_location("chaos_tool", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_every_commanded_transaction_is_whole_or_explained(tmp_path):
    course, verdict = await tool().run_chaos(tmp_path, SEED, TRANSACTIONS, GAP_S, roles=False)
    line = figures(course, verdict)
    assert verdict.ok, (line, verdict)
    assert len(course.commanded) == TRANSACTIONS == sum(verdict.outcomes.values())
    assert sum(course.kills.values()) + sum(course.faults.values()) >= 3, line
    assert verdict.records >= TRANSACTIONS


def test_a_transaction_that_is_not_accounted_for_fails_the_run():
    assert Verdict().ok
    for name in ("lost", "duplicated", "unexplained", "findings"):
        assert not Verdict(**{name: ["x"]}).ok
    course = Course(commanded=[Commanded("u")], seconds=2.0)
    assert "1 transactions in 2 s" in figures(course, Verdict()) and "0 lost" in figures(
        course, Verdict()
    )


def test_a_line_without_order_passes_every_byte_and_a_bad_one_makes_no_ctrl_c():
    mangler = Mangler(random.Random(1))
    data = bytes(range(4, 256))
    assert mangler.change(data) == data and mangler.delay_s() == 0
    for mode in MODES:
        mangler.mode = mode
        for _ in range(300):
            assert CTRL_C not in mangler.change(data[:20])
    assert set(mangler.done) == set(MODES) - {"delay"}
