"""The bus task on a paced line: who goes first, how long polls are, which reply is believed."""

import statistics

import pytest
from bus_kit import good_reply, registers, run

from clsbench.meters.rtu_responder import with_crc
from dicamm.proto import modbus_timing

TIMEOUT, SHORT, CRC, WRONG_UNIT, EXCEPTION = 20, 21, 22, 23, 27

pytestmark = pytest.mark.wire


# order


def test_an_event_overtakes_the_polls_that_wait():
    bench = run(
        """
async def run():
    polls = start(*(ask("poll %d" % n, 1, 10 * n, 4) for n in range(4)))
    await asyncio.sleep_ms(10)
    await ask("event", 1, 100, 2, urgent=True)
    for poll in polls:
        await poll
""",
        baud=2400,
        timeout_ms=2000,
    )
    assert bench.slaves.targets() == [(1, 0), (1, 100), (1, 10), (1, 20), (1, 30)]
    assert bench.order[:2] == ["poll 0", "event"]
    for number in range(4):
        assert bench.facts[f"poll {number}"]["values"] == registers(1, 10 * number, 4)


def test_polls_are_over_in_50_ms_at_any_baud_rate_with_a_frame_of_its_own_for_each_value():
    for baud in (2400, 4800, 9600, 19200, 115200):
        for bits in (10, 11):
            count = modbus_timing.registers_within(50000, baud, bits)
            frames_us = modbus_timing.wire_time_us(8 + 5 + 2 * count, baud, bits)
            cycle_us = frames_us + 2 * modbus_timing.silence_us(baud)
            assert count == 4 or cycle_us <= 50000
            assert count == 125 or cycle_us + modbus_timing.wire_time_us(2, baud, bits) > 50000
    assert modbus_timing.registers_within(50000, 9600, 11) == 11


def test_a_poll_too_long_for_that_is_refused_and_an_event_may_be_long():
    bench = run(
        """
async def run():
    try:
        await ask("poll", 1, 0, bus.poll_registers + 1)
    except ValueError as error:
        tell(name="refused", text=str(error))
    await ask("event", 1, 0, 80, urgent=True)
"""
    )
    assert "register count" in bench.facts["refused"]["text"]
    assert bench.facts["event"]["values"] == registers(1, 0, 80)


def test_an_event_overtakes_the_second_try_of_a_poll_to_another_unit():
    bench = run(
        """
async def run():
    poll = start(ask("dead", 2, 0, 4))
    await asyncio.sleep_ms(50)
    await ask("event", 1, 100, 2, urgent=True)
    await poll[0]
""",
        lambda number, request: [] if request[0] == 2 else None,
        timeout_ms=800,
    )
    assert bench.slaves.targets() == [(2, 0), (1, 100), (2, 0)]
    assert bench.facts["event"]["values"] == registers(1, 100, 2)
    assert bench.facts["dead"]["error"] == TIMEOUT


# several devices, writes


def test_a_dead_device_does_not_hold_up_the_others():
    bench = run(
        """
async def run():
    await ask("dead 1", 2, 0, 2)
    await all_of(ask("dead 2", 2, 0, 2), *(ask("alive %d" % n, 1, n, 2) for n in range(5)))
""",
        lambda number, request: [] if request[0] == 2 else None,
        timeout_ms=500,
    )
    units = [unit for unit, _ in bench.slaves.targets()]
    assert units == [2, 2, 1, 1, 1, 1, 1, 2, 2]  # the dead one is left alone first
    assert all(bench.facts[f"alive {n}"]["values"] == registers(1, n, 2) for n in range(5))
    assert bench.facts["dead 2"]["error"] == TIMEOUT


def test_each_device_has_its_own_patience_and_a_request_may_have_another():
    bench = run(
        """
bus.units[2] = BusUnit(5000, 1, 100)
async def run():
    await ask("default", 1, 0, 2)
    await asyncio.sleep_ms(1500)
    await ask("patient unit", 2, 0, 2)
    await ask("patient request", 3, 0, 2, timeout_ms=5000)
""",
        lambda number, request: [(0.15, good_reply(request))],
        timeout_ms=50,
        tries=1,
    )
    assert bench.facts["default"]["error"] == TIMEOUT
    assert bench.facts["patient unit"]["values"] == registers(2, 0, 2)
    assert bench.facts["patient request"]["values"] == registers(3, 0, 2)


def test_writes_go_over_the_same_bus():
    bench = run(
        """
async def run():
    await ask("single", 17, 1, 0, function=6, values=[3])
    await ask("multiple", 17, 1, 0, function=16, values=[0x000A, 0x0102])
    for wrong in ([], [0x10000], [0] * 124):
        try:
            await ask("never", 17, 1, 0, function=16, values=wrong)
        except ValueError:
            tell(name="refused %d" % len(wrong))
"""
    )
    assert bench.slaves.requests == [
        bytes.fromhex("1106000100039A9B"),
        bytes.fromhex("11100001000204000A0102C6F0"),
    ]
    assert bench.facts["single"]["error"] == bench.facts["multiple"]["error"] == 0
    assert {"refused 0", "refused 1", "refused 124"} <= bench.facts.keys()


# silence


@pytest.mark.parametrize("baud", [9600, 38400])
def test_the_line_is_silent_for_three_and_a_half_characters_before_each_request(baud: int):
    seen = []

    def tap():
        seen.clear()
        return lambda direction, data, t_ns: seen.append((direction, len(data), t_ns))

    bench = run(
        """
async def run():
    for n in range(30):
        await ask("poll %d" % n, 1, n, 2)
""",
        baud=baud,
        tap=tap,
    )
    assert len(bench.slaves.requests) == 30
    char_ns = 10_000_000_000 // baud
    gaps_us = []
    reply_ns = None
    for direction, length, t_ns in seen:
        if direction == "b->a":
            reply_ns = t_ns
        elif reply_ns is not None:
            gaps_us.append((t_ns - length * char_ns - reply_ns) / 1000)
            reply_ns = None
    assert len(gaps_us) == 29
    assert statistics.median(gaps_us) >= modbus_timing.silence_us(baud)


def test_a_line_that_never_falls_silent_is_an_error_and_not_a_request():
    bench = run(
        """
noise = bytearray(b"\\xff")
port.receive = lambda buffer: 1
async def run():
    await ask("poll", 1, 0, 2)
"""
    )
    assert bench.slaves.requests == []
    assert bench.facts["poll"]["error"] == CRC


# which reply is believed


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (lambda good: good[:1], SHORT),
        (lambda good: good[:6], SHORT),
        (lambda good: good[:5] + bytes([good[5] ^ 1]) + good[6:], CRC),
        (lambda good: with_crc(b"\x02" + good[1:-2]), WRONG_UNIT),
    ],
)
def test_a_broken_reply_fails_when_the_line_falls_silent_and_not_at_the_deadline(broken, code):
    def script(number, request):
        good = good_reply(request)
        rest = (1.5, good[6:])  # had the bus waited, this would come within its patience
        return [(0.0, broken(good)), rest] if number == 0 else None

    bench = run(
        """
async def run():
    await ask("broken", 1, 0, 2)
    tell(name="told")
    await asyncio.sleep_ms(2000)
    await ask("next", 1, 0x30, 2)
""",
        script,
        timeout_ms=5000,
        tries=1,
    )
    assert bench.facts["broken"]["error"] == code
    assert bench.facts["next"]["values"] == registers(1, 0x30, 2)


def test_an_exception_is_final_where_asking_again_does_not_help():
    def script(number, request):
        return [(0.0, with_crc(bytes([request[0], 0x84, 6 if request[0] == 2 else 2])))]

    bench = run(
        """
async def run():
    await ask("illegal address", 1, 0, 2)
    await ask("busy", 2, 0, 2)
""",
        script,
    )
    assert [unit for unit, _ in bench.slaves.targets()] == [1, 2, 2]
    assert bench.facts["illegal address"]["error"] == bench.facts["busy"]["error"] == EXCEPTION


@pytest.mark.parametrize(("late_s", "tries"), [(0.09, 1), (0.15, 2), (0.25, 1), (0.45, 2)])
def test_a_reply_that_comes_late_is_never_the_reply_to_another_request(late_s: float, tries: int):
    bench = run(
        """
bus.units[1] = BusUnit(60, TRIES, 400)
async def run():
    for n in range(4):
        await ask("read %d" % n, 1, 16 * n, 2, urgent=n > 1)
""".replace("TRIES", str(tries)),
        lambda number, request: [(late_s, good_reply(request))],
    )
    for number in range(4):
        fact = bench.facts[f"read {number}"]
        assert fact["error"] == TIMEOUT or fact["values"] == registers(1, 16 * number, 2), number


def test_the_repeat_of_a_request_may_use_the_late_reply_to_its_first_try():
    bench = run(
        """
async def run():
    await ask("slow", 1, 0, 2)
    await ask("next", 1, 32, 2)
""",
        lambda number, request: [(0.6, good_reply(request))] if number < 2 else None,
        timeout_ms=400,
    )
    assert bench.facts["slow"]["values"] == registers(1, 0, 2)
    assert bench.facts["next"]["values"] == registers(1, 32, 2)
    assert bench.facts["end"]["discarded"]["late"] == 9


def test_first_reply_after_a_failed_request_counts_only_when_no_other_follows():
    def script(number, request):
        if number == 0:
            return [(1.05, good_reply(request))]  # comes when the next request is on its way
        return [(0.45, good_reply(request))] if number == 1 else None

    bench = run(
        """
bus.units[1] = BusUnit(300, 1, 600)
async def run():
    await ask("unanswered", 1, 0, 2)
    await ask("doubtful", 1, 32, 2)
    await ask("good", 1, 64, 2)
""",
        script,
    )
    assert bench.facts["unanswered"]["error"] == TIMEOUT
    assert bench.facts["doubtful"]["error"] == TIMEOUT
    assert bench.facts["good"]["values"] == registers(1, 64, 2)


# steady state


def test_many_reads_leave_nothing_on_the_heap():
    bench = run(
        """
import gc
async def reads(number):
    for n in range(number):
        assert await bus.read(request, n % 2 == 0) == 0
    gc.collect()
    return gc.mem_alloc()

request = BusRequest()
request.unit, request.function, request.count = 1, 4, 2

async def run():
    first = await reads(40)
    tell(name="heap", grown=await reads(200) - first)
""",
        baud=115200,
    )
    assert bench.facts["heap"]["grown"] <= 0
