"""The live timeline: which events become a line, and what the line says."""

import asyncio
import re

import pytest

from clsbench.clock import BenchClock
from clsbench.eventlog import EventLog, EventReader
from clsbench.report.quantity import Energy, clean, decimal_text, duration_text
from clsbench.report.sentences import TABLE, Teller
from clsbench.report.timeline import Timeline, colour_wanted

UUID = "6f1b0e52-0000-4000-8000-000000000001"
T0_NS = 1_777_882_500_000_000_000  # 2026-05-04 08:15:00 UTC


class Bench:
    """A log, its timeline, and the lines it wrote."""

    def __init__(self, path, colour=False):
        self.log = EventLog(path, BenchClock(), "test")
        self.lines = []
        self.timeline = Timeline(EventReader(path), self.lines.append, colour)

    def tell(self, *event, after_s=0, **more):
        self.log.event(*event, t_ns=T0_NS + after_s * 10**9, **more)

    def pumped(self):
        self.timeline.pump()
        return self.lines


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "events.jsonl")


def values(raw, scaler):
    return [{"obis": "1-0:1.8.0*255", "raw": raw, "scaler": scaler, "unit": 30}]


def test_a_command_is_one_line_with_time_lanes_and_sentence(bench):
    detail = {"action": "begin", "text": "wind surplus", "cls_id": "ETST0020000017"}
    bench.tell("aEMT", "SMGW", "message", "command.in", uuid=UUID, detail=detail)
    (line,) = bench.pumped()
    assert line.split(maxsplit=1)[0] == "08:15:00"
    assert re.search(r"aEMT → SMGW +command begin 6f1b0e52 'wind surplus'$", line)


def test_a_record_states_the_register_exactly_and_the_end_what_was_drawn(bench):
    for seq, event, raw in ((7, "begin", 123456), (8, "end", 123666)):
        detail = {"seq": seq, "event": event, "values": values(raw, 1)}
        bench.tell(
            "DICAMM", "DICAMM", "record", "device.taf16", uuid=UUID, detail=detail, after_s=seq
        )
    begin, end = bench.pumped()
    assert begin.endswith("record 7: begin 6f1b0e52, register 1234.56 kWh")
    assert end.endswith("record 8: end 6f1b0e52, register 1236.66 kWh, transaction 2.10 kWh")


def test_a_quarter_hour_states_its_energy_since_the_one_before(bench):
    for number in range(2):
        due_ms = (T0_NS // 10**6) + number * 900_000
        detail = {"seq": 1 + number, "due_ms": due_ms, "values": values(123456 + 52 * number, 1)}
        bench.tell("DICAMM", "DICAMM", "record", "device.taf7", detail=detail, after_s=number)
    first, second = bench.pumped()
    assert first.endswith("quarter hour 08:15 recorded: record 1, register 1234.56 kWh")
    assert second.endswith("register 1235.08 kWh, +0.52 kWh")


def test_polls_are_told_only_when_the_meter_falls_silent_and_comes_back(bench):
    for second in range(9):
        silent = 3 <= second < 6
        bench.tell(
            "DICAMM",
            "meter",
            "message",
            "modbus.request",
            after_s=second,
            detail={"address": 72, "count": 2},
        )
        bench.tell(
            "meter",
            "DICAMM",
            "message",
            "modbus.reply",
            after_s=second,
            ok=not silent,
            detail={"address": 72, "count": 2},
        )
    lines = bench.pumped()
    assert [line[:8] for line in lines] == ["08:15:03", "08:15:06"]
    assert "✗" in lines[0] and "✗" not in lines[1]


def test_a_refusal_shows_its_reason(bench):
    bench.tell(
        "aEMT",
        "SMGW",
        "fault",
        "wan.refused",
        uuid=UUID,
        ok=False,
        detail={"subject": "flexmarkt", "reason": "CLS X is not known here", "status": 404},
    )
    (line,) = bench.pumped()
    assert line.endswith("✗ WAN request of flexmarkt refused (404): CLS X is not known here")


def test_an_unknown_event_is_told_with_its_details(bench):
    bench.tell("GWA", "SMGW", "message", "firmware.offered", detail={"version": "2.1", "size": 7})
    (line,) = bench.pumped()
    assert line.endswith("firmware.offered: version 2.1, size 7")


def test_counts_by_reason_are_told_one_by_one(bench):
    detail = {"discarded": {"noise": 1, "crc": 4}}
    bench.tell("meter", "SMGW", "fault", "lmn.discarded", ok=False, detail=detail)
    assert bench.pumped()[0].endswith("✗ telegrams discarded: noise 1, crc 4")


def test_every_known_event_without_details_still_gives_a_sentence():
    for name in TABLE:
        assert Teller().tell({"name": name, "detail": {}, "ok": False})


@pytest.mark.parametrize("event", [{}, {"detail": 3}, {"name": None, "uuid": 5, "detail": []}])
def test_a_strange_event_is_told_and_never_fails(event):
    assert isinstance(Teller().tell(event), str)


def test_foreign_text_cannot_steer_the_terminal(bench):
    detail = {"action": "begin", "text": "\x1b]0;owned\x07\x9b2J\u202eevil\nsecond"}
    bench.tell("aEMT", "SMGW", "message", "command.in", uuid=UUID, detail=detail)
    (line,) = bench.pumped()
    assert line.isprintable() and "\ufffd" in line
    assert not set(line) & set("\x1b\x07\x9b\u202e\n\r")


def test_what_came_late_is_put_in_order_of_bench_time(bench):
    bench.tell("DICAMM", "load", "state", "relay.opened", after_s=60)
    bench.tell("DICAMM", "load", "state", "relay.closed", after_s=30)
    assert [line[:8] for line in bench.pumped()] == ["08:15:30", "08:16:00"]


def test_nothing_is_written_twice(bench):
    bench.tell("DICAMM", "load", "state", "relay.closed")
    assert len(bench.pumped()) == 1
    assert len(bench.pumped()) == 1


def test_colour_only_where_asked_and_never_with_no_color(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, colour, variable, expected in (
        ("plain", False, "", False),
        ("colour", True, "", True),
        ("no", True, "1", False),
    ):
        monkeypatch.setenv("NO_COLOR", variable)
        bench = Bench(tmp_path / name, colour)
        bench.tell("aEMT", "SMGW", "fault", "wan.refused", ok=False)
        assert ("\x1b[31m" in bench.pumped()[0]) is expected


def test_colour_is_wanted_on_a_capable_terminal_only():
    class Stream:
        def __init__(self, tty):
            self.isatty = lambda: tty

    assert colour_wanted(Stream(True), {"TERM": "xterm"})
    assert not colour_wanted(Stream(False), {"TERM": "xterm"})
    assert not colour_wanted(Stream(True), {"TERM": "dumb"})
    assert not colour_wanted(Stream(True), {"TERM": "xterm", "NO_COLOR": "1"})


async def test_run_tells_what_is_left_when_it_is_stopped(bench):
    stop = asyncio.Event()
    running = asyncio.create_task(bench.timeline.run(stop))
    await asyncio.sleep(0.05)
    bench.tell("DICAMM", "load", "state", "relay.closed")
    stop.set()
    await asyncio.wait_for(running, 30)
    assert bench.lines[0].endswith("relay closed")


def test_numbers_are_exact_decimals():
    assert decimal_text(123456, -2) == "1234.56"
    assert decimal_text(-5, -3) == "-0.005"
    assert decimal_text(12, 2) == "1200"
    assert decimal_text(0, 3) == "0"
    assert decimal_text(9007199254740993, -1) == "900719925474099.3"  # no float holds it
    assert (Energy(123666, 1) - Energy(12345600, -1)).kwh() == "2.1000 kWh"
    assert duration_text(1_258_000) == "20 min 58 s"
    assert clean("a\tb\ud800") == "a\ufffdb\ufffd"
