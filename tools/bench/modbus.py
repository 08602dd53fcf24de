"""Our Modbus master beside the PyPI package micropython-modbus, in one MicroPython run.

    python tools/bench/modbus.py [--rounds N] [--no-write]

Fetches the peer with pip into build/peers, compiles both, and measures: CPU and heap per
transaction (interleaved, medians), CRC, memory, what becomes of broken replies, time on the bus,
the way to the relay meanwhile. Instructions are counted where valgrind is installed, the memory
of 32-bit objects where build/micropython32/micropython is one (see docs/performance.md).
Prints the section, bars first, and puts it into docs/performance.md. Exit codes: 0 all bars hold,
1 one is missed, 3 something to measure with is missing.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from calm import ahead, words
from tables import Report, machine, table

from clsbench.device.build import compile_file, compiler_version
from clsbench.errors import ClsbenchError, EnvironmentProblem
from clsbench.hil.interpreter import find_micropython, micropython_version
from clsbench.paths import firmware_dir

ROOT = Path(__file__).resolve().parents[2]
PEER, VERSION = "micropython-modbus", "2.3.7"
PEER_HOME = ROOT / "build" / "peers" / f"{PEER}-{VERSION}"
BUILD = ROOT / "build" / "bench" / "modbus"
NARROW = ROOT / "build" / "micropython32" / "micropython"
BAUDS = (9600, 19200, 38400, 115200)
LATENCY_US = 5000
BOARD_HEAP = "384k"  # of 64-bit words, what a board has: garbage costs there what it costs
TITLES = {"peer": f"{PEER} {VERSION}", "ours": "dicamm", "bare": "harness alone"}


def fetch_peer() -> Path:
    """The folder with the peer's `umodbus`. Raises EnvironmentProblem where pip gets none.

    The package has no setup.py, so pip unpacks it and then refuses it; --no-clean keeps it.
    """
    if not (PEER_HOME / "umodbus").is_dir():
        PEER_HOME.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=PEER_HOME.parent) as folder:
            told = "no pip"
            for pip in ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["pip"]):
                command = [*pip, "download", "-q", "--no-deps", "--no-binary", ":all:"]
                command += ["--no-clean", "-d", folder, f"{PEER}=={VERSION}"]
                environment = {**os.environ, "TMPDIR": folder}
                try:
                    done = subprocess.run(
                        command, env=environment, capture_output=True, text=True, timeout=300
                    )
                except (OSError, subprocess.TimeoutExpired):
                    continue
                told = done.stderr.strip()
                found = next(Path(folder).rglob("umodbus/serial.py"), None)
                if found is not None:
                    shutil.move(found.parents[1], PEER_HOME)
                    break
            else:
                raise EnvironmentProblem(
                    f"the peer {PEER} {VERSION} cannot be had: {told}\n"
                    f"  It takes a network, or its source distribution, unpacked, at {PEER_HOME}"
                )
    return PEER_HOME


def compile_both(peer: Path, arch: str) -> None:
    """Bytecode and machine code of both masters for this machine, as a board gets them."""
    home = BUILD / arch
    shutil.rmtree(home, ignore_errors=True)
    for source in (firmware_dir(), peer):
        for path in sorted(source.rglob("*.py")):
            name = path.relative_to(source).as_posix()
            if name.startswith(("dicamm/", "umodbus/")):
                target = (home / name).with_suffix(".mpy")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(compile_file(path, name, arch))
    for path in Path(__file__).parent.glob("modbus_*.py"):
        home.joinpath(path.stem + ".mpy").write_bytes(compile_file(path, path.name, arch))


def inside(
    *arguments: str, heap: str = BOARD_HEAP, wrapper: tuple[str, ...] = (), arch: str = "x64"
) -> Any:
    """What one of the modbus_*.py prints in MicroPython; None when the heap does not suffice."""
    program = NARROW if arch == "x86" else find_micropython()
    command = [*wrapper, str(program), "-X", f"heapsize={heap}", "-m"]
    environment = {**os.environ, "MICROPYPATH": f"{BUILD / arch}:.frozen"}
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    told = (done.stdout + done.stderr).strip()
    if "MemoryError" in told:
        return None
    if "valgrind" in wrapper:
        return done.stderr
    if done.returncode:
        raise EnvironmentProblem(f"{' '.join(arguments)}: {told}")
    return json.loads(done.stdout.splitlines()[-1])


def least_heap(who: str, arch: str) -> int:
    """The smallest heap in KiB in which 80 registers can be read 50 times."""
    low, high = 4, 256
    while high - low > 1:
        middle = (low + high) // 2
        if inside("modbus_heap", who, heap=f"{middle}k", arch=arch) is None:
            low = middle
        else:
            high = middle
    return high


def instructions(who: str, count: int) -> int:
    """Machine instructions of one transaction, harness included, by callgrind."""
    totals = []
    for number in ("500", "1500"):
        wrapper = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
        told = inside("modbus_cpu", who, str(count), number, heap="64m", wrapper=wrapper)
        totals.append(int(re.findall(r"Collected : (\d+)", told)[0]))
    return (totals[1] - totals[0]) // 1000


def faster(rows_ns: dict[str, list[int]], who: str, count: int) -> float:
    """How much less time than the peer: the median over the rounds of one run."""
    pairs = zip(rows_ns[f"peer {count}"], rows_ns[f"{who} {count}"])
    return statistics.median(peer / other for peer, other in pairs)


def transaction_part(report: Report, rounds: int) -> None:
    """CPU, heap and instructions of a transaction; the CRC."""
    measured = inside("modbus_cpu", str(rounds), wrapper=ahead())
    rows_ns = {key: row["ns"] for key, row in measured["transactions"].items()}
    heaps = {key: row["heap"] for key, row in measured["transactions"].items()}
    counts = {}
    if shutil.which("valgrind"):
        counts = {(who, n): instructions(who, n) for n in (2, 80) for who in ("peer", "ours")}
    for n, least, most in ((2, 6, 22_000), (80, 10, 36_000)):
        ratio = faster(rows_ns, "ours", n)
        what = f"CPU of reading {n} registers, beside the peer's"
        report.bar("G1", what, f"1/{ratio:.1f}", f"1/{least}", ratio >= least)
        if counts:
            number = counts["ours", n]
            what = f"machine instructions for {n} registers"
            report.bar("G1", what, f"{number:,}", f"{most:,}", number <= most)
    used = max(heaps["ours 2"], heaps["ours 80"])
    report.bar("G2", "heap of a transaction", f"{used} B", "0 B", used == 0)
    crc = {name: statistics.median(times) / 10 for name, times in measured["crc"].items()}
    gain = crc["bytecode"] / crc["viper"]
    met = crc["viper"] <= 6
    report.bar("G6", "CRC in machine code", f"{crc['viper']:.1f} ns/B", "6 ns/B", met)
    report.bar("G6", "against the loop in bytecode", f"{gain:.0f} x", "10 x", gain >= 10)
    rows = []
    for who, title in TITLES.items():
        row = [title]
        row += [f"{statistics.median(rows_ns[f'{who} {n}']) / 1000:.2f}" for n in (2, 80)]
        row += [f"1/{faster(rows_ns, who, n):.1f}" for n in (2, 80)]
        row += [str(heaps[f"{who} {n}"]) for n in (2, 80)]
        row += [f"{counts[who, n]:,}" if (who, n) in counts else "" for n in (2, 80)]
        rows.append(row)
    head = ["master", "2 reg, us", "80 reg, us", "ratio 2", "ratio 80", "heap B 2", "heap B 80"]
    head += ["instructions 2", "instructions 80"]
    ways = ", ".join(f"{name} {ns:.1f}" for name, ns in crc.items())
    report.add(
        "### CPU and heap of a transaction",
        "Request, CRC, check of the reply, registers as numbers; over a UART that is memory.",
        table(head, rows),
        f"CRC-16 over 240 bytes, ns per byte: {ways} (the peer's loop).",
    )


def memory_part(report: Report, arch: str, bits: int) -> None:
    """What the master takes after import and construction, and the least heap to read in."""
    used = {who: inside("modbus_heap", who, arch=arch) for who in TITLES}
    whole = inside("modbus_heap", "ours", "modbus_judge", arch=arch) - used["bare"]
    whole_write = inside("modbus_heap", "ours", "modbus_judge", "modbus_write", arch=arch)
    least = {who: least_heap(who, arch) for who in TITLES}
    net = {who: str(used[who] - used["bare"]) for who in ("ours", "peer")}
    if bits == 32:
        what = "master after import and construction, 32 bit"
        met = int(net["ours"]) <= 5120
        report.bar("G3", what, f"{net['ours']} B", "5,120 B", met)
        what = "heap to read 80 registers in, harness included, 32 bit"
        report.bar("G3", what, f"{least['ours']} KiB", "18 KiB", least["ours"] <= 18)
    else:
        what = "heap to read 80 registers in, harness included, 64 bit"
        report.bar("slice", what, f"{least['ours']} KiB", "40 KiB", least["ours"] <= 40)
    rows = [[TITLES[who], net.get(who, ""), str(least[who])] for who in TITLES]
    head = ["master", "import and construct, B", "least heap for 80 registers, KiB"]
    report.add(
        f"### Memory, {bits} bit, .mpy",
        table(head, rows),
        f"dicamm with the rules for odd replies loaded: {whole} B; with writing too: "
        f"{whole_write - used['bare']} B. The firmware's bus loads the rules at start.",
    )


def fault_part(report: Report) -> None:
    """What both make of broken replies."""
    rows = inside("modbus_faults")
    *broken, exception, good = rows
    refused, tolerated = broken[:12], broken[12:]
    wrong = [name for name, ours, _ in refused if ours == "value" or "wrong value" in ours]
    lost = [name for name, ours, _ in [*tolerated, good] if ours != "value"]
    wrong += [exception[0]] if exception[1] != "exception" else []
    report.bar("G4", "broken replies accepted as something else", str(len(wrong)), "0", not wrong)
    report.bar("G4", "tolerable replies lost", str(len(lost)), "0", not lost)
    head = ["reply (2 registers asked of unit 1, function 4)", "dicamm", PEER]
    report.add("### Broken replies", table(head, [list(row) for row in rows]))


def limit_us(baud: int, count: int) -> float:
    """Bytes of 10 bits, one silence of 3.5 characters (of 11 bits to 19200 Bd), the slave."""
    silence = 1750 if baud > 19200 else 38.5e6 / baud
    return (13 + 2 * count) * 10e6 / baud + silence + LATENCY_US


def cycle_ratio(who: str, baud: int, count: int) -> tuple[float, float]:
    """Median of period / limit in the best of up to three runs, and the least of all periods.

    Other work on the machine can only add to a period.
    """
    number = 8 if count == 80 and baud < 38400 else 25
    limit = limit_us(baud, count)
    best = least = 9.0
    for _ in range(3):
        arguments = ("modbus_cycle", who, str(baud), str(count), str(number))
        periods = inside(*arguments, wrapper=ahead())[2:]
        best = min(best, statistics.median(periods) / limit)
        least = min(least, min(periods) / limit)
        if best <= 1.01:
            break
    return best, least


def cycle_part(report: Report) -> None:
    """Reads one after the other on a line that keeps its baud rate."""
    rows = []
    worst, least = 0.0, 9.0
    for who in ("peer", "ours"):
        row = [TITLES[who]]
        for baud in BAUDS:
            for count in (2, 80):
                median, lowest = cycle_ratio(who, baud, count)
                row.append(f"{median:.3f}")
                if who == "ours":
                    worst, least = max(worst, median), min(least, lowest)
        rows.append(row)
    what = "bus cycle / (bytes + one silence + slave), worst median"
    report.bar("G5", what, f"{worst:.3f}", "1.02", worst <= 1.02)
    report.bar("G5", "shortest of all these cycles", f"{least:.4f}", "1.00", least >= 1)
    head = ["master", *(f"{baud}: {count}" for baud in BAUDS for count in (2, 80))]
    report.add(
        "### Time on the bus",
        "Baud rate: registers. Below 1 the silence between frames is not kept. The slave answers "
        "after 5 ms; dicamm runs as on a board, as an asyncio task.",
        table(head, rows),
    )


def relay_part(report: Report) -> None:
    """From a command in hand to the pin, while 80 registers come at 9600 Bd."""
    runs = [inside("modbus_relay", "9600", "80", "700", wrapper=ahead()) for _ in range(3)]
    best = min(runs, key=lambda run: run["waits_us"][-1])
    longest = best["waits_us"][-1] + best["pin_us"]
    what = "command to pin while 80 registers are read at 9600 Bd, longest"
    report.bar("G16", what, f"{longest} us", "1,000 us", longest <= 1000)
    report.add(
        "### Relay during a read",
        f"The longest that the bus keeps a ready task waiting is {best['waits_us'][-1]} us (the "
        f"last {300} us of a sending are waited out awake), and the interlock takes at most "
        f"{best['pin_us']} us to the pin: best of three runs of 0.7 s.",
    )


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Modbus beside the PyPI package.")
    parser.add_argument("--rounds", type=int, default=51)
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args(argv)
    report = Report()
    try:
        peer = fetch_peer()
        compile_both(peer, "x64")
        transaction_part(report, options.rounds)
        memory_part(report, "x64", 64)
        if NARROW.exists():
            compile_both(peer, "x86")
            memory_part(report, "x86", 32)
        fault_part(report)
        cycle_part(report)
        relay_part(report)
        intro = (
            f"{machine()}; MicroPython {micropython_version().split('MicroPython ')[-1]}, 64 bit, "
            f"heap of {BOARD_HEAP}; {compiler_version()}. Both masters run from .mpy files, "
            f"{words()}; ratios are medians of rounds interleaved in one run, harness included. "
            f"Peer: {PEER} {VERSION} of the package index."
        )
    except ClsbenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    missing = "" if NARROW.exists() else " Not measured: 32-bit memory (G3), for want of a build."
    missing += "" if shutil.which("valgrind") else " Not counted: instructions (no valgrind)."
    return report.finish("modbus", "Modbus", intro + missing, not options.no_write)


if __name__ == "__main__":
    sys.exit(main())
