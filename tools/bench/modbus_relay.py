"""How long a command may wait for the relay's pin while the bus is read. MicroPython, real time.

    micropython -m modbus_relay BAUD REGISTERS MS

The firmware's bus task reads without pause, with a driver-enable pin. Beside it a task is always
ready to run, as one is that has a command in hand: its longest wait, and how long the interlock
takes from there to the pin. Prints {"waits_us": the ten longest, "pin_us": the longest, "reads"}.
"""

import asyncio
import json
import sys
import time

from modbus_masters import frame
from modbus_wire import PacedUart

from dicamm.app.bus import Bus, BusRequest
from dicamm.control.interlock import Interlock
from dicamm.drivers.clock import Clock
from dicamm.drivers.relay import Relay
from dicamm.drivers.rs485 import Rs485


class Pin:
    """Remembers its level and when it was last driven."""

    level = 0
    driven = 0

    def value(self, level=None):
        if level is None:
            return self.level
        self.level = level
        self.driven = time.ticks_us()
        return None


async def read_on(bus, count):
    """Reads for ever."""
    request = BusRequest()
    request.unit, request.function, request.count = 1, 4, count
    while True:
        assert await bus.read(request, True) == 0
        reads.append(0)


async def command(interlock, pin, run_ms):
    """(ten longest waits for the CPU, longest way to the pin), both in microrun_ms."""
    waits, pin_us = [0] * 10, 0
    end = time.ticks_add(time.ticks_ms(), run_ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        asked = time.ticks_us()
        await asyncio.sleep_ms(0)
        got = time.ticks_us()
        wait = time.ticks_diff(got, asked)
        if wait > waits[0]:
            waits[0] = wait
            waits.sort()
        interlock.open() if pin.level else interlock.close()
        pin_us = max(pin_us, time.ticks_diff(pin.driven, got))
    return waits, pin_us


async def main(baud, count, run_ms):
    pin = Pin()
    interlock = Interlock(Relay(pin))
    interlock.release("starting")
    bus = Bus(Rs485(PacedUart(baudrate=baud), baud, 10, Pin()), Clock(), 300, 1)
    owner = asyncio.create_task(bus.run())
    reader = asyncio.create_task(read_on(bus, count))
    waits, pin_us = await command(interlock, pin, run_ms)
    owner.cancel()
    reader.cancel()
    return {"waits_us": waits, "pin_us": pin_us, "reads": len(reads)}


baud, count, run_ms = [int(text) for text in sys.argv[1:]]
PacedUart.replies[count] = frame(count)
reads = []
print(json.dumps(asyncio.run(main(baud, count, run_ms))))
