"""Time from one request to the next on a line that keeps its baud rate. MicroPython, real time.

    micropython -m modbus_cycle peer|ours BAUD REGISTERS NUMBER

Prints the periods in microseconds as JSON. Ours runs as on a board: the bus task of the firmware
under asyncio.
"""

import asyncio
import json
import sys
import time

from modbus_masters import frame, peer_master
from modbus_wire import PacedUart

from dicamm.app.bus import Bus, BusRequest
from dicamm.drivers.clock import Clock
from dicamm.drivers.rs485 import Rs485


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
