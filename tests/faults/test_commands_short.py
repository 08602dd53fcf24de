"""Commands to several boxes while parts are killed, in short: `make commands` has 10,000."""

import importlib.util
from pathlib import Path

import pytest

from clsbench.bench.commands_verdict import Verdict

pytestmark = pytest.mark.wire

TOOL = Path(__file__).resolve().parents[2] / "tools" / "commands.py"


def tool():
    spec = importlib.util.spec_from_file_location("commands_tool", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_commands_are_executed_once_with_both_witnesses_whatever_is_killed(tmp_path):
    course, verdict = await tool().run_commands(tmp_path, 3, commands=40, kills=3, boxes=2)
    assert verdict.ok, verdict
    assert sum(course.kills.values()) == 3
    assert verdict.done + sum(verdict.refused.values()) == len(course.given)
    assert verdict.done >= 40 and verdict.times["command to relay"].calm


def test_a_command_that_is_not_accounted_for_fails_the_run():
    assert Verdict().ok
    for name in ("lost", "twice", "incomplete", "findings"):
        assert not Verdict(**{name: ["x"]}).ok
