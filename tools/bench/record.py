"""The software's share between an event and its durable record, and what of it is what.

    python tools/bench/record.py [--no-write] [--rounds N]

Runs the firmware as a board gets it, in MicroPython's unix port, on a flash of memory: wire, meter
and chip are left out. Of many short rounds the best counts: other work on the machine only adds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tables import Report, machine, table

from clsbench.device.build import PACKAGE_HOME, build_firmware
from clsbench.errors import EnvironmentProblem
from clsbench.hil.interpreter import find_micropython

WORKER = Path(__file__).with_name("record_worker.py")
STEPS = (
    ("read", "request made, reply checked and decoded, reading with time and bound"),
    ("build", "payload in CBOR, 13 fields"),
    ("seal", "COSE_Mac0"),
    ("program", "packed, slot with CRC, page handed to the flash, compared as read back"),
    ("link", "SHA-256 of the record, for the next one"),
)
LIMIT_US = 35.0
HMAC_LIMIT = 1.15
BLOCK = 20

INTRO = (
    "Between an event and its durable record stand the wire, the meter, one page program, and "
    "software. This is the software: a TAF16\nrecord with a text of 30 bytes, from the request "
    "for two registers to the page on flash, in the bytecode that a board gets. The rest of\nthe "
    "path takes 27.5 ms for the reading at 9600 baud and 0.7 ms for the page."
)


def measure(rounds: int) -> dict[str, list[int]]:
    """The worker's figures. Raises EnvironmentProblem when it does not run."""
    with tempfile.TemporaryDirectory(prefix="clsbench-bench-") as work:
        folder = Path(work)
        for name, code in build_firmware("unix", folder / "cache"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(code)
        done = subprocess.run(
            [find_micropython(), "-X", "heapsize=2m", WORKER, str(rounds), str(BLOCK)],
            env={**os.environ, "MICROPYPATH": f"{folder / PACKAGE_HOME}:.frozen"},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise EnvironmentProblem(f"{WORKER.name} does not run:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Software's share of a record, with its split.")
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    parser.add_argument("--rounds", type=int, default=400)
    options = parser.parse_args(argv)
    try:
        found = measure(options.rounds)
    except EnvironmentProblem as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    best = {name: min(values) / 1000 for name, values in found.items() if isinstance(values, list)}
    best["program"] -= best["port"]
    total = sum(best[name] for name, _ in STEPS)
    report = Report()
    report.bar(
        "G15",
        "event to durable record, software",
        f"{total:.0f} us",
        f"{LIMIT_US:.0f} us",
        total <= LIMIT_US,
    )
    ratio = best["mac"] / best["passes"]
    report.bar(
        "G17",
        "HMAC of a record to its two SHA-256 passes",
        f"{ratio:.2f}",
        f"{HMAC_LIMIT}",
        ratio <= HMAC_LIMIT,
    )
    rows = [
        [name, what, f"{best[name]:.1f}", f"{100 * best[name] / total:.0f} %"]
        for name, what in STEPS
    ]
    rows.append(
        ["**all**", f"sealed record of {found['size']} bytes", f"**{total:.1f}**", "100 %"]
    )
    rows.append(
        ["flash port", "not counted: memory in place of a chip", f"{best['port']:.1f}", ""]
    )
    report.add(
        f"Best of {options.rounds} rounds of {BLOCK} records; {machine()}.",
        table(["step", "what", "us", "share"], rows),
    )
    return report.finish(
        "record", "From an event to a durable record", INTRO, write=not options.no_write
    )


if __name__ == "__main__":
    sys.exit(main())
