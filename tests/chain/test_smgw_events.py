"""TAF16 events while the gateway is killed, in short; in full: tools/smgw_events.py."""

import importlib.util
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "smgw_events.py"


def tool():
    spec = importlib.util.spec_from_file_location("smgw_events", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_no_event_is_lost_or_doubled_when_the_gateway_is_killed(tmp_path):
    events = tool()
    course, verdict = await events.run_events(tmp_path, seed=3, events=60, kills=1, sessions=3)
    assert verdict.ok, (events.figures(course, verdict), verdict)
    assert verdict.stored == len(course.sent) == 60 and course.kills == 1
    assert course.again > 0 and len(verdict.times) == 6


def test_whatever_is_wrong_with_a_record_fails_the_run():
    events = tool()
    assert events.Verdict().ok
    for name in ("lost", "duplicated", "findings"):
        assert not events.Verdict(**{name: ["x"]}).ok
    assert events.part([3.0, 1.0, 2.0], 99) == 3.0 and events.part([], 50) == 0.0
