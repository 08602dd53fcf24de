"""The SML decoder beside its peers, in one run: libsml (C), SmlParserLight, smllib.

    python tools/bench/sml.py [--rounds N] [--no-write]

Decodes real telegrams (CLSBENCH_CORPUS, else ../shared/corpus), or without them telegrams of our
own. libsml is looked for where Debian's libsml-dev puts it and as source tree in
build/peers/libsml, SmlParserLight in build/peers/SmlParserLight; what is not there is left out and
said. Writes its section of docs/performance.md. Exit codes: 0 all bars hold, 1 one is missed, 3
something to measure with is missing.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
from pathlib import Path

from clsbench.device.build import compile_file, compiler_version
from clsbench.errors import ClsbenchError, EnvironmentProblem
from clsbench.hil.interpreter import find_micropython, micropython_version
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_encode import obis_bytes, telegram
from clsbench.paths import firmware_dir

sys.path.insert(0, str(Path(__file__).parent))
from tables import Report, machine, table

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "build" / "peers"
BUILD = ROOT / "build" / "bench" / "sml"
WORKER = Path(__file__).with_name("sml_worker.py")
C_SOURCE = Path(__file__).with_name("sml_libsml.c")
TELEGRAMS = BUILD / "telegrams"
CHARACTER_US = 1042
HEAP = "384k"  # of 64-bit words, what a board has: garbage costs there what it costs
DEVICE = {
    "ours": "this decoder",
    "values": "this decoder, and every value looked at",
    "bytecode": "this decoder without machine code",
    "light": "SmlParserLight, 3 values",
    "libsml": "libsml of the system (C), parse and free",
    "libsml_new": "libsml of a newer source tree (C, -O2), parse and free",
}
HOST = {
    "ours_py": "this decoder",
    "values_py": "this decoder, and every value looked at",
    "smllib": "smllib parse_frame",
}


class Worker:
    """A process that decodes all telegrams once for every line it is sent."""

    def __init__(self, command: list[str], environment: dict[str, str]):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # peers say there what they think of a telegram
            text=True,
            env={**os.environ, **environment},
        )

    def round(self) -> int:
        """Nanoseconds per telegram."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        while line := self._process.stdout.readline():
            if line.strip().isdigit():  # some print it here
                return int(line)
        raise EnvironmentProblem(f"{self._process.args}: ended with {self._process.wait()}")

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def collect_telegrams() -> str:
    """Writes the telegrams; tells how many and where they are from.

    Real ones are those with good checksums throughout, as meters sent them: none that were
    derived or cut out of their transport.
    """
    folder = Path(os.environ.get("CLSBENCH_CORPUS", ROOT.parent / "shared" / "corpus")) / "sml"
    found = []
    for meter, path in enumerate(sorted(folder.glob("*.json"))):
        facts = json.loads(path.read_text())
        capture = path.with_suffix(".bin").read_bytes()
        for frame in facts["frames"]:
            whole = frame["valid"] and frame["kind"] != "payload"
            good = all(message["crc"] != "bad" for message in frame.get("messages", []))
            if whole and good and not path.name.startswith("derived"):
                found.append((meter, capture[frame["offset"] :][: frame["length"]]))
    words = f"{len(found)} real telegrams of {len({meter for meter, _ in found})} meters"
    if not found:
        found = [(number % 10, _own(number)) for number in range(100)]
        words = f"{len(found)} telegrams of our own, there being no real ones at hand"
    TELEGRAMS.write_bytes(b"".join(struct.pack("<HH", m, len(d)) + d for m, d in found))
    mean = sum(len(data) for _, data in found) / len(found)
    return f"{words}, {mean:.0f} bytes each on average"


def _own(number: int) -> bytes:
    server = server_id(f"1EMH00987654{number % 10:02}")
    values = [
        (obis_bytes("1-0:96.50.1*1"), b"EMH", None, None, None),
        (obis_bytes("1-0:96.1.0*255"), server, None, None, None),
        *((obis_bytes(f"1-0:{n}.8.0*255"), 10**8 + number, -1, 30, 386) for n in (1, 2)),
        *((obis_bytes(f"1-0:{n}.7.0*255"), number, 0, 27, None) for n in (16, 36, 56)),
    ]
    return telegram(server, values, number, number)


def ordered(order: str) -> Path:
    """The telegrams in order, for the program in C."""
    code = (
        "import sys; sys.argv = ['', 'none']\n"
        f"source = open({str(WORKER)!r}).read().rsplit('main(*', 1)[0]\n"
        "space = {}; exec(source, space)\n"
        f"for data in space['telegrams']({str(TELEGRAMS)!r}, {order!r}):\n"
        "    sys.stdout.buffer.write(bytes(2) + len(data).to_bytes(2, 'little') + data)\n"
    )
    path = BUILD / f"telegrams-{order}"
    path.write_bytes(subprocess.run([sys.executable, "-c", code], stdout=-1, check=True).stdout)
    return path


def compile_ours() -> None:
    """Bytecode and machine code for this machine, as a board gets them."""
    shutil.rmtree(BUILD, ignore_errors=True)
    for path in sorted((firmware_dir() / "dicamm" / "proto").glob("*.py")):
        if path.name.startswith(("sml", "crc", "__init__")):
            target = BUILD / "dicamm" / "proto" / f"{path.stem}.mpy"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(compile_file(path, f"dicamm/proto/{path.name}", "x64"))
    (BUILD / "dicamm" / "__init__.py").touch()


def libsml_programs() -> tuple[dict[str, Path], list[str]]:
    """name -> program around libsml, and what is missing."""
    tree = PEERS / "libsml" / "sml"
    sources = [f"-I{tree}/include", *map(str, sorted((tree / "src").glob("*.c")))]
    ways = {"libsml": ["-lsml"], "libsml_new": ["-DSML_NO_UUID_LIB", *sources]}
    found = {}
    for name, options in ways.items():
        if name == "libsml" or tree.is_dir():
            program = BUILD / name
            command = ["gcc", "-O2", "-w", str(C_SOURCE), *options, "-o", str(program)]
            if shutil.which("gcc") and not subprocess.run(command, capture_output=True).returncode:
                found[name] = program
    missing = ["gcc"] if not shutil.which("gcc") else []
    if not found:
        missing.append("libsml (apt-get install libsml-dev)")
    return found, missing


def workers(order: str) -> tuple[dict[str, Worker], list[str]]:
    """name -> process, and what is missing."""
    inside = {"MICROPYPATH": f"{BUILD}:{PEERS / 'SmlParserLight'}:.frozen"}
    micropython = [str(find_micropython()), "-X", f"heapsize={HEAP}", str(WORKER)]
    python = [sys.executable, str(WORKER)]
    tail = [str(TELEGRAMS), order]
    found = {
        name: Worker([*micropython, name, *tail], inside)
        for name in ("ours", "values", "bytecode")
    }
    programs, missing = libsml_programs()
    if (PEERS / "SmlParserLight" / "sml_parser_light.py").is_file():
        found["light"] = Worker([*micropython, "light", *tail], inside)
    else:
        missing.append(f"SmlParserLight (its sources in {PEERS / 'SmlParserLight'})")
    for name, program in programs.items():
        found[name] = Worker([str(program), str(ordered(order))], {})
    here = {"PYTHONPATH": str(firmware_dir())}
    for name, who in (("ours_py", "ours"), ("values_py", "values"), ("smllib", "smllib")):
        found[name] = Worker([*python, who, *tail], here)
    return found, missing


def measure(order: str, rounds: int) -> tuple[dict[str, list[int]], list[str]]:
    """name -> nanoseconds per telegram of each round, all interleaved."""
    found, missing = workers(order)
    times: dict[str, list[int]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, worker in found.items():
            times[name].append(worker.round())
    for worker in found.values():
        worker.close()
    return times, missing


def ratio(times: dict[str, list[int]], one: str, other: str) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(times[one], times[other]))


def single_figure(what: str) -> int:
    """`heap`: bytes of heap per telegram, every value looked at. `last`: see sml_worker.py."""
    command = [str(find_micropython()), "-X", "heapsize=8m", str(WORKER), what]
    done = subprocess.run(
        [*command, str(TELEGRAMS), "file"],
        env={**os.environ, "MICROPYPATH": f"{BUILD}:.frozen"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def time_table(times: dict[str, list[int]], names: dict[str, str], base: str) -> str:
    """Medians in us and their ratios to `base`."""
    rows = [
        [
            names[name],
            f"{statistics.median(times[name]) / 1000:.2f}",
            f"{ratio(times, name, base):.2f}",
        ]
        for name in names
        if name in times
    ]
    return table(["decoder", "us per telegram", "ratio"], rows)


def speed_bars(report: Report, row: dict[str, list[int]]) -> None:
    """G7 and G9."""
    peer = "libsml" if "libsml" in row else "libsml_new"
    if peer in row:
        c = ratio(row, "ours", peer)
        report.bar("G7", f"time to decode beside {DEVICE[peer]}", f"{c:.2f}", "2", c <= 2)
    if "light" in row:
        light = ratio(row, "light", "ours")
        what = "SmlParserLight's time for 3 values beside ours for all"
        report.bar("G7", what, f"{light:.1f}", "at least 7", light >= 7)
    python = statistics.median(row["ours_py"]) / 1000
    report.bar("G9", "us per telegram on CPython", f"{python:.1f}", "60", python <= 60)
    library = ratio(row, "smllib", "ours_py")
    report.bar("G9", "smllib's time beside ours", f"{library:.1f}", "at least 5.5", library >= 5.5)


def run(rounds: int, write: bool) -> int:
    """Everything measured and said; the exit code."""
    report = Report()
    compile_ours()
    telegrams = collect_telegrams()
    row, missing = measure("row", rounds)
    mixed, _ = measure("mixed", rounds)
    used, last_us = single_figure("heap"), single_figure("last") / 1000
    for words in missing:
        print(f"bench: left out, not found: {words}", file=sys.stderr)
    speed_bars(report, row)
    report.bar(
        "G7",
        "us from the last byte to the reading, when bytes came in pieces",
        f"{last_us:.1f}",
        f"{CHARACTER_US} (a character at 9600 baud)",
        last_us <= CHARACTER_US,
    )
    report.bar("G8", "bytes of heap per telegram", str(used), "512", used <= 512)
    base = "libsml" if "libsml" in row else "libsml_new" if "libsml_new" in row else "ours"
    report.add(
        "### On MicroPython, telegrams of each meter one after the other",
        time_table(row, DEVICE, base),
        "### On MicroPython, each telegram from another meter than the one before",
        "Most objects are then made anew, which no line with one meter on it asks for.",
        time_table(mixed, DEVICE, base),
        "### On CPython",
        time_table(row, HOST, "ours_py"),
        *(f"Left out, as it was not found: {words}." for words in missing),
    )
    intro = (
        f"{telegrams}. Each is decoded whole: transport and message checksums, every entry with "
        "name, number, scaler, unit, status and time; libsml is handed the messages only and "
        "checks no transport. The heap is counted with every value looked at, each telegram once; "
        "while bytes are received none is taken, which a test asserts with the heap locked.\n\n"
        f"Measured on {machine()}; MicroPython {micropython_version().split()[-1]}, 64 bit, heap "
        f"of {HEAP}; {compiler_version()}. CPU time, medians of {rounds} rounds, the decoders in "
        "turn."
    )
    return report.finish("sml", "SML", intro, write)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="SML beside its peers.")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args(argv)
    try:
        return run(options.rounds, not options.no_write)
    except ClsbenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
