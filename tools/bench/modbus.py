"""Our Modbus master beside the PyPI package micropython-modbus, in one MicroPython run.

    python tools/bench/modbus.py [--rounds N] [--instructions] [--no-write]

Fetches the peer with pip into build/peers, compiles both, and measures: CPU and heap per
transaction (interleaved, medians), CRC, memory, what becomes of broken replies, time on the bus.
Prints the tables and puts them into docs/performance.md. Exit codes: 0 done, 1 a goal is missed,
3 something to measure with is missing.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from clsbench.device.build import compile_file, compiler_version
from clsbench.errors import ClsbenchError, EnvironmentProblem
from clsbench.hil.interpreter import find_micropython, micropython_version
from clsbench.paths import firmware_dir

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "performance.md"
PEER, VERSION = "micropython-modbus", "2.3.7"
PEER_HOME = ROOT / "build" / "peers" / f"{PEER}-{VERSION}"
BUILD = ROOT / "build" / "bench" / "modbus"
BAUDS = (9600, 19200, 38400, 115200)
LATENCY_US = 5000
BOARD_HEAP = "384k"  # of 64-bit words, what a board has: garbage costs there what it costs


def fetch_peer() -> Path:
    """The folder with the peer's `umodbus`. Raises EnvironmentProblem where pip gets none.

    The package has no setup.py, so pip unpacks it and then refuses it; --no-clean keeps it.
    """
    if not (PEER_HOME / "umodbus").is_dir():
        PEER_HOME.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=PEER_HOME.parent) as folder:
            words = "no pip"
            for pip in ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["pip"]):
                command = [*pip, "download", "-q", "--no-deps", "--no-binary", ":all:"]
                command += ["--no-clean", "-d", folder, f"{PEER}=={VERSION}"]
                environment = {**os.environ, "TMPDIR": folder}
                try:
                    done = subprocess.run(
                        command, env=environment, capture_output=True, text=True, timeout=300
                    )
                except OSError:
                    continue
                words = done.stderr.strip()
                found = next(Path(folder).rglob("umodbus/serial.py"), None)
                if found is not None:
                    shutil.move(found.parents[1], PEER_HOME)
                    break
            else:
                raise EnvironmentProblem(
                    f"the peer {PEER} {VERSION} cannot be had: {words}\n"
                    f"  Put its source distribution, unpacked, at {PEER_HOME}"
                )
    return PEER_HOME


def compile_both(peer: Path) -> None:
    """Bytecode and machine code of both masters for this machine, as a board gets them."""
    shutil.rmtree(BUILD, ignore_errors=True)
    for home in (firmware_dir(), peer):
        for path in sorted(home.rglob("*.py")):
            name = path.relative_to(home).as_posix()
            if name.startswith(("dicamm/", "umodbus/")):
                target = (BUILD / name).with_suffix(".mpy")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(compile_file(path, name, "x64"))
    for path in Path(__file__).parent.glob("modbus_*.py"):
        BUILD.joinpath(path.stem + ".mpy").write_bytes(compile_file(path, path.name, "x64"))


def inside(*arguments: str, heap: str = BOARD_HEAP, wrapper: tuple[str, ...] = ()) -> Any:
    """What one of the modbus_*.py prints in MicroPython; None when the heap does not suffice."""
    command = [*wrapper, str(find_micropython()), "-X", f"heapsize={heap}", "-m"]
    environment = {**os.environ, "MICROPYPATH": f"{BUILD}:.frozen"}
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    words = (done.stdout + done.stderr).strip()
    if "MemoryError" in words:
        return None
    if wrapper:
        return done.stderr
    if done.returncode:
        raise EnvironmentProblem(f"{' '.join(arguments)}: {words}")
    return json.loads(done.stdout.splitlines()[-1])


def least_heap(who: str) -> int:
    """The smallest heap in KiB in which 80 registers can be read 50 times."""
    low, high = 4, 256
    while high - low > 1:
        middle = (low + high) // 2
        if inside("modbus_heap", who, heap=f"{middle}k") is None:
            low = middle
        else:
            high = middle
    return high


def instructions(who: str, count: int) -> int:
    """Machine instructions of one transaction, harness included, by callgrind."""
    totals = []
    for number in ("500", "1500"):
        wrapper = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
        words = inside("modbus_cpu", who, str(count), number, heap="64m", wrapper=wrapper)
        totals.append(int(re.findall(r"Collected : (\d+)", words)[0]))
    return (totals[1] - totals[0]) // 1000


def limit_us(baud: int, count: int) -> float:
    """Bytes of 10 bits, one silence of 3.5 characters (of 11 bits to 19200 Bd), the slave."""
    silence = 1750 if baud > 19200 else 38.5e6 / baud
    return (13 + 2 * count) * 10e6 / baud + silence + LATENCY_US


def cycle_ratio(who: str, baud: int, count: int) -> tuple[float, float]:
    """Median and least of period / limit."""
    number = 8 if count == 80 and baud < 38400 else 25
    periods = inside("modbus_cycle", who, str(baud), str(count), str(number))[2:]
    limit = limit_us(baud, count)
    return statistics.median(periods) / limit, min(periods) / limit


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


class Report:
    """The section of the document, and which goals were missed."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.missed: list[str] = []

    def goal(self, name: str, met: bool, text: str) -> str:
        if not met:
            self.missed.append(f"{name}: {text}")
        return f"{name} {'met' if met else '**missed**'}: {text}"


def faster(rows_ns: dict[str, list[int]], who: str, count: int) -> float:
    """How much less time than the peer: the median over the rounds of one run."""
    pairs = zip(rows_ns[f"peer {count}"], rows_ns[f"{who} {count}"])
    return statistics.median(peer / other for peer, other in pairs)


def transaction_part(report: Report, rounds: int, count_instructions: bool) -> None:
    measured = inside("modbus_cpu", str(rounds))
    rows_ns = {key: row["ns"] for key, row in measured["transactions"].items()}
    data = {key: statistics.median(row) for key, row in rows_ns.items()}
    heaps = {key: row["heap"] for key, row in measured["transactions"].items()}
    counts = {}
    if count_instructions:
        counts = {(who, n): instructions(who, n) for n in (2, 80) for who in ("peer", "ours")}
    rows = []
    for who, title in (("peer", f"{PEER} {VERSION}"), ("ours", "dicamm"), ("bare", "harness")):
        row = [title]
        row += [f"{data[f'{who} {n}'] / 1000:.2f}" for n in (2, 80)]
        row += [f"1/{faster(rows_ns, who, n):.1f}" for n in (2, 80)]
        row += [str(heaps[f"{who} {n}"]) for n in (2, 80)]
        if counts:
            row += [f"{counts[who, n]:,}" if (who, n) in counts else "" for n in (2, 80)]
        rows.append(row)
    head = ["master", "2 reg, us", "80 reg, us", "ratio 2", "ratio 80", "heap B 2", "heap B 80"]
    head += ["instructions 2", "instructions 80"] if counts else []
    ratios = [faster(rows_ns, "ours", n) for n in (2, 80)]
    crc = {name: statistics.median(times) / 10 for name, times in measured["crc"].items()}
    goals = [
        report.goal(
            "G1",
            ratios[0] >= 6 and ratios[1] >= 10,
            f"1/{ratios[0]:.1f} of the peer's CPU for 2 registers (goal 1/6), "
            f"1/{ratios[1]:.1f} for 80 (goal 1/10), harness included",
        ),
        report.goal(
            "G2",
            heaps["ours 2"] == heaps["ours 80"] == 0,
            f"{heaps['ours 2']} and {heaps['ours 80']} bytes of heap per transaction",
        ),
        report.goal(
            "G6",
            crc["viper"] <= 6,
            f"CRC {crc['viper']:.1f} ns per byte in viper, {crc['bytecode']:.0f} in bytecode, "
            f"{crc['peer']:.0f} in the peer (240 bytes)",
        ),
    ]
    report.parts += ["### CPU and heap of a transaction", table(head, rows), bullets(goals)]


def memory_part(report: Report) -> None:
    rows = []
    least = {}
    for who, title in (("peer", f"{PEER} {VERSION}"), ("ours", "dicamm"), ("bare", "harness")):
        least[who] = least_heap(who)
        used = inside("modbus_heap", who)
        rows.append([title, str(used) if who != "bare" else "", str(least[who])])
    head = ["master", "import and construct, B", "least heap for 80 registers, KiB"]
    goal = report.goal(
        "G3",
        least["ours"] <= 40,
        f"the slice imports and reads 80 registers in {least['ours']} KiB of 64-bit heap "
        "(objects of a 32-bit board are half as large)",
    )
    report.parts += ["### Memory (64 bit, .mpy)", table(head, rows), bullets([goal])]


def fault_part(report: Report) -> None:
    rows = inside("modbus_faults")
    *broken, exception, good = rows
    tolerated = broken[12:]
    refused = broken[:12]
    met = all(ours != "value" and "wrong value" not in ours for _, ours, _ in refused)
    met = met and all(ours == "value" for _, ours, _ in tolerated)
    met = met and exception[1] == "exception" and good[1] == "value"
    accepted = [name for name, _, peer in refused if peer.startswith(("accepted", "value"))]
    lost = [name for name, _, peer in tolerated if peer != "value"]
    goal = report.goal(
        "G4",
        met,
        f"no broken reply is taken for another, the tolerated ones give the value "
        f"(peer: {len(accepted)} accepted, {len(lost)} lost)",
    )
    head = ["reply (2 registers asked of unit 1, function 4)", "dicamm", f"{PEER}"]
    report.parts += [
        "### Broken replies",
        table(head, [list(row) for row in rows]),
        bullets([goal]),
    ]


def cycle_part(report: Report) -> None:
    rows = []
    worst = 0.0
    least = 9.0
    for who, title in (("peer", f"{PEER} {VERSION}"), ("ours", "dicamm, as asyncio task")):
        row = [title]
        for baud in BAUDS:
            for count in (2, 80):
                median, lowest = cycle_ratio(who, baud, count)
                row.append(f"{median:.3f}")
                if who == "ours":
                    worst, least = max(worst, median), min(least, lowest)
        rows.append(row)
    head = ["master", *(f"{baud}: {count}" for baud in BAUDS for count in (2, 80))]
    goal = report.goal(
        "G5",
        worst <= 1.02 and least >= 1.0,
        f"period of reads one after the other / (bytes + one silence + 5 ms of the slave): "
        f"medians at most {worst:.3f}, no single one below {least:.3f}",
    )
    report.parts += ["### Time on the bus", table(head, rows), bullets([goal])]


def bullets(lines: list[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def machine_note() -> str:
    """What the absolute figures were measured on."""
    cores = os.cpu_count()
    return (
        f"Measured on {platform.system()} {platform.machine()}, {cores} cores shared with other "
        f"work; MicroPython {micropython_version().split('MicroPython ')[-1]}, 64 bit; "
        f"{compiler_version()}. Absolute times drift with the machine; the ratios are medians of "
        "rounds interleaved in one run. Both masters run from .mpy files."
    )


def put_section(text: str) -> None:
    """Replaces the section `## Modbus` of the document, or adds it."""
    old = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else "# Performance\n"
    parts = re.split(r"(?m)^(?=## )", old)
    others = [part for part in parts if not part.startswith("## Modbus\n")]
    index = next(
        (n for n, part in enumerate(parts) if part.startswith("## Modbus\n")), len(others)
    )
    others.insert(index, text + "\n")
    joined = "\n\n".join(part.strip("\n") for part in others) + "\n"
    DOCUMENT.write_text(joined, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Modbus beside the PyPI package.")
    parser.add_argument("--rounds", type=int, default=51)
    parser.add_argument("--instructions", action="store_true", help="count them with valgrind")
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args(argv)
    report = Report()
    try:
        compile_both(fetch_peer())
        transaction_part(report, options.rounds, options.instructions)
        memory_part(report)
        fault_part(report)
        cycle_part(report)
    except ClsbenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    text = "\n\n".join(["## Modbus", machine_note(), *report.parts])
    print(text)
    if not options.no_write:
        put_section(text)
    for line in report.missed:
        print(f"bench: missed {line}", file=sys.stderr)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
