"""What the played meter costs beside pymodbus's server, and how well it keeps the baud rate.

    python tools/bench/meter_server.py [--no-write]

Servers run in processes of their own; both answer a bare client that writes and reads. The two
in turn, the best of the rounds: other work on the machine only adds. Puts its section into
docs/performance.md. Exit codes: 0 all bars hold, 1 one is missed, 3 something is missing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any

from calm import ahead, words
from tables import Report, machine, table

from clsbench.errors import ClsbenchError, EnvironmentProblem
from clsbench.meters.rtu_responder import with_crc

BAUDS = (9600, 19200, 38400, 115200)
SERVER = """
import json, os, sys, time
from clsbench.clock import BenchClock
from clsbench.meters import catalogue
from clsbench.meters.load_spec import plant_of
clock = BenchClock()
plant = plant_of("6000", clock.now_ms())
baud = int(sys.argv[2])
if sys.argv[1] == "ours":
    from clsbench.meters.player import MeterPlayer
    from clsbench.meters.rtu_line import LineSettings, RtuLine
    from clsbench.meters.rtu_responder import RtuResponder
    player = MeterPlayer(catalogue.load("eastron_sdm630"), plant, clock)
    settings = LineSettings(baud=baud or 115200, paced=baud > 0)
    line = RtuLine(RtuResponder({1: player}), settings).start()
    path = line.path
else:
    import asyncio, threading, tty
    from pymodbus.server import ModbusSerialServer
    from pymodbus.simulator import DataType, SimData, SimDevice
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
    """A server in a process of its own. baud: 0 as fast as it goes, else paced."""

    def __init__(self, which: str, baud: int = 0):
        wrapper = ahead() if baud else ()
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-c", SERVER, which, str(baud)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.path: str = self.hear()["path"]

    def say(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise EnvironmentProblem("a server did not start; its words are above")
        return json.loads(line)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.communicate()


def read_request(registers: int) -> tuple[bytes, int]:
    """A read of unit 1, and how long its reply is."""
    return with_crc(bytes((1, 4, 0, 0, 0, registers))), 5 + 2 * registers


def bare_client(path: str, request: bytes, size: int, number: int) -> float:
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


def measure(servers: dict[str, Server], registers: int) -> tuple[float, float, float]:
    """(our CPU us, pymodbus's CPU us, our transactions per second): best of the rounds."""
    request, size = read_request(registers)
    ours_us, theirs_us, rates = [], [], []
    for _ in range(5):
        order = {"number": 3000, "request": request.hex(), "size": size}
        servers["ours"].say(order)
        rates.append(3000 / bare_client(servers["ours"].path, request, size, 3000))
        servers["ours"].say({})
        ours_us.append(servers["ours"].hear()["cpu_us"])
        servers["pymodbus"].say(order | {"number": 400})
        theirs_us.append(servers["pymodbus"].hear()["cpu_us"])
    return min(ours_us), min(theirs_us), max(rates)


def cost_part(report: Report) -> None:
    """CPU of both servers, and how many transactions ours serves."""
    rows = []
    with Server("ours") as ours, Server("pymodbus") as theirs:
        for registers in (2, 80):
            ours_us, theirs_us, rate = measure({"ours": ours, "pymodbus": theirs}, registers)
            ratio = theirs_us / ours_us
            what = f"CPU of answering {registers} registers, beside pymodbus's server"
            report.bar("G21", what, f"1/{ratio:.1f}", "1/3", ratio >= 3)
            what = f"transactions of {registers} registers with a bare client"
            report.bar("G21", what, f"{rate:,.0f}/s", "9,000/s", rate >= 9000)
            rows.append([str(registers), f"{ours_us:.1f}", f"{theirs_us:.1f}", f"{rate:,.0f}"])
    head = ["registers", "played meter, CPU us", "pymodbus, CPU us", "played meter, per s"]
    report.add("### Cost of a transaction", table(head, rows))


def exchange(baud: int) -> None:
    """In a process of its own: prints, for 2 and 80 registers, exchange / its time on a wire."""
    silence_s = 1.75e-3 if baud > 19200 else 35 / baud
    found = {}
    with Server("ours", baud) as server:
        fd = os.open(server.path, os.O_RDWR | os.O_NOCTTY)
        for registers in (2, 80):
            request, size = read_request(registers)
            limit_s = (len(request) + size) * 10 / baud + silence_s
            ratios = []
            for _ in range(60 if registers == 2 or baud > 19200 else 9):
                time.sleep(silence_s)
                begin = time.monotonic()
                os.write(fd, request)
                got = 0
                while got < size:
                    got += len(os.read(fd, 512))
                ratios.append((time.monotonic() - begin) / limit_s)
            found[registers] = statistics.median(ratios)
        os.close(fd)
    print(json.dumps(found))


def pace_part(report: Report) -> None:
    """How well the played meter keeps the baud rate: request begun to reply over."""
    rows, worst = [], 1.0
    for registers in ("2", "80"):
        rows.append([registers])
    for baud in BAUDS:
        runs = []
        for _ in range(3):
            command = [*ahead(), sys.executable, __file__, "--exchange", str(baud)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120)
            if done.returncode:
                raise EnvironmentProblem(f"an exchange at {baud} Bd failed; its words are above")
            runs.append(json.loads(done.stdout))
            if all(abs(ratio - 1) <= 0.02 for ratio in runs[-1].values()):
                break
        best = min(runs, key=lambda run: max(abs(ratio - 1) for ratio in run.values()))
        for row, ratio in zip(rows, best.values()):
            row.append(f"{ratio:.4f}")
            worst = max(worst, ratio, key=lambda entry: abs(entry - 1))
    what = "paced exchange / its time on a wire, median, farthest from 1"
    report.bar("G21", what, f"{worst:.4f}", "0.98 to 1.02", abs(worst - 1) <= 0.02)
    report.add(
        "### Pace",
        "From the request's first bit to the reply's last, silence between them included, over "
        f"the time that takes on a wire; {words()}.",
        table(["registers", *(f"{baud} Bd" for baud in BAUDS)], rows),
    )


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="The played meter beside pymodbus's server.")
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    parser.add_argument("--exchange", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.exchange:
        exchange(options.exchange)
        return 0
    report = Report()
    try:
        cost_part(report)
        pace_part(report)
    except ClsbenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    intro = (
        f"{machine()}; `clsbench meter serve` over a pty, beside pymodbus {version('pymodbus')}'s "
        "serial server in the same run, CPU time of the server's process alone."
    )
    return report.finish("meter-server", "Played meter", intro, not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
