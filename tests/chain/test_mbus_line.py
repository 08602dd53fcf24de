"""The device's M-Bus master against simulated meters on a serial line of ptys, in MicroPython."""

import json
import subprocess

import pytest
from punctual import punctually

from clsbench.hil.interpreter import find_micropython
from clsbench.meters.line import SerialLine
from clsbench.meters.mbus_encode import bcd, integer, secondary_address, value_information
from clsbench.meters.mbus_meter import MbusFaults, MbusMeter, MbusSlaves, collided
from clsbench.paths import firmware_dir
from dicamm import codes
from dicamm.proto.mbus import MbusTelegram

pytestmark = pytest.mark.wire

SHIM = firmware_dir().parent / "boards" / "unix" / "shim"
WH = value_information(30, 0)

SCRIPT = """
import asyncio, json, machine, sys
from dicamm.app.mbus_master import MbusLine
from dicamm.drivers.clock import Clock
from dicamm.drivers.rs485 import Rs485

async def main():
    uart = machine.UART(0, {baud}, bits=8, parity=0, stop=1)
    line = MbusLine(Rs485(uart, {baud}, bits_per_char=11), Clock(1))
    try:
        out = []
        for what, argument in json.loads({orders!r}):
            if what == "read":
                code, telegrams = await line.read(argument)
                out.append([code, [data.hex() for data in telegrams]])
            elif what == "secondary":
                code, telegrams = await line.read_secondary(bytes.fromhex(argument))
                out.append([code, [data.hex() for data in telegrams]])
            else:
                found = await line.search()
                out.append([sorted(a.hex() for a in found.found), found.attempts])
        print(json.dumps([out, line.discarded]))
    finally:
        pass

asyncio.run(main())
"""


def ask(path, orders, baud=9600):
    """What the device's master makes of `orders` on the line."""
    done = subprocess.run(
        [str(find_micropython()), "-c", SCRIPT.format(baud=baud, orders=json.dumps(orders))],
        capture_output=True,
        text=True,
        timeout=120,
        env={"MICROPYPATH": f".frozen:{firmware_dir()}:{SHIM}", "HIL_UART0": path},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def meter(address, digits="12345678", readings=((1000,),)):
    """A slave whose telegrams hold these energies in Wh."""
    telegrams = [b"".join(integer(wh, 4, WH) for wh in values) for values in readings]
    return MbusMeter(address, secondary_address(digits, "ELS", 51, 2), lambda: list(telegrams))


def energies(telegrams):
    found = []
    for data in telegrams:
        records = MbusTelegram(bytes.fromhex(data)).records()
        while records.next():
            if records.rounded(0) is not None:
                found.append(records.rounded(0))
        assert records.error is None
    return found


@pytest.fixture
def bus():
    """Runs orders against meters: (meters, orders, baud, paced) -> (results, discarded)."""

    def run(meters, orders, baud=9600, paced=False):
        with SerialLine(baud, 11, paced=paced) as line, MbusSlaves(line.b_path, meters, baud):
            return ask(line.a_path, orders, baud)

    return run


def test_a_meter_is_read_at_2400_baud_with_the_times_of_the_wire(bus):
    (result,), discarded = bus([meter(5)], [["read", 5]], baud=2400, paced=True)
    assert (result[0], energies(result[1]), discarded) == (0, [1000], {})


def test_a_reading_of_several_telegrams_is_fetched_to_its_end(bus):
    slave = meter(7, readings=((1, 2), (3,), (4,)))
    (result, again), _ = bus([slave], [["read", 7], ["read", 7]])
    assert result[0] == 0 and energies(result[1]) == [1, 2, 3, 4]
    assert energies(again[1]) == [1, 2, 3, 4] and slave.served == 2


def test_only_the_meter_that_is_addressed_answers(bus):
    slaves = [meter(1, "00000001"), meter(2, "00000002", ((20,),))]
    (result,), _ = bus(slaves, [["read", 2]])
    assert energies(result[1]) == [20] and [slave.served for slave in slaves] == [0, 1]


def test_a_meter_is_read_by_its_secondary_address(bus):
    slaves = [meter(0, "11111111"), meter(0, "22222222", ((-7,),))]
    wanted = slaves[1].secondary
    (result, nobody), _ = bus(
        slaves, [["secondary", wanted.hex()], ["secondary", "99999999ffffffff"]]
    )
    assert energies(result[1]) == [-7]
    assert nobody == [codes.METER_TIMEOUT, []]


def test_a_search_finds_every_meter(bus):
    digits = ["12345678", "19345679", "87654321"]
    slaves = [meter(0, text) for text in digits]
    (found,), _ = bus(slaves, [["search", None]])
    assert found[0] == sorted(slave.secondary.hex() for slave in slaves)


def test_a_search_on_an_empty_line_takes_one_attempt(bus):
    (found,), _ = bus([], [["search", None]])
    assert found == [[], 1]


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (MbusFaults(silent=True), codes.METER_TIMEOUT),
        (MbusFaults(deaf=True), codes.METER_TIMEOUT),
        (MbusFaults(checksum_errors=True), codes.METER_CRC),
        (MbusFaults(application_error=8), codes.METER_EXCEPTION),
    ],
)
def test_a_lasting_fault_has_its_code_and_no_value(bus, faults, code):
    slave = meter(3)
    slave.faults = faults
    (result,), _ = bus([slave], [["read", 3]])
    assert result == [code, []]


@pytest.mark.parametrize(
    "faults",
    [
        MbusFaults(silent=True, answers=2),
        MbusFaults(checksum_errors=True, answers=3),
        MbusFaults(noise=b"\x00\x68\xff"),
    ],
)
def test_a_passing_fault_costs_a_repeat_not_the_reading(bus, faults):
    slave = meter(3, readings=((11,), (12,)))
    slave.faults = faults
    (result,), _ = bus([slave], [["read", 3]])
    assert result[0] == 0 and energies(result[1]) == [11, 12]


def slow_meter(**answers):
    """Late with so many `answers`, or with all."""
    slave = meter(3, readings=((11,), (12,)))
    slave.faults = MbusFaults(slow_ms=150, **answers)
    return slave


@pytest.mark.parametrize("answers", [1, 2, 3])
def test_a_late_answer_is_not_taken_for_the_next_telegram(bus, answers):
    (result,), _ = punctually(lambda: bus([slow_meter(answers=answers)], [["read", 3]]))
    assert result[0] == 0 and energies(result[1]) == [11, 12]


def test_a_meter_slower_than_the_standard_allows_gives_no_wrong_reading(bus):
    results, _ = punctually(lambda: bus([slow_meter()], [["read", 3]] * 2))
    for code, telegrams in results:
        assert energies(telegrams) == [11, 12] if code == 0 else telegrams == []


def test_collided_answers_are_the_and_of_their_bits():
    assert collided([b"\xe5", b"\xe5"]) == b"\xe5"
    assert collided([b"\xf0\x0f\x55", b"\x3c"]) == b"\xf0\x0c\x55"
    assert collided([]) == b""


def test_bcd_of_the_simulated_meter_is_read_with_its_sign():
    data = bytes([0x78]) + bcd(-1234567, 4, WH) + bcd(89, 1, WH)
    assert energies([data.hex()]) == [-1234567, 89]
