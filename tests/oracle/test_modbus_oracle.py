"""The Modbus client against pymodbus; float registers against struct and exact fractions."""

import random
import struct
from fractions import Fraction

import pytest
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from dicamm.metering.meter import f32_scaled
from dicamm.proto import modbus, modbus_pdu

SERVER = FramerRTU(DecodePDU(True))  # reads requests, writes replies
READS = {
    3: (ReadHoldingRegistersRequest, ReadHoldingRegistersResponse),
    4: (ReadInputRegistersRequest, ReadInputRegistersResponse),
}
TARGETS = [(1, 0, 1), (17, 0x48, 2), (247, 0x5B00, 80), (9, 0xFF83, 125), (4, 0x0448, 2)]


def understood(frame: memoryview, kind: type):
    """The request as pymodbus reads it."""
    used, pdu = SERVER.handleFrame(bytes(frame), 0, 0)
    assert used == len(frame)
    assert isinstance(pdu, kind)
    return pdu


@pytest.mark.parametrize("function", [3, 4])
@pytest.mark.parametrize(("unit", "address", "count"), TARGETS)
def test_read_goes_both_ways(function: int, unit: int, address: int, count: int):
    request_kind, reply_kind = READS[function]
    client = modbus.RtuClient()
    pdu = understood(client.read(unit, function, address, count), request_kind)
    assert (pdu.dev_id, pdu.address, pdu.count) == (unit, address, count)

    registers = [random.Random(count).randrange(0x10000) for _ in range(count)]
    reply = SERVER.buildFrame(reply_kind(dev_id=unit, registers=registers))
    assert client.expected_bytes == len(reply)
    assert client.feed(reply) == modbus_pdu.DONE
    assert list(struct.unpack(f">{count}H", client.payload)) == registers


@pytest.mark.parametrize("function", [3, 4])
@pytest.mark.parametrize("code", [1, 2, 3, 4, 6])
def test_exception_of_a_read(function: int, code: int):
    client = modbus.RtuClient()
    client.read(1, function, 0, 2)
    reply = SERVER.buildFrame(ExceptionResponse(function, code, device_id=1))
    assert client.feed(reply) == modbus_pdu.FAILED
    assert (client.error, client.exception_code) == (modbus_pdu.EXCEPTION, code)


def test_single_write_goes_both_ways():
    client = modbus.RtuClient()
    frame = client.write_single(17, 0x14, 0xABCD)
    pdu = understood(frame, WriteSingleRegisterRequest)
    assert (pdu.dev_id, pdu.address, pdu.registers) == (17, 0x14, [0xABCD])
    reply = WriteSingleRegisterResponse(dev_id=17, address=0x14, registers=[0xABCD])
    assert client.feed(SERVER.buildFrame(reply)) == modbus_pdu.DONE


@pytest.mark.parametrize("count", [1, 2, 50, 123])
def test_multiple_write_goes_both_ways(count: int):
    values = [random.Random(count).randrange(0x10000) for _ in range(count)]
    client = modbus.RtuClient()
    pdu = understood(client.write_multiple(17, 0x14, values), WriteMultipleRegistersRequest)
    assert (pdu.dev_id, pdu.address, pdu.registers) == (17, 0x14, values)
    reply = WriteMultipleRegistersResponse(dev_id=17, address=0x14, count=count)
    assert client.feed(SERVER.buildFrame(reply)) == modbus_pdu.DONE


def test_write_of_another_value_is_not_confirmed():
    client = modbus.RtuClient()
    client.write_single(17, 0x14, 1)
    reply = WriteSingleRegisterResponse(dev_id=17, address=0x14, registers=[2])
    assert client.feed(SERVER.buildFrame(reply)) == modbus_pdu.FAILED
    assert client.error == modbus_pdu.WRONG_CONTENT


def nearest(bits: int, exponent: int) -> int:
    """The oracle: the float that struct reads, exact as a fraction, to the nearest, ties away."""
    (number,) = struct.unpack(">f", struct.pack(">I", bits))
    exact = Fraction(number) * Fraction(10) ** exponent
    whole = int(abs(exact) + Fraction(1, 2))
    return -whole if exact < 0 else whole


def test_float_registers_equal_exact_fractions():
    chooser = random.Random(7)
    corners = [sign | value for sign in (0, 1 << 31) for value in (0, 1, 0x7FFFFF, 0x800000)]
    corners += [0x7F7FFFFF, 0xFF7FFFFF, 0x4B800000, 0x3F000000, 0x3EFFFFFF]
    drawn = [chooser.getrandbits(32) for _ in range(4000)]
    for bits in corners + drawn:
        for exponent in (-3, 0, 2, 5):
            if bits >> 23 & 0xFF == 0xFF:
                assert f32_scaled(bits, exponent) is None
            else:
                assert f32_scaled(bits, exponent) == nearest(bits, exponent), hex(bits)


def test_hundredths_of_a_kwh_come_back_from_their_float():
    chooser = random.Random(8)
    for hundredths in [
        *range(1000),
        *(chooser.randrange(1 << 17) * 100 + 99 for _ in range(2000)),
    ]:
        number = hundredths / 100
        if number < 1 << 17:
            (bits,) = struct.unpack(">I", struct.pack(">f", number))
            assert f32_scaled(bits, 2) == hundredths
