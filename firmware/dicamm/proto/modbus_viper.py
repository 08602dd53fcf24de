# ruff: noqa: F821
# pyright: reportUndefinedVariable=false
"""The loops of `modbus_bytecode` in machine code: MicroPython only, compiled by mpy-cross for the
board's processor, or at import where the image has a compiler that emits it.

Same names, same results. Buffers are trusted to be as long as their use says. Arguments used in
a loop come first: viper keeps the first three variables in registers.
"""

from array import array

import micropython

from dicamm.proto.crc import MODBUS_TABLE

_FURTHER = array("H", MODBUS_TABLE)  # what a byte makes of the CRC when a zero byte follows it
for _byte in range(256):
    _FURTHER[_byte] = _FURTHER[_byte] >> 8 ^ MODBUS_TABLE[_FURTHER[_byte] & 0xFF]


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
    table = ptr16(MODBUS_TABLE)
    crc = 0xFFFF
    for index in range(6):
        crc = (crc >> 8) ^ table[(crc ^ frame[index]) & 0xFF]
    frame[6] = crc
    frame[7] = crc >> 8
    return 8


@micropython.viper
def take_reply(request: ptr8, data: ptr8, kept: ptr8, size: int, count: int) -> int:
    """See modbus_bytecode.take_reply. The CRC takes two bytes at a time: table[crc ^ low] and
    table[crc >> 8 ^ high] are looked up side by side, the former one byte further on."""
    length = 5 + 2 * count
    if size != length or request[2] == 2 * count:
        return 0
    if data[2] != 2 * count or data[1] != request[1] or data[0] != request[0]:
        return 0
    table = ptr16(MODBUS_TABLE)
    further = ptr16(_FURTHER)
    kept[0] = data[0]
    crc = 0xFF ^ table[0xFF ^ data[0]]
    index = 1
    while index < length:
        low = data[index]
        kept[index] = low
        low ^= crc
        high = data[index + 1]
        kept[index + 1] = high
        crc = further[low & 0xFF] ^ table[(crc >> 8) ^ high]
        index += 2
    return 0 if crc else 1


@micropython.viper
def put_words(target: ptr16, payload: ptr8, count: int):
    """See modbus_bytecode.put_words."""
    while count:
        count -= 1
        target[count] = payload[2 * count] << 8 | payload[2 * count + 1]


@micropython.viper
def copy_bytes(target: ptr8, at: int, source: ptr8, first: int, count: int):
    """See modbus_bytecode.copy_bytes."""
    end = at + count
    while at < end:
        target[at] = source[first]
        at += 1
        first += 1
