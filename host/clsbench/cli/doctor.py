"""`clsbench doctor`: what this machine can do, and what to do about what it cannot.

Tries things rather than asking for versions. Opens no connection outside this machine.
"""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from clsbench.errors import EnvironmentProblem
from clsbench.hil.interpreter import VARIABLE, find_micropython, micropython_version
from clsbench.paths import boards_dir, firmware_dir

OK, MISSING, NOTE = "ok", "missing", "note"
PYTHON = (3, 11)
SOCKETS = 12  # what the roles, meters and links of one demo need at once
WARN_DAYS = 30
UF2, CORPUS = "CLSBENCH_UF2", "CLSBENCH_CORPUS"

_CHECKOUT = Path(__file__).resolve().parents[3]
_SETUP = "Run: make setup (or reinstall the package clsbench)."
_RUN_S = 20

# what firmware, board files and the unix board's first script need, as names of what is not there
_INTERPRETER_PROBE = """
import sys
missing = []
for name in ("asyncio", "binascii", "hashlib", "machine", "select", "socket", "ssl", "termios"):
    try:
        __import__(name)
    except ImportError:
        missing.append(name)
try:
    from vfs import VfsLfs2, VfsPosix
except ImportError:
    missing.append("littlefs")
if getattr(sys.implementation, "_mpy", 0) & 0xFF != 6:
    missing.append("bytecode-6")
print(" ".join(missing))
"""


@dataclass(frozen=True)
class Finding:
    """One line. state: ok, missing (something does not work without it) or note (only told).

    needed: the demo cannot run without it.
    """

    name: str
    state: str
    detail: str
    remedy: str = ""
    needed: bool = True


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--pki", type=click.Path(path_type=Path), help="Tell what ends soon in this PKI.")
def doctor(as_json: bool, pki: Path | None) -> int:
    """Tells what this machine can do. Exit code 0 when the demo can run here, else 3."""
    findings = examine() + ([] if pki is None else [certificates(pki)])
    ready = can_run(findings)
    if as_json:
        print(json.dumps({"ok": ready, "checks": [vars(each) for each in findings]}))
    else:
        print("\n".join(lines(findings)))
    return 0 if ready else EnvironmentProblem.exit_code


def examine() -> list[Finding]:
    """Every check, in the order in which it is shown. Takes about a second."""
    checks: tuple[Callable[[], Finding], ...] = (
        python, firmware_files, micropython, mpy_cross, mpremote, terminals, tls, sockets,
        temporary_files, serial_ports, openssl, corpus, emulator,
    )  # fmt: skip
    return [check() for check in checks] + tls_details()


def can_run(findings: list[Finding]) -> bool:
    """True when nothing is missing that the demo needs."""
    return not any(each.needed and each.state == MISSING for each in findings)


def lines(findings: list[Finding]) -> list[str]:
    """For people."""
    return list(_lines(findings))


def _lines(findings: list[Finding]) -> Iterator[str]:
    for each in findings:
        state = "-" if each.state == NOTE else each.state
        yield f"{state:8} {each.name:18} {each.detail}"
        if each.remedy:
            yield from (f"{'':27} {line.strip()}" for line in each.remedy.splitlines())
    yield ""
    lacking = [each.name for each in findings if each.needed and each.state == MISSING]
    yield (
        f"The demo cannot run here: {', '.join(lacking)}."
        if lacking
        else ("The demo can run here: clsbench demo")
    )


def python() -> Finding:
    """The interpreter of this program."""
    version = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info >= PYTHON:
        return Finding("Python", OK, version)
    wanted = ".".join(map(str, PYTHON))
    return Finding("Python", MISSING, version, f"Install Python {wanted} or newer.")


def firmware_files() -> Finding:
    """The firmware that goes onto boards."""
    wanted = [firmware_dir() / "main.py", boards_dir() / "unix" / "board.toml"]
    absent = [str(path) for path in wanted if not path.is_file()]
    if absent:
        return Finding("firmware", MISSING, f"no {', no '.join(absent)}", _SETUP)
    return Finding("firmware", OK, str(firmware_dir()))


def micropython() -> Finding:
    """The interpreter of the unix board: there, running, with the modules the firmware needs."""
    try:
        program = find_micropython()
        version = micropython_version(program)
        lacking = _run([str(program), "-c", _INTERPRETER_PROBE])
    except EnvironmentProblem as error:
        what, _, remedy = str(error).partition("\n")
        return Finding("MicroPython", MISSING, what, remedy or _INTERPRETER_REMEDY)
    if "MicroPython" not in version:
        return Finding(
            "MicroPython", MISSING, f"{program} is no MicroPython: {version}", _INTERPRETER_REMEDY
        )
    if lacking:
        return Finding(
            "MicroPython", MISSING, f"{program} ({version}) lacks {lacking}", _INTERPRETER_REMEDY
        )
    return Finding("MicroPython", OK, f"{version} at {program}")


_INTERPRETER_REMEDY = (
    "Linux x86-64 and macOS arm64 get one with: make setup. Elsewhere: apt install micropython\n"
    f"on Debian 13, or set {VARIABLE} to a unix port (variant standard) that you built."
)


def mpy_cross() -> Finding:
    """The compiler of the firmware."""
    from clsbench.device.build import compiler_version

    try:
        version = compiler_version()
    except EnvironmentProblem as error:
        return Finding("mpy-cross", MISSING, str(error), _SETUP)
    return Finding("mpy-cross", OK if version else MISSING, version or "does not tell its version")


def mpremote() -> Finding:
    """The stock board tool."""
    try:
        told = _run([sys.executable, "-m", "mpremote", "version"])
    except EnvironmentProblem as error:
        return Finding("mpremote", MISSING, str(error), _SETUP)
    return Finding("mpremote", OK, told.removeprefix("mpremote "))


def terminals() -> Finding:
    """Pseudo terminals, which stand for the serial lines of board and meters."""
    try:
        import tty

        master, slave = os.openpty()
    except (ImportError, AttributeError, OSError) as error:
        return Finding(
            "pseudo terminals", MISSING, f"none ({error})",
            "The unix board and the simulated meters need Linux or macOS, with devpts mounted.",
        )  # fmt: skip
    try:
        tty.setraw(slave)
        sent = bytes(range(256))
        os.write(master, sent)
        passed = os.read(slave, len(sent)) == sent
    except OSError as error:
        return Finding("pseudo terminals", MISSING, f"do not work: {error}", "Mount devpts.")
    finally:
        os.close(master)
        os.close(slave)
    if not passed:
        return Finding("pseudo terminals", MISSING, "alter bytes in raw mode", "Another kernel.")
    return Finding("pseudo terminals", OK, "pass every byte")


def tls() -> Finding:
    """A handshake as on the WAN, and which versions, suites and curves there are besides."""
    from clsbench.net.tls_probe import tls_capabilities

    can = tls_capabilities()
    if not can.brainpool:
        return Finding(
            "TLS", MISSING, f"{can.openssl}, no handshake on brainpoolP256r1: {can.problem}",
            "Use a Python linked to a full OpenSSL 3, such as that of Debian or python.org.",
        )  # fmt: skip
    several = "several curves at once" if can.set_groups else "one curve for each context"
    return Finding("TLS", OK, f"{can.openssl}, brainpoolP256r1 with {can.cipher}, {several}")


def tls_details() -> list[Finding]:
    """Versions by network, each suite, each curve."""
    from clsbench.net.tls_probe import tls_capabilities

    can = tls_capabilities()
    versions = "; ".join(f"{name}: {' and '.join(each)}" for name, each in can.versions.items())
    old = [name for name, each in can.versions.items() if len(each) == 1]
    remedy = "TLS 1.3 with brainpool certificates needs OpenSSL 3.2 or newer (RFC 8734)."
    return [
        Finding("TLS versions", NOTE if old else OK, versions, remedy if old else "", False),
        _kinds("TLS suites", can.suites),
        _kinds("TLS curves", can.groups),
    ]


def certificates(directory: Path) -> Finding:
    """Certificates and revocation lists of a PKI: what ends within WARN_DAYS, or has ended."""
    from clsbench.pki.layout import Pki
    from clsbench.pki.operations import older_form
    from clsbench.pki.watch import endings

    found = Pki.open(directory)
    lists = (found.wan_crl, found.han_crl)
    ends = endings(found.certificates(), lists, datetime.now(UTC), WARN_DAYS)
    older = older_form(found)
    if not ends:
        detail = f"{directory}: nothing ends within {WARN_DAYS} days"
        return Finding("PKI", NOTE if older else OK, detail, older, False)
    detail = f"{directory}: {len(ends)} of its certificates and lists end or have ended"
    told = [*(each.text for each in ends), *([older] if older else [])]
    return Finding("PKI", NOTE, detail, "\n".join(told), False)


def _kinds(name: str, found: dict[str, bool]) -> Finding:
    there = ", ".join(each for each, has in found.items() if has) or "none"
    absent = ", ".join(each for each, has in found.items() if not has)
    detail = f"{there}; not: {absent}" if absent else there
    return Finding(name, NOTE if absent else OK, detail, needed=False)


def sockets() -> Finding:
    """Free TCP ports on loopback, and sockets in the file system."""
    held: list[socket.socket] = []
    try:
        for _ in range(SOCKETS):
            held.append(socket.create_server(("127.0.0.1", 0)))
        with tempfile.TemporaryDirectory(prefix="clsbench-") as folder:
            local = socket.socket(socket.AF_UNIX)
            held.append(local)
            local.bind(str(Path(folder) / "socket"))
    except (OSError, AttributeError) as error:
        return Finding(
            "loopback sockets", MISSING, f"{len(held)} of {SOCKETS + 1} opened: {error}",
            "The roles talk over 127.0.0.1 and over a socket in the temporary folder: "
            "allow both.\nIs TMPDIR a very long path? A socket's may have about 100 characters.",
        )  # fmt: skip
    finally:
        for each in held:
            each.close()
    return Finding("loopback sockets", OK, f"{SOCKETS} free ports on 127.0.0.1, local sockets")


def temporary_files() -> Finding:
    """Room for state and keys of a run."""
    try:
        with tempfile.NamedTemporaryFile(prefix="clsbench-") as file:
            file.write(b"clsbench")
            file.flush()
            free_mb = shutil.disk_usage(file.name).free // 1_000_000
    except OSError as error:
        return Finding("temporary files", MISSING, str(error), "Set TMPDIR to a writable folder.")
    return Finding("temporary files", OK, f"{tempfile.gettempdir()}, {free_mb} MB free")


def serial_ports() -> Finding:
    """Boards and adapters that may be plugged in."""
    from clsbench.device.ports import found_ports

    found = found_ports()
    detail = ", ".join(found) or "none found; needed only for a real board or meter"
    return Finding("serial ports", OK if found else NOTE, detail, needed=False)


def openssl() -> Finding:
    """The command line tool, with which some tests compare."""
    program = shutil.which("openssl")
    if program is None:
        remedy = "Install the package openssl to run all tests; nothing else needs it."
        return Finding("openssl", NOTE, "not in PATH", remedy, needed=False)
    try:
        return Finding("openssl", OK, f"{_run([program, 'version'])} at {program}", needed=False)
    except EnvironmentProblem as error:
        return Finding("openssl", NOTE, str(error), needed=False)


def corpus() -> Finding:
    """The folder of real meter telegrams, for the tests of the decoder."""
    named = os.environ.get(CORPUS)
    folder = Path(named) if named else _CHECKOUT.parent / "shared" / "corpus"
    if folder.is_dir():
        return Finding("corpus", OK, str(folder), needed=False)
    remedy = f"Set {CORPUS} to a folder of captured telegrams; only tests read it."
    return Finding("corpus", NOTE, f"no folder {folder}", remedy, needed=False)


def emulator() -> Finding:
    """The image for an emulated RP2040."""
    image = os.environ.get(UF2)
    if not image:
        return Finding("RP2040 emulator", NOTE, f"{UF2} is not set", needed=False)
    if not Path(image).is_file():
        remedy = "Point it at a MicroPython image (*.uf2), or unset it."
        return Finding("RP2040 emulator", NOTE, f"{UF2}={image}: no such file", remedy, False)
    detail, remedy = f"{UF2}={image}", ""
    if shutil.which(os.environ.get("CC") or "cc") is None:
        detail += "; no C compiler"
        remedy = "Install one (cc, or name it in CC): boards run 15 times faster."
    return Finding("RP2040 emulator", NOTE, detail, remedy, needed=False)


def _run(command: list[str]) -> str:
    """What a program prints. Raises EnvironmentProblem when it does not run or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_RUN_S,
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentProblem(f"{command[0]} does not run: {error}") from error
    return done.stdout.strip()
