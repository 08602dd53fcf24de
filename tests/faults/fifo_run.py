"""Bus and journal of the device against a UART with a small FIFO, in MicroPython; prints JSON.

    fifo_run.py SECONDS PERMIT      PERMIT 0: erases as soon as they are due, as a proof of the rig

While flash is programmed or erased no interrupt is served, as on RP2040 (MicroPython issue 17236):
what arrives then stays in the 32 bytes of the FIFO, and what finds it full is lost. At other
times the interrupt handler takes each byte at once. sys.path has firmware/ and tests/faults/.
"""

import asyncio
import json
import sys
import time

from nor_model import NorModel

from dicamm.app.bus import Bus
from dicamm.app.bus_request import BusRequest
from dicamm.app.journal_task import JournalKeeper
from dicamm.drivers.clock import Clock
from dicamm.drivers.rs485 import Rs485
from dicamm.proto.crc import crc16_modbus
from dicamm.store.journal import Journal, JournalFull

BAUD = 115200
FIFO = 32
CHAR_US = 87  # 10 bits
LATENCY_US = 1500  # of the meter
REGISTERS = 80
ERASE_US = 45000  # typical of the data sheets; the worst is ten times that
PROGRAM_US = 700


class Uart:
    """Answers each request with REGISTERS registers, byte by byte in real time."""

    def __init__(self):
        self.lost = 0
        self.replies = 0
        self._reply = b""
        self._begin = 0
        self._lost = set()
        self._taken = 0

    def write(self, request):
        reply = bytearray((request[0], request[1], 2 * REGISTERS)) + bytes(2 * REGISTERS)
        crc = crc16_modbus(reply, 0, len(reply))
        self._reply = bytes(reply) + bytes((crc & 0xFF, crc >> 8))
        self._lost = set()
        self._taken = 0
        self._begin = time.ticks_add(time.ticks_us(), 8 * CHAR_US + LATENCY_US)
        self.replies += 1

    def txdone(self):
        return True

    def any(self):
        return len(self._waiting())

    def readinto(self, buffer, count):
        found = self._waiting()[:count]
        for position in range(len(found)):
            buffer[position] = self._reply[found[position]]
        if found:
            self._taken = found[-1] + 1
        return len(found)

    def _waiting(self):
        arrived = self._arrived(time.ticks_us())
        return [n for n in range(self._taken, arrived) if n not in self._lost]

    def _arrived(self, when):
        passed = time.ticks_diff(when, self._begin)
        return min(max(passed // CHAR_US, 0), len(self._reply))

    def deaf(self, begin, duration_us):
        """No interrupt is served from `begin` on for so long."""
        first = self._arrived(begin)
        last = self._arrived(time.ticks_add(begin, duration_us))
        gone = range(first + FIFO, last)
        self._lost.update(gone)
        self.lost += len(gone)


class SlowFlash(NorModel):
    """Takes as long as flash does, and stops the interrupts meanwhile."""

    def __init__(self, sectors, uart):
        super().__init__(sectors)
        self._uart = uart

    def program(self, sector, offset, page):
        self._busy(PROGRAM_US)
        super().program(sector, offset, page)

    def erase(self, sector):
        self._busy(ERASE_US)
        super().erase(sector)

    def _busy(self, duration_us):
        begin = time.ticks_us()
        time.sleep_us(duration_us)
        self._uart.deaf(begin, duration_us)  # what the machine adds beyond is no chip's doing


async def run(seconds, permit):
    """Polls without a pause and records all the while; returns the figures."""
    uart = Uart()
    clock = Clock()
    flash = SlowFlash(4, uart)
    journal = Journal(flash, erase_inline=False)
    bus = Bus(Rs485(uart, BAUD), clock, 300, 1)
    keeper = JournalKeeper(journal, bus, clock)
    tasks = [bus.run(), keeper.run(nothing) if permit else greedy(journal), poll(bus)]
    tasks = [asyncio.create_task(task) for task in tasks]
    end_us = clock.real_us() + seconds * 1000000
    full = 0
    while clock.real_us() < end_us:
        await asyncio.sleep_ms(3)
        try:
            journal.append(journal.newest + 1, 16, bytes(200))
            journal.acknowledge(journal.newest)
        except JournalFull:
            full += 1  # until the next sector is erased
    for task in tasks:
        task.cancel()
    return {
        "replies": uart.replies,
        "records": journal.newest,
        "programs": flash.programs,
        "erases": sum(flash.erases),
        "lost_bytes": uart.lost,
        "waited": full,
        "discarded": sum(bus.discarded.values()),
    }


async def poll(bus):
    """A bus that is never at rest."""
    request = BusRequest()
    request.unit, request.function, request.count = 1, 4, REGISTERS
    while True:
        await bus.read(request, True)


async def greedy(journal):
    """Erases without asking the owner of the bus."""
    while True:
        journal.erase_ahead()
        await asyncio.sleep_ms(3)


def nothing():
    """Who is told that the task lives."""


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))))
