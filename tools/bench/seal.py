"""The seal of a record beside the two hashes it is made of, the signature beside double-and-add.

    python tools/bench/seal.py [--rounds N] [--no-write]

Everything runs in MicroPython, compiled as for a board. The heap that a signature takes is the
least heap it runs in, less the least in which it loads. Writes its section of docs/performance.md.
Exit codes: 0 all bars hold, 1 one is missed, 3 no interpreter or compiler.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from clsbench.device.build import compile_file
from clsbench.errors import ClsbenchError
from clsbench.hil.interpreter import find_micropython, micropython_version
from clsbench.paths import firmware_dir
from dicamm.proto import p256

sys.path.insert(0, str(Path(__file__).parent))
from tables import Report, machine, table

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench" / "seal"
WORKER = Path(__file__).with_name("seal_worker.py")
MODULES = ("dicamm/__init__", "dicamm/proto/__init__", "dicamm/proto/cbor", "dicamm/proto/cose")
MODULES += ("dicamm/proto/p256",)
HEAP = "384k"
STEP = 256  # bytes between two heaps tried
NAMES = {
    "passes": "two SHA-256 passes over 200 bytes",
    "hmac": "seal of 200 bytes, pads kept",
    "common": "the same, pads computed each time",
    "sign": "P-256 signature by the comb",
    "plain": "P-256 signature by double-and-add",
}


def build() -> None:
    """The modules as a board gets them."""
    for name in MODULES:
        target = BUILD / f"{name}.mpy"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(compile_file(firmware_dir() / f"{name}.py", f"{name}.py", "x64"))
    worker = WORKER.with_suffix(".py")
    (BUILD / "seal_worker.mpy").write_bytes(compile_file(worker, worker.name, "x64"))


def run(argument: str, heap: str) -> subprocess.CompletedProcess[str]:
    """One run of the worker; a code other than 0 is a heap too small."""
    script = f"import sys; sys.path[:] = ['{BUILD}']; sys.argv[:] = ['', '{argument}']"
    command = [str(find_micropython()), "-X", f"heapsize={heap}", "-c"]
    command.append(script + "; import seal_worker")
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def least_heap(argument: str) -> int:
    """The smallest heap in bytes, in steps of STEP, with which the worker gets to its end."""
    low, high = 0, 512
    while high - low > 1:
        middle = (low + high) // 2
        if run(argument, str(middle * STEP)).returncode == 0:
            high = middle
        else:
            low = middle
    return high * STEP


def constants() -> int:
    """Bytes of the comb and of the two numbers of the curve."""
    return len(p256._COMB) + 2 * 32


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Benchmark of seal and signature.")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args(argv)
    try:
        build()
        done = run(str(options.rounds), HEAP)
    except ClsbenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    found = {name: min(ns) for name, ns in json.loads(done.stdout).items()}
    heap = least_heap("sign") - least_heap("load")
    report = Report()
    seal = found["hmac"] / found["passes"]
    report.bar("G17", "seal over two hashes", f"{seal:.2f}", "1.15", seal <= 1.15)
    comb = found["plain"] / found["sign"]
    report.bar("G18", "double-and-add over comb", f"{comb:.2f}", "at least 3.5", comb >= 3.5)
    size = constants()
    report.bar("G18", "constants", f"{size} bytes", "4096", size <= 4096)
    report.bar("G18", "heap of a signature", f"{heap} bytes", "8192", heap <= 8192)
    rows = [[NAMES[name], f"{ns / 1000:.1f}"] for name, ns in found.items()]
    report.add(table(["step", "µs"], rows))
    intro = (
        f"{machine()}; {micropython_version()}. The least of {options.rounds} rounds in turn, "
        "since other work only adds. The signature is not constant-time, is made only where the "
        "setting asks for it, and after its record is on flash."
    )
    return report.finish("seal", "Seal and signature", intro, not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
