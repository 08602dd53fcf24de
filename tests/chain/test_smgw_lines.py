"""Many meters on one gateway, in short; in full: tools/smgw_lines.py."""

import importlib.util
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "smgw_lines.py"
METERS, SECONDS, LEAD_S, INTERVAL_S = 12, 1.0, 4.0, 0.25


def tool():
    spec = importlib.util.spec_from_file_location("smgw_lines", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


async def test_no_telegram_of_many_meters_is_lost_and_every_due_time_has_its_reading(tmp_path):
    outcome = await tool().run_lines(tmp_path, METERS, SECONDS, LEAD_S, INTERVAL_S)
    assert outcome.complete, (outcome.figures(), outcome)
    assert outcome.sent >= METERS * SECONDS / INTERVAL_S
    assert outcome.series == 2 * METERS


def test_whatever_is_missing_or_late_fails_the_run():
    lines = tool()
    assert lines.Outcome(sent=1, series=1, late_ms=[1]).ok and not lines.Outcome().ok
    for name in ("lost", "doubled", "due"):
        missing = lines.Outcome(sent=1, series=1, **{name: ["x"]})
        assert not missing.ok and not missing.complete
    assert not lines.Outcome(sent=1, series=1, late_ms=[501]).ok
