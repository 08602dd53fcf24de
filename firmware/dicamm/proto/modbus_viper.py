# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
"""The loops of `modbus_bytecode` in machine code: MicroPython only, compiled by mpy-cross for the
board's processor, or at import where the image has a compiler that emits it.

Same names, same results. Buffers are trusted to be as long as their use says. Arguments used in
a loop come first: viper keeps the first three variables in registers.
"""

from array import array

import micropython

# Our own, not that of crc.py: a device that reads Modbus alone does not load that one.
_TABLE = array("H", bytes(512))
for _index in range(256):
    _crc = _index
    for _ in range(8):
        _crc = _crc >> 1 ^ (0xA001 if _crc & 1 else 0)  # 0x8005 reflected
    _TABLE[_index] = _crc


@micropython.viper
def crc16(frame: ptr8, start: int, end: int) -> int:
    """See modbus_bytecode.crc16."""
    table = ptr16(_TABLE)
    crc = 0xFFFF
    while start < end:
        crc = (crc >> 8) ^ table[(crc ^ frame[start]) & 0xFF]
        start += 1
    return crc


@micropython.viper
def put_read(frame: ptr8, unit: int, function: int, address: int, count: int) -> int:
    """See modbus_bytecode.put_read; arguments beyond 31 bits are the caller's to refuse."""
    if unit < 1 or unit > 247 or (function != 3 and function != 4):
        return 0
    if count < 1 or count > 125 or address < 0 or address > 0x10000 - count:
        return 0
    frame[0] = unit
    frame[1] = function
    frame[2] = address >> 8
    frame[3] = address
    frame[4] = 0
    frame[5] = count
    table = ptr16(_TABLE)
    crc = 0xFFFF
    for index in range(6):
        crc = (crc >> 8) ^ table[(crc ^ frame[index]) & 0xFF]
    frame[6] = crc
    frame[7] = crc >> 8
    return 8


@micropython.viper
def take_reply(request: ptr8, data: ptr8, kept: ptr8, size: int, count: int) -> int:
    """See modbus_bytecode.take_reply."""
    length = 5 + 2 * count
    if size != length or request[2] == 2 * count:
        return 0
    if data[2] != 2 * count or data[1] != request[1] or data[0] != request[0]:
        return 0
    table = ptr16(_TABLE)
    crc = 0xFFFF
    index = 0
    while index < length:
        byte = data[index]
        kept[index] = byte
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
        index += 1
    return 0 if crc else 1


@micropython.viper
def copy_bytes(target: ptr8, at: int, source: ptr8, first: int, count: int):
    """See modbus_bytecode.copy_bytes."""
    end = at + count
    while at < end:
        target[at] = source[first]
        at += 1
        first += 1
