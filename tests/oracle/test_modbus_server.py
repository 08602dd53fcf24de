"""The simulated SDM630 on a serial line: hand-made RTU requests and pymodbus's client read it."""

import os
import select
import struct
import time
from contextlib import contextmanager

import pytest
from pymodbus.client import AsyncModbusSerialClient

from clsbench.clock import BenchClock
from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.eventlog import EventLog, read_events
from clsbench.meters.line import SerialLine
from clsbench.meters.load import HeatingRod, Plant
from clsbench.meters.modbus_server import HEALTHY, Faults, ModbusMeter

UTC_MS = 1_777_882_500_000
IMPORT_TOTAL = 0x0048
POWER_TOTAL = 0x0034


def crc16(data):
    """CRC-16/MODBUS, bit by bit (Modbus over serial line V1.02, appendix B)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


def frame(unit, function, address, count):
    body = struct.pack(">BBHH", unit, function, address, count)
    return body + crc16(body)


class Master:
    """A raw port: writes requests, collects what comes back."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def receive(self, count, timeout_s=30.0):
        data = b""
        end = time.monotonic() + timeout_s
        while len(data) < count and (left := end - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                data += os.read(self.fd, 4096)
        return data

    def read(self, address, count, function=4, unit=1):
        """The register bytes of a good reply, or the exception code."""
        os.write(self.fd, frame(unit, function, address, count))
        head = self.receive(5)
        assert head[0] == unit
        if head[1] == function | 0x80:
            assert head[3:] == crc16(head[:3])
            return head[2]
        reply = head + self.receive(2 * count + 5 - len(head))
        assert (reply[1], reply[2], len(reply)) == (function, 2 * count, 2 * count + 5)
        assert reply[-2:] == crc16(reply[:-2])
        return reply[3:-2]

    def f32(self, address):
        return struct.unpack(">f", self.read(address, 2))[0]

    def silence(self, request, seconds=0.3):
        os.write(self.fd, request)
        return self.receive(1, seconds) == b""


@contextmanager
def bench(paced=False, **options):
    clock = BenchClock(utc_ms=UTC_MS)
    plant = Plant(HeatingRod(power_w=6000))
    plant.advance(UTC_MS)
    with SerialLine(9600, paced=paced) as line:
        meter = ModbusMeter(plant, port=line.b_path, clock=clock, **options)
        with meter:
            master = Master(line.a_path)
            try:
                yield plant, meter, master, line
            finally:
                os.close(master.fd)


@pytest.fixture(scope="module")
def sdm630():
    with bench(start_wh=1_234_560) as parts:
        yield parts


@pytest.fixture(autouse=True)
def healthy(sdm630):
    sdm630[1].set_faults()


def test_registers_equal_the_model(sdm630):
    plant, meter, master, _ = sdm630
    plant.set_relay(True, plant.advance(UTC_MS))
    words = master.read(0, 80)
    served = meter.served()[-1]
    now = meter.values_at(served.t_ms)
    shown = {at: struct.unpack_from(">f", words, 2 * at)[0] for at in range(0, 80, 2)}
    assert served.payload_hex == words.hex() and (served.address, served.count) == (0, 80)
    assert shown[POWER_TOTAL] == pytest.approx(now.power_w(), abs=12)
    assert sum(shown[at] for at in (0x0C, 0x0E, 0x10)) == shown[POWER_TOTAL] > 6000
    for phase in range(3):
        assert shown[2 * phase] == pytest.approx(now.voltage_mv(phase) / 1000, abs=0.2)
        assert shown[6 + 2 * phase] == pytest.approx(now.current_ma(phase) / 1000, abs=0.02)
    assert shown[0x46] == pytest.approx(50, abs=0.021)
    assert shown[IMPORT_TOTAL] == pytest.approx(1234.56, abs=0.02)
    assert shown[0x4A] == shown[0x12] == 0


def test_energy_is_that_of_the_instant_of_the_request():
    clock = BenchClock(utc_ms=UTC_MS, speed=3600)
    plant = Plant(HeatingRod(power_w=6000, tank_litre=100_000))
    with SerialLine(paced=False) as line, ModbusMeter(plant, port=line.b_path, clock=clock):
        master = Master(line.a_path)
        plant.set_relay(True, clock.now_ms())
        before_ms = clock.now_ms()
        first = master.f32(IMPORT_TOTAL)
        time.sleep(0.2)  # 12 minutes of bench time: 1.2 kWh
        second = master.f32(IMPORT_TOTAL)
        after_ms = clock.now_ms()
        os.close(master.fd)
    assert 1.19 <= second - first <= 6.25 * (after_ms - before_ms) / 3_600_000


def test_relay_open_shows_no_power(sdm630):
    plant, _, master, _ = sdm630
    plant.set_relay(False, plant.advance(UTC_MS))
    assert master.f32(POWER_TOTAL) == 0
    assert master.read(0x15A, 12) is not None


@pytest.mark.parametrize(
    ("function", "address", "count", "code"),
    [
        (4, 0x0100, 2, 2),
        (4, 0x0F00, 2, 2),
        (4, 0xFFFE, 2, 2),
        (4, 0x0164, 4, 2),
        (4, IMPORT_TOTAL, 0, 3),
        (4, 0, 81, 3),
        (4, 0, 126, 3),
        (3, IMPORT_TOTAL, 2, 1),
        (1, 0, 8, 1),
        (6, IMPORT_TOTAL, 1, 1),
    ],
)
def test_refusals_carry_the_code_of_the_standard(sdm630, function, address, count, code):
    _, _, master, _ = sdm630
    assert master.read(address, count, function) == code
    assert len(master.read(IMPORT_TOTAL, 2)) == 4


def test_other_units_broken_requests_and_noise_get_no_answer(sdm630):
    _, meter, master, _ = sdm630
    before = len(meter.served())
    assert master.silence(frame(2, 4, IMPORT_TOTAL, 2))
    assert master.silence(frame(0, 4, IMPORT_TOTAL, 2))
    assert master.silence(frame(1, 4, IMPORT_TOTAL, 2)[:-1] + b"\x00")
    assert master.silence(b"\x00\xff\x13" * 30)
    assert len(meter.served()) == before
    assert len(master.read(IMPORT_TOTAL, 2)) == 4


def test_a_torn_request_does_not_spoil_the_next_one(sdm630):
    _, _, master, _ = sdm630
    assert master.silence(frame(1, 4, IMPORT_TOTAL, 2)[:5])
    assert len(master.read(IMPORT_TOTAL, 2)) == 4


def test_faults_strike_the_wanted_number_of_replies(sdm630):
    _, meter, master, _ = sdm630
    meter.set_faults(silent=True, replies=2)
    assert master.silence(frame(1, 4, IMPORT_TOTAL, 2))
    assert meter.faults == Faults(silent=True, replies=1)
    assert master.silence(frame(1, 4, IMPORT_TOTAL, 2))
    assert meter.faults == HEALTHY
    assert len(master.read(IMPORT_TOTAL, 2)) == 4


def test_a_spoiled_reply_differs_in_one_bit_and_is_not_counted_as_served(sdm630):
    _, meter, master, _ = sdm630
    before = meter.served()
    meter.set_faults(crc_errors=True)
    os.write(master.fd, frame(1, 4, IMPORT_TOTAL, 2))
    spoiled = master.receive(9)
    assert crc16(spoiled[:-2]) != spoiled[-2:]
    assert meter.served() == before
    meter.set_faults()
    good = master.read(IMPORT_TOTAL, 2)
    sent = b"\x01\x04\x04" + good
    sent += crc16(sent)
    assert sum((a ^ b).bit_count() for a, b in zip(sent, spoiled)) == 1


def test_a_slow_meter_answers_late_with_the_values_of_the_request(sdm630):
    plant, meter, master, _ = sdm630
    meter.set_faults(slow_ms=2000)
    begin_s = time.monotonic()
    os.write(master.fd, frame(1, 4, POWER_TOTAL, 2))
    assert master.receive(1, 0.1) == b""
    assert len(master.receive(9)) == 9
    assert time.monotonic() - begin_s >= 2
    assert plant.advance(UTC_MS) - meter.served()[-1].t_ms < 250
    meter.set_faults()
    assert len(master.read(IMPORT_TOTAL, 2)) == 4


def test_an_exception_can_be_forced(sdm630):
    _, meter, master, _ = sdm630
    meter.set_faults(exception=6, replies=1)
    assert master.read(IMPORT_TOTAL, 2) == 6
    assert len(master.read(IMPORT_TOTAL, 2)) == 4


@pytest.mark.parametrize("wrong", [{"deaf": True}, {"slow_ms": -1}, {"exception": 99}])
def test_senseless_faults_are_refused(sdm630, wrong):
    with pytest.raises(BadInput, match="modbus meter"):
        sdm630[1].set_faults(**wrong)


async def test_pymodbus_client_reads_the_same_values():
    with bench(start_wh=7_000) as (_, meter, _, line):
        client = AsyncModbusSerialClient(line.a_path, baudrate=9600, timeout=30)
        assert await client.connect()
        reply = await client.read_input_registers(IMPORT_TOTAL, count=2, device_id=1)
        refused = await client.read_input_registers(0x0F00, count=2, device_id=1)
        client.close()
        value = client.convert_from_registers(reply.registers, client.DATATYPE.FLOAT32)
        assert value == pytest.approx(7.0)
        assert refused.isError() and refused.exception_code == 2
        assert meter.served()[-1].payload_hex == struct.pack(">f", 7.0).hex()


def test_on_a_paced_line_a_reading_takes_its_time_on_the_wire():
    with bench(paced=True) as (_, _, master, _):
        begin_s = time.monotonic()
        assert len(master.read(0, 80)) == 160
        assert time.monotonic() - begin_s >= (8 + 165) * 10 / 9600


def test_a_meter_may_be_stopped_and_another_started_on_the_same_line():
    with bench() as (plant, meter, master, line):
        meter.stop()
        meter.stop()
        assert master.silence(frame(1, 4, IMPORT_TOTAL, 2), 0.1)
        line.discard_unread("b")
        clock = BenchClock(utc_ms=UTC_MS)
        with ModbusMeter(plant, port=line.b_path, clock=clock, unit=17, start_wh=10**6):
            os.write(master.fd, frame(17, 4, IMPORT_TOTAL, 2))
            assert master.receive(9)[3:7] == struct.pack(">f", 1000.0)


def test_a_meter_with_even_parity_and_another_map_is_served_on_a_pty():
    with bench(model="orno_we516", start_wh=5_000) as (_, meter, master, _):
        assert meter.model.bus.parity == "even"
        assert 229 < struct.unpack(">f", master.read(0x000E, 2, function=3))[0] < 231
        assert master.read(0x000E, 2, function=4) == 1


def test_requests_and_replies_stand_in_the_event_log(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path, BenchClock(utc_ms=UTC_MS), "meter")
    with bench(event_log=log) as (_, meter, master, _):
        words = master.read(IMPORT_TOTAL, 2)
        master.read(0x0F00, 2)
        meter.set_faults(silent=True)
        assert master.silence(frame(1, 4, IMPORT_TOTAL, 2), 0.2)
    events = list(read_events(path))
    assert [(e["name"], e["lane_from"], e["ok"]) for e in events] == [
        ("modbus.request", "DICAMM", True),
        ("modbus.reply", "meter", True),
        ("modbus.request", "DICAMM", True),
        ("modbus.reply", "meter", False),
        ("modbus.request", "DICAMM", True),
        ("modbus.silent", "meter", False),
    ]
    assert events[0]["raw"] == frame(1, 4, IMPORT_TOTAL, 2).hex()
    assert events[1]["raw"][6:14] == words.hex()
    assert events[3]["detail"]["exception"] == 2


def test_a_port_that_is_not_there_is_named():
    plant, clock = Plant(HeatingRod()), BenchClock(utc_ms=UTC_MS)
    with pytest.raises(EnvironmentProblem, match="cannot open /dev/no-such-port"):
        ModbusMeter(plant, port="/dev/no-such-port", clock=clock).start()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"unit": 0}, "unit 0"),
        ({"feeder": "attic"}, "no feeder 'attic'"),
        ({"model": "eastron_sdm631"}, "eastron_sdm630"),
    ],
)
def test_senseless_meters_are_refused(wrong, text):
    with pytest.raises(BadInput, match=text):
        ModbusMeter(Plant(HeatingRod()), port="x", clock=BenchClock(), **wrong)
