"""Time from one request to the next on a line that keeps its baud rate. MicroPython, real time.

    micropython -m modbus_cycle peer|ours BAUD REGISTERS NUMBER

Prints the periods in microseconds as JSON. Ours runs as on a board: the bus task of the firmware
under asyncio. 8N1; the slave answers LATENCY_US after the request.
"""

import asyncio
import json
import sys
import time

from modbus_masters import frame, peer_master

from dicamm.app.bus import Bus, BusRequest
from dicamm.drivers.clock import Clock
from dicamm.drivers.rs485 import Rs485

LATENCY_US = 5000


class PacedUart:
    """A UART with a slave behind it: every byte takes its time."""

    written = []  # when a request began, in microseconds
    replies = {}

    def __init__(self, *arguments, **options):
        self.baud = options["baudrate"]
        self._reply = b""
        self._taken = 0
        self._begin = 0

    def write(self, data):
        now = time.ticks_us()
        self.written.append(now)
        self._reply = self.replies[data[4] << 8 | data[5]]
        self._taken = 0
        self._begin = time.ticks_add(now, self._wire_us(len(data)) + LATENCY_US)
        return len(data)

    def any(self):
        passed = time.ticks_diff(time.ticks_us(), self._begin)
        arrived = passed * self.baud // 10000000 if passed > 0 else 0
        return min(arrived, len(self._reply)) - self._taken

    def read(self, count=-1):
        count = self.any()
        part = self._reply[self._taken : self._taken + count]
        self._taken += count
        return part or None

    def readinto(self, buffer, count):
        part = self._reply[self._taken : self._taken + min(count, self.any())]
        buffer[: len(part)] = part
        self._taken += len(part)
        return len(part)

    def txdone(self):
        return time.ticks_diff(time.ticks_us(), self.written[-1]) >= self._wire_us(8)

    def flush(self):
        """Returns when all has left, as on ESP32 and RP2040."""
        left = self._wire_us(8) - time.ticks_diff(time.ticks_us(), self.written[-1])
        time.sleep_us(max(left, 0))

    def _wire_us(self, count):
        return count * 10000000 // self.baud


async def ours(baud, count, number):
    bus = Bus(Rs485(PacedUart(baudrate=baud), baud), Clock(), 300, 1)
    owner = asyncio.create_task(bus.run())
    request = BusRequest()
    request.unit, request.function, request.count = 1, 4, count
    for _ in range(number):
        assert await bus.read(request, True) == 0
        assert request.payload[: request.length] == PacedUart.replies[count][3:-2]
    owner.cancel()


def theirs(baud, count, number):
    master = peer_master(PacedUart, baud)
    for _ in range(number):
        assert len(master.read_input_registers(1, 0, count)) == count


who = sys.argv[1]
baud, count, number = [int(text) for text in sys.argv[2:]]
PacedUart.replies[count] = frame(count)
if who == "ours":
    asyncio.run(ours(baud, count, number))
else:
    theirs(baud, count, number)
times = PacedUart.written
print(json.dumps([time.ticks_diff(late, early) for early, late in zip(times, times[1:])]))
