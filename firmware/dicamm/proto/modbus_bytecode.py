"""The loops of a Modbus transaction in plain Python: for CPython, and for boards without viper.

They allocate nothing on MicroPython. `modbus_loops` chooses between these and `modbus_viper`.
"""

from dicamm.proto.crc import crc16_modbus


def crc16(frame, start, end):
    """CRC-16/MODBUS of frame[start:end]; over bytes that end with their own CRC it is 0."""
    return crc16_modbus(frame, start, end)


def put_read(frame, unit, function, address, count):
    """Lays out the request of a register read with its CRC. Returns its length, 8; 0 where
    Modbus cannot say it: unit 1..247, function 3 or 4, 1..125 registers, below 0x10000."""
    if not 1 <= unit <= 247 or not 3 <= function <= 4:
        return 0
    if not 1 <= count <= 125 or not 0 <= address <= 0x10000 - count:
        return 0
    frame[0] = unit
    frame[1] = function
    frame[2] = address >> 8
    frame[3] = address & 0xFF
    frame[4] = 0
    frame[5] = count
    crc = crc16_modbus(frame, 0, 6)
    frame[6] = crc & 0xFF
    frame[7] = crc >> 8
    return 8


def take_reply(request, data, kept, size, count):
    """Copies the reply to a read of `count` registers, if data[:size] is one, into `kept`.

    Returns 1; 0 (and `kept` is of no use) for anything but a whole reply with the request's unit
    and function, the right byte count and a fitting CRC, and where an echo of the request would
    begin alike.
    """
    length = 5 + 2 * count
    if size != length or request[2] == 2 * count:
        return 0
    if data[2] != 2 * count or data[1] != request[1] or data[0] != request[0]:
        return 0
    copy_bytes(kept, 0, data, 0, length)
    return 0 if crc16_modbus(kept, 0, length) else 1


def copy_bytes(target, at, source, first, count):
    """target[at : at + count] = source[first : first + count], lowest index first.

    The caller has checked that both ranges lie inside their buffers.
    """
    for index in range(count):
        target[at + index] = source[first + index]
