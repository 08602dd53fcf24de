"""The quick responder against pymodbus: as client of it, and as server with the same meter."""

import asyncio
import os
import random
import select
import struct

import pytest
from pymodbus.client import AsyncModbusSerialClient

from clsbench.clock import BenchClock
from clsbench.meters import catalogue
from clsbench.meters.line import SerialLine
from clsbench.meters.load import Feeder, HeatingRod, Plant
from clsbench.meters.load_spec import ConstantLoad
from clsbench.meters.master import Line, Patience, SerialMaster
from clsbench.meters.modbus_server import ModbusMeter
from clsbench.meters.player import MeterPlayer
from clsbench.meters.registers import RegisterBank
from clsbench.meters.rtu_line import LineSettings, RtuLine
from clsbench.meters.rtu_responder import RegisterStore, RtuResponder, with_crc

UTC_MS = 1_777_882_500_000
UNPACED = LineSettings(paced=False)
OBJECTS = {0: b"Acme", 1: b"EM1", 2: b"1.0"}


class StillClock(BenchClock):
    """Bench time that stands, so that two meters show the same."""

    def now_ns(self) -> int:
        return UTC_MS * 1_000_000


def still_plant():
    plant = Plant(HeatingRod(start_ms=UTC_MS), {"mid": Feeder([ConstantLoad(4321)])})
    plant.advance(UTC_MS)
    return plant


def player(model, **options):
    return MeterPlayer(
        catalogue.load(model), still_plant(), StillClock(), start_wh=9_876_543, **options
    )


@pytest.fixture
async def client():
    store = RegisterStore({address: 7 * address & 0xFFFF for address in range(300)}, OBJECTS)
    with RtuLine(RtuResponder({5: store}), UNPACED) as line:
        found = AsyncModbusSerialClient(line.path, baudrate=9600, timeout=30, retries=0)
        assert await found.connect()
        yield found, store
        found.close()


@pytest.mark.parametrize("count", [1, 2, 80, 125])
async def test_pymodbus_reads_holding_and_input_registers(client, count):
    found, store = client
    wanted = [store.words[address] for address in range(3, 3 + count)]
    for read in (found.read_holding_registers, found.read_input_registers):
        assert (await read(3, count=count, device_id=5)).registers == wanted


async def test_pymodbus_writes_single_and_multiple_registers(client):
    found, store = client
    assert not (await found.write_register(7, 0xBEEF, device_id=5)).isError()
    assert not (await found.write_registers(9, [1, 2, 3], device_id=5)).isError()
    assert [store.words[n] for n in (7, 9, 10, 11)] == [0xBEEF, 1, 2, 3]
    reply = await found.read_holding_registers(7, count=5, device_id=5)
    assert reply.registers == [0xBEEF, 7 * 8, 1, 2, 3]


async def test_pymodbus_understands_the_exceptions(client):
    found, _ = client
    codes = [
        (await found.read_holding_registers(299, count=2, device_id=5)).exception_code,
        (await found.write_register(300, 1, device_id=5)).exception_code,
        (await found.read_coils(0, count=1, device_id=5)).exception_code,
    ]
    assert codes == [2, 2, 1]


async def test_pymodbus_reads_the_device_identification(client):
    found, _ = client
    reply = await found.read_device_information(read_code=1, object_id=0, device_id=5)
    assert reply.information == OBJECTS


@pytest.mark.parametrize("model", catalogue.models())
def test_every_register_is_that_of_the_pymodbus_meter(model):
    """The pymodbus meter takes its bytes from RegisterBank."""
    found = player(model)
    bus = found.model.bus
    bank = RegisterBank(
        found.model.registers, bus.max_registers or 125, bus.max_gap, bus.word_order
    )
    for entry in found.model.registers:
        wanted = bank.read(entry.function, entry.address, entry.words, found.values)
        assert found.read(entry.function, entry.address, entry.words) == wanted
    told = {entry.address for entry in found.model.identification}
    for function in {entry.function for entry in found.model.registers}:
        for address in range(0, 0xFFF0, 97):
            if not any(address - 1 <= other <= address + 1 for other in told):
                wanted = bank.read(function, address, 2, found.values)
                assert found.read(function, address, 2) == wanted


def exchange(fd, request, wait_s=2.0):
    os.write(fd, request)
    reply = b""
    while select.select([fd], [], [], wait_s if not reply else 0.03)[0]:
        reply += os.read(fd, 512)
    return reply


def test_random_requests_get_the_reply_pymodbus_gives():
    model, rng = "eastron_sdm630", random.Random(1)
    spots = [entry.address for entry in catalogue.load(model).registers]
    requests = []
    for _ in range(60):
        function = rng.choice((4, 4, 4, 3, 6, 1))
        address = max(0, rng.choice(spots) + rng.choice((0, 0, -1, 1, 40)))
        # pymodbus drops a read of 0 coils, we refuse it
        count = rng.choice((0, 1, 2, 2, 12, 78, 80, 81, 126) if function > 1 else (1, 2))
        requests.append(with_crc(struct.pack(">BBHH", 1, function, address, count)))
    identified = with_crc(struct.pack(">BBHH", 1, 3, 0x2A, 2))
    replies = {}
    clock = StillClock()
    with SerialLine(paced=False) as line:
        meter = ModbusMeter(
            still_plant(), port=line.b_path, clock=clock, model=model, start_wh=9_876_543
        )
        with meter:
            fd = os.open(line.a_path, os.O_RDWR | os.O_NOCTTY)
            for request in requests:
                replies[request] = exchange(fd, request)
            os.close(fd)
    with RtuLine(RtuResponder({1: player(model)}), UNPACED) as line:
        fd = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
        for request in requests:
            # this player has a serial number under function 3, so there it names the address
            allowed = {replies[request]}
            if request[1] == 3:
                allowed |= {with_crc(b"\x01\x83\x02"), with_crc(b"\x01\x83\x03")}
            assert exchange(fd, request) in allowed, request.hex()
        assert exchange(fd, identified) == with_crc(
            b"\x01\x03\x04" + (12345678).to_bytes(4, "big")
        )
        os.close(fd)


def test_our_master_reads_the_pymodbus_meter():
    model = catalogue.load("orno_we516")
    with SerialLine(paced=False) as line:
        meter = ModbusMeter(
            still_plant(), port=line.b_path, clock=StillClock(), model=model.model, start_wh=5_000
        )
        with meter, SerialMaster(line.a_path, Line(), Patience(30_000, 1)) as master:
            for entry in model.registers:
                found = master.read(1, entry.function, entry.address, entry.words)
                assert found.payload.hex() == meter.served()[-1].payload_hex
            assert master.read(1, 3, 0, 2).exception == 2


async def test_a_hundred_polls_in_a_row_by_pymodbus_are_all_answered():
    with RtuLine(RtuResponder({1: player("abb_b23")}), UNPACED) as line:
        found = AsyncModbusSerialClient(line.path, baudrate=9600, timeout=30, retries=0)
        assert await found.connect()
        for _ in range(100):
            reply = await found.read_holding_registers(0x5000, count=4, device_id=1)
            assert reply.registers == [0, 0, 15, 4614]  # 9876.543 kWh: 987654 counts of 0.01
            await asyncio.sleep(0)
        found.close()
