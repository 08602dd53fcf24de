# pyright: reportUndefinedVariable=false
"""Both Modbus masters over a UART that is memory. MicroPython; helper of the modbus_*.py here.

`dicamm` and the peer's `umodbus`, compiled, are in the path. The peer imports `machine`, which has
to be put before it first: hence the late imports.
"""
# ruff: noqa: PLC0415, F821

import sys
import time
from array import array

import micropython


class MemoryUart:
    """A UART whose reply is there as soon as the request is written; costs next to nothing."""

    reply = b""

    def __init__(self, *arguments, **options):
        self._reply = None

    def write(self, data):
        self._reply = self.reply
        return len(data)

    def any(self):
        return 0 if self._reply is None else len(self._reply)

    def read(self, count=-1):
        reply = self._reply
        self._reply = None
        return reply

    def readinto(self, buffer):
        """The buffer holds the reply already: C code would have copied it."""
        return len(self._reply)

    def flush(self):
        pass


class Namespace:
    """Names with values, in place of a module."""

    def __init__(self, **names):
        for name in names:
            setattr(self, name, names[name])


def peer_master(uart, baud=9600):
    """The peer, in front of a UART class; its sleeps cost nothing with MemoryUart."""
    sys.modules["machine"] = Namespace(UART=uart, Pin=Namespace(OUT=1))
    from umodbus import serial

    serial.time = time
    if uart is MemoryUart:
        serial.time = Namespace(sleep_us=_zero, ticks_us=_zero, ticks_diff=_zero)
    return serial.Serial(1, baudrate=baud, pins=(0, 1))


def _zero(*arguments):
    return 0


def frame(count):
    """A reply of unit 1, function 4, with `count` registers."""
    head = bytearray([1, 4, 2 * count])
    for number in range(2 * count):
        head.append(number & 0xFF)
    crc = 0xFFFF
    for byte in head:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return bytes(head) + bytes([crc & 0xFF, crc >> 8])


class Peer:
    """A whole read of the peer, to the numbers."""

    def __init__(self, count):
        self._read = peer_master(MemoryUart).read_input_registers
        self._count = count
        self.reply = frame(count)

    def run(self):
        return self._read(1, 0, self._count)


class Ours:
    """What `app.bus` does with the core, without waiting; also to the numbers."""

    def __init__(self, count):
        from dicamm.proto.modbus import RtuClient

        self.reply = frame(count)
        uart = MemoryUart()
        self._write, self._readinto = uart.write, uart.readinto
        self._buffer = bytearray(self.reply)
        self._client = RtuClient()
        self._read, self._feed = self._client.read, self._client.feed
        self._words = array("H", bytes(250))
        self._count = count

    def run(self):
        buffer = self._buffer
        self._write(self._read(1, 4, 0, self._count))
        self._feed(buffer, self._readinto(buffer))
        put_words(self._words, self._client.payload, self._count)
        return self._words


@micropython.viper
def put_words(target: ptr16, payload: ptr8, count: int):
    """`count` big-endian registers of `payload` into target, an array of 16-bit words."""
    while count:
        count -= 1
        target[count] = payload[2 * count] << 8 | payload[2 * count + 1]


class Bare:
    """The harness's own share of Ours."""

    def __init__(self, count):
        self.reply = frame(count)
        self._words = array("H", bytes(250))
        uart = MemoryUart()
        self._write, self._readinto = uart.write, uart.readinto
        self._buffer = bytearray(self.reply)

    def run(self):
        self._write(self._buffer)
        self._readinto(self._buffer)


MASTERS = {"peer": Peer, "ours": Ours, "bare": Bare}
