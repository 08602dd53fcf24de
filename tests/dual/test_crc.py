"""Runs on CPython (pytest) and on MicroPython (tools/run_dual.py): plain functions, asserts."""

import sys

from dicamm.proto import crc
from dicamm.proto.crc import crc16_kermit, crc16_modbus, crc16_x25

CHECK = b"123456789"  # CRC RevEng catalogue: the check value is the CRC of these bytes
ALL = ((crc16_modbus, 0x4B37), (crc16_x25, 0x906E), (crc16_kermit, 0x2189))
EVERY_BYTE = bytes(range(256))


def bitwise(polynomial, register, data):
    """The definition, bit by bit."""
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register


def test_check_values():
    for function, value in ALL:
        assert function(CHECK, 0, 9) == value


def test_modbus_request_from_the_wire():
    request = bytes.fromhex("010400480002f1dd")  # SDM630, two registers from 0x0048
    assert crc16_modbus(request, 0, 6) == 0xDDF1
    assert crc16_modbus(request, 0, 8) == 0


def test_x25_over_message_and_its_crc_is_the_residue():
    # ISO/IEC 13239: 0xF0B8 in the register, that is 0x0F47 behind the xorout
    assert crc16_x25(CHECK + b"\x6e\x90", 0, 11) == 0xF0B8 ^ 0xFFFF


def test_kermit_over_message_and_its_crc_is_zero():
    assert crc16_kermit(CHECK + b"\x89\x21", 0, 11) == 0


def test_no_bytes():
    assert crc16_modbus(b"", 0, 0) == 0xFFFF
    assert crc16_x25(b"", 0, 0) == 0
    assert crc16_kermit(b"", 0, 0) == 0


def test_only_the_range_counts():
    padded = b"\xaa\xbb" + CHECK + b"\xcc"
    for function, value in ALL:
        assert function(padded, 2, 11) == value


def test_any_bytes_like_is_read():
    for function, value in ALL:
        assert function(bytearray(CHECK), 0, 9) == value
        assert function(memoryview(b"0" + CHECK)[1:], 0, 9) == value


def test_streamed_in_pieces_equals_the_whole():
    for function, value in ALL:
        for cut in range(10):
            assert function(CHECK, cut, 9, function(CHECK, 0, cut)) == value


def test_definition_bit_by_bit_gives_the_same():
    assert crc16_modbus(EVERY_BYTE, 0, 256) == bitwise(0xA001, 0xFFFF, EVERY_BYTE)
    assert crc16_x25(EVERY_BYTE, 0, 256) == bitwise(0x8408, 0xFFFF, EVERY_BYTE) ^ 0xFFFF
    assert crc16_kermit(EVERY_BYTE, 0, 256) == bitwise(0x8408, 0, EVERY_BYTE)


def test_bytecode_and_chosen_variant_agree_on_every_byte_and_register():
    for low in range(256):
        data = bytes([low, 0x5A, 255 - low])
        for register in (0, 1, 0x8000, 0xFFFF, low << 8 | low):
            slow = crc.run_bytecode(register, crc.MODBUS_TABLE, data, 0, 3)
            assert crc16_modbus(data, 0, 3, register) == slow
            slow = crc.run_bytecode(register, crc.CCITT_TABLE, data, 0, 3)
            assert crc16_kermit(data, 0, 3, register) == slow


def test_viper_and_bytecode_agree_where_viper_is():
    if crc.run_viper is None:
        # nowhere else than CPython and MicroPython for a processor without an emitter
        assert not getattr(sys.implementation, "_mpy", 0) >> 10
        return
    for table in (crc.MODBUS_TABLE, crc.CCITT_TABLE):
        for start in range(0, 256, 17):
            for end in range(start, 257, 23):
                for register in (0, 0xFFFF, 0xA5C3):
                    fast = crc.run_viper(register, table, EVERY_BYTE, start, end)
                    assert fast == crc.run_bytecode(register, table, EVERY_BYTE, start, end)


def test_range_outside_the_buffer_is_refused():
    for function, _ in ALL:
        for start, end in ((0, 10), (-1, 5), (5, 4), (10, 11)):
            try:
                function(CHECK, start, end)
                raise AssertionError("read outside")
            except ValueError as error:
                assert str(error) == "bytes %d to %d of 9" % (start, end)
