"""What the played meter costs beside pymodbus's server, and how many transactions it serves.

    python tools/bench/meter_server.py

Servers run in processes of their own; both answer a bare client that writes and reads. Counts of
one run, the two servers in turn, the best of the rounds: other work on the machine only adds.
"""

import json
import os
import subprocess
import sys
import time

from clsbench.meters.rtu_responder import with_crc

SERVER = """
import json, os, sys, time
from clsbench.clock import BenchClock
from clsbench.meters import catalogue
from clsbench.meters.load_spec import plant_of
clock = BenchClock()
plant = plant_of("6000", clock.now_ms())
if sys.argv[1] == "ours":
    from clsbench.meters.player import MeterPlayer
    from clsbench.meters.rtu_line import LineSettings, RtuLine
    from clsbench.meters.rtu_responder import RtuResponder
    player = MeterPlayer(catalogue.load("eastron_sdm630"), plant, clock)
    line = RtuLine(RtuResponder({1: player}), LineSettings(baud=115200, paced=False)).start()
    path = line.path
else:
    import asyncio, threading, tty
    from pymodbus.server import ModbusSerialServer
    from pymodbus.simulator import DataType, SimData, SimDevice
    fd, other = os.openpty()
    tty.setraw(other)
    tty.setraw(fd)
    path = os.ttyname(other)
    device = SimDevice(1, [SimData(0, count=400, values=7, datatype=DataType.REGISTERS)])
    inner, inner_slave = os.openpty()
    tty.setraw(inner_slave)
    async def run():
        server = ModbusSerialServer(device, port=os.ttyname(inner_slave), baudrate=115200)
        await server.serve_forever()
    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    time.sleep(1)
    path = f"fd:{inner}"
print(json.dumps({"path": path}), flush=True)
if path.startswith("fd:"):
    # the client of the pymodbus server runs here: its own share is measured and taken off
    import select
    def ask(request, size):
        os.write(inner, request)
        got = 0
        while got < size:
            got += len(os.read(inner, 512))
for text in sys.stdin:
    order = json.loads(text)
    cpu = time.process_time()
    if path.startswith("fd:"):
        mine = time.thread_time()
        for _ in range(order["number"]):
            ask(bytes.fromhex(order["request"]), order["size"])
        cpu += time.thread_time() - mine
    else:
        sys.stdin.readline()
    print(json.dumps({"cpu_us": (time.process_time() - cpu) * 1e6 / order["number"]}), flush=True)
"""


class Server:
    def __init__(self, which):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, which],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.path = self.hear()["path"]

    def say(self, order):
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def hear(self):
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.communicate()


def bare_client(path, request, size, number):
    """Seconds for so many transactions."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    begin = time.perf_counter()
    for _ in range(number):
        os.write(fd, request)
        got = 0
        while got < size:
            got += len(os.read(fd, 512))
    took_s = time.perf_counter() - begin
    os.close(fd)
    return took_s


def measure(servers, registers):
    """(our CPU us, pymodbus's CPU us, our transactions per second): best of three rounds."""
    request = with_crc(bytes((1, 4, 0, 0, 0, registers)))
    size = 5 + 2 * registers
    ours_us, theirs_us, rates = [], [], []
    for _ in range(3):
        order = {"number": 3000, "request": request.hex(), "size": size}
        servers["ours"].say(order)
        rates.append(3000 / bare_client(servers["ours"].path, request, size, 3000))
        servers["ours"].say({})
        ours_us.append(servers["ours"].hear()["cpu_us"])
        servers["pymodbus"].say(order | {"number": 400})
        theirs_us.append(servers["pymodbus"].hear()["cpu_us"])
    return min(ours_us), min(theirs_us), max(rates)


def main():
    """Prints one line per length of reply."""
    servers = {which: Server(which) for which in ("ours", "pymodbus")}
    try:
        for registers in (2, 80):
            ours_us, theirs_us, rate = measure(servers, registers)
            print(
                f"{registers:3} registers: {ours_us:6.1f} us of CPU, pymodbus {theirs_us:6.1f} us "
                f"({ours_us / theirs_us:.2f}), {rate:8.0f} transactions/s"
            )
    finally:
        for server in servers.values():
            server.close()


if __name__ == "__main__":
    main()
