"""A meter that dies is told to be lost in time, gives no old reading, and comes back by itself."""

import json

import pytest
from bus_kit import good_reply, run

from clsbench.meters import catalogue

pytestmark = pytest.mark.wire

CODES = {20: "timeout", 21: "short", 29: "lost", 30: "back"}
PROGRAM = """
from dicamm.app.meter_task import Meter

class Settings:
    meter_profile = json.loads(PROFILE)
    record_obis = ["1-0:1.8.0"]
    poll_obis = ["1-0:1.8.0", "1-0:16.7.0"]
    meter_unit = 1
    poll_ms = POLL_MS

class LegalTime:
    def utc_ms(self, mono_ms):
        return mono_ms
    def state(self, mono_ms):
        return 1
    def bound_ms(self, mono_ms):
        return 0

class Log:
    def write(self, code, *arguments):
        tell(name=str(code), at_ms=clock.mono_ms(), good=meter.good_reads)

meter = Meter(Settings(), bus, clock, LegalTime(), Log())

async def until(condition):
    while not condition():
        await asyncio.sleep_ms(5)
"""


def program(body: str, poll_ms: int = 50) -> str:
    profile = json.dumps(catalogue.compact("eastron_sdm630"))
    return PROGRAM.replace("PROFILE", repr(profile)).replace("POLL_MS", str(poll_ms)) + body


def log_of(bench) -> list[str]:
    """The names of the log entries, in order."""
    return [CODES[int(name)] for name in bench.order if name.isdigit()]


DIES = """
async def run():
    polling = asyncio.create_task(meter.run(lambda: None))
    await until(lambda: meter.good_reads == 3)
    await until(lambda: not meter.healthy)
    before = meter.last_poll.captured_ms
    reading, error = await meter.read_event()
    tell(name="dead", reading=reading is not None, error=error)
    await until(lambda: meter.healthy)
    tell(name="again", later=meter.last_poll.captured_ms >= before)
    await until(lambda: meter.last_poll.captured_ms > before)
    polling.cancel()
"""


def test_a_dead_meter_is_lost_after_two_cycles_and_comes_back_without_a_restart():
    dead = range(6, 14)  # three good polls are six requests: one for each of the two registers
    bench = run(
        program(DIES),
        lambda number, request: [] if number in dead else [(0.0, good_reply(request))],
        timeout_ms=250,
    )
    log = log_of(bench)
    assert log[0] == "back" and log[1:4] == ["timeout", "timeout", "lost"]
    assert log[-1] == "back" and log.count("lost") == 1
    assert bench.facts["dead"] == {"name": "dead", "reading": False, "error": 20}


def test_a_bus_that_tries_for_long_does_not_delay_the_fault():
    bench = run(
        program(
            """
async def run():
    polling = asyncio.create_task(meter.run(lambda: None))
    await until(lambda: meter.good_reads == 1)
    await until(lambda: not meter.healthy)
    await until(lambda: meter.failed_reads)
    polling.cancel()
"""
        ),
        lambda number, request: [(0.0, good_reply(request))] if number < 2 else [],
        timeout_ms=2000,
    )
    assert log_of(bench) == ["back", "lost", "timeout"]


@pytest.mark.parametrize("cut", [1, 5, 8])
def test_a_meter_that_breaks_off_in_each_reply_is_lost_too(cut: int):
    bench = run(
        program(
            """
async def run():
    polling = asyncio.create_task(meter.run(lambda: None))
    await until(lambda: meter.good_reads == 1)
    await until(lambda: not meter.healthy)
    polling.cancel()
    tell(name="last", good=meter.good_reads)
"""
        ),
        lambda number, request: [(0.0, good_reply(request)[: None if number < 2 else cut])],
        timeout_ms=250,
        tries=1,
    )
    assert bench.facts["last"]["good"] == 1
    assert bench.facts["29"]["good"] == 1
