"""The device's bus task alone, in MicroPython, on a paced line with scripted slaves.

The program's text runs in MicroPython with the firmware's own Bus and driver over the unix
board's UART; it prints one JSON object per fact. Each register of a slave holds unit * 4096 +
address, so that a reply taken for another shows in its values.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable

from punctual import punctually

from clsbench.hil.interpreter import find_micropython
from clsbench.meters.line import SerialLine, Tap
from clsbench.meters.rtu_responder import request_length, with_crc
from clsbench.paths import boards_dir, firmware_dir

PRELUDE = """
import asyncio, json, time
import machine
from dicamm.app.bus import Bus, BusRequest, BusUnit
from dicamm.drivers.clock import Clock
from dicamm.drivers.rs485 import Rs485

clock = Clock()
port = Rs485(machine.UART(0, {baud}), {baud})
bus = Bus(port, clock, {timeout_ms}, {tries})

def tell(**fact):
    print(json.dumps(fact))

async def ask(name, unit, address, count, urgent=False, function=4, values=(), timeout_ms=0):
    request = BusRequest()
    request.unit, request.function = unit, function
    request.address, request.count, request.values = address, count, values
    request.timeout_ms = timeout_ms
    error = await bus.read(request, urgent)
    data = request.payload[:request.length]
    words = [data[at] << 8 | data[at + 1] for at in range(0, len(data), 2)]
    tell(name=name, error=error, values=words)
    return error

def start(*coroutines):
    return [asyncio.create_task(coroutine) for coroutine in coroutines]

async def all_of(*coroutines):
    for task in start(*coroutines):
        await task
"""

EPILOGUE = """
async def main():
    owner = asyncio.create_task(bus.run())
    await run()
    tell(name="end", discarded=bus.discarded)
    owner.cancel()

asyncio.run(main())
"""

Answer = tuple[float, bytes]  # seconds after the request, bytes
Script = Callable[[int, bytes], list[Answer] | None]


def registers(unit: int, address: int, count: int) -> list[int]:
    """What these registers hold."""
    return [(unit * 4096 + address + number) & 0xFFFF for number in range(count)]


def good_reply(request: bytes) -> bytes:
    """The regular reply to a read or write."""
    unit, function = request[0], request[1]
    if function in (6, 16):
        return with_crc(request[:6])
    address, count = int.from_bytes(request[2:4]), int.from_bytes(request[4:6])
    data = b"".join(word.to_bytes(2) for word in registers(unit, address, count))
    return with_crc(bytes([unit, function, len(data)]) + data)


class Slaves:
    """Answers on a line's far end. script(number, request): what is sent for the number-th
    request (from 0), or None for the regular reply at once; [] is silence."""

    def __init__(self, path: str, script: Script | None = None):
        self.requests: list[bytes] = []
        self._script = script or (lambda number, request: None)
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self._timers: list[threading.Timer] = []
        self._closing = False
        threading.Thread(target=self._run, daemon=True).start()

    def targets(self) -> list[tuple[int, int]]:
        """(unit, address) of the requests so far."""
        return [(request[0], int.from_bytes(request[2:4])) for request in self.requests]

    def close(self) -> None:
        self._closing = True
        for timer in self._timers:
            timer.cancel()

    def _run(self) -> None:
        data = b""
        while not self._closing:
            try:
                data += os.read(self._fd, 256)
            except OSError:
                return
            while (length := request_length(data)) and len(data) >= length:
                self._take(data[:length])
                data = data[length:]

    def _take(self, request: bytes) -> None:
        number = len(self.requests)
        self.requests.append(request)
        answers = self._script(number, request)
        for delay_s, reply in [(0.0, good_reply(request))] if answers is None else answers:
            if delay_s:
                timer = threading.Timer(delay_s, self._send, [reply])
                timer.daemon = True
                timer.start()
                self._timers.append(timer)
            else:
                self._send(reply)

    def _send(self, reply: bytes) -> None:
        if not self._closing:
            os.write(self._fd, reply)


class Bench:
    """One run. facts: what the program told, by name; slaves: what they were asked."""

    def __init__(self, facts: list[dict], slaves: Slaves, seconds: float):
        self.facts = {fact["name"]: fact for fact in facts}
        self.order = [fact["name"] for fact in facts]
        self.slaves = slaves
        self.seconds = seconds


def run(
    program: str,
    script: Script | None = None,
    *,
    baud: int = 9600,
    timeout_ms: int = 300,
    tries: int = 2,
    tap: Callable[[], Tap] | None = None,
) -> Bench:
    """Runs `program`, which defines `async def run()`, to its end, with slaves that are on time.

    tap: makes a tap of the line.
    """
    text = PRELUDE.format(baud=baud, timeout_ms=timeout_ms, tries=tries) + program + EPILOGUE
    return punctually(lambda: _run_once(text, script, baud, None if tap is None else tap()))


def _run_once(text: str, script: Script | None, baud: int, tap: Tap | None) -> Bench:
    paths = [str(boards_dir() / "unix" / "shim"), str(firmware_dir()), ".frozen"]
    with SerialLine(baud=baud, tap=tap) as line:
        slaves = Slaves(line.b_path, script)
        begin = time.monotonic()
        done = subprocess.run(
            [find_micropython(), "-X", "heapsize=384k", "-c", text],
            env={**os.environ, "MICROPYPATH": ":".join(paths), "HIL_UART0": line.a_path},
            capture_output=True,
            text=True,
            timeout=120,
        )
        seconds = time.monotonic() - begin
        slaves.close()
    assert done.returncode == 0, done.stdout + done.stderr
    return Bench([json.loads(row) for row in done.stdout.splitlines()], slaves, seconds)
