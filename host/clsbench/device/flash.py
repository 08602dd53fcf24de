"""Puts files on a board with stock mpremote, and makes sure that they arrived.

Knows mpremote and nothing of what the files mean. The content of a file never stands in an
argument or in an error: keys travel this way too.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clsbench.errors import BadInput, EnvironmentProblem, PeerRefused, PeerSilent

OWN_FOLDER = "lib/dicamm/"  # files here that are not in the list are taken off the board
TIMEOUT_S = 180.0  # whole firmware over 115200 baud takes about 40 s
_RESET_DELAY_S = 0.15  # mpremote's reset comes 100 ms after its order

_HASH_LINE = re.compile(r"^sha256 ([0-9a-f]{64}) (.+)$", re.MULTILINE)

# runs on the board: hash and path of every file in "/" and below the given folders
_LIST_FILES = """
import os, hashlib
def _h(p):
    h = hashlib.sha256()
    b = bytearray(512)
    with open(p, "rb") as f:
        while True:
            n = f.readinto(b)
            if not n:
                break
            h.update(memoryview(b)[:n])
    return "".join("%02x" % c for c in h.digest())
def _w(d, deep):
    for e in os.ilistdir("/" + d):
        p = d + "/" + e[0] if d else e[0]
        if e[1] & 0x8000:
            print("sha256", _h("/" + p), p)
        elif deep:
            _w(p, True)
_w("", False)
for _d in FOLDERS:
    _w(_d, True)
"""


@dataclass
class FlashReport:
    """What a flashing did: file counts and seconds."""

    written: int
    unchanged: int
    removed: int
    seconds: float


def flash(port: str, files: Sequence[tuple[str, bytes]]) -> FlashReport:
    """Writes (path, content) pairs to the board on `port`, checks SHA-256, starts main.py.

    Files that are there already are left alone; files of an older firmware are removed.
    Raises EnvironmentProblem when the port cannot be opened, PeerSilent when the board does
    not answer, PeerRefused when it refuses or a file did not arrive whole, BadInput for a
    path that is not relative.
    """
    begin = time.monotonic()
    wanted = {path: hashlib.sha256(content).hexdigest() for path, content in files}
    folders = sorted({path.split("/")[0] for path in wanted if "/" in path})
    with tempfile.TemporaryDirectory(prefix="clsbench-flash-") as stage:
        _lay_out(Path(stage), files)
        order = [
            "fs",
            "cp",
            "-r",
            ".",
            ":/",
            "+",
            "exec",
            _LIST_FILES.replace("FOLDERS", repr(folders)),
        ]
        answer = mpremote(port, *order, cwd=stage)
    present = {path: digest for digest, path in _HASH_LINE.findall(answer)}
    _verify(port, wanted, present)
    stale = _stale(wanted, present)
    removal = ["exec", f"import os\nfor p in {stale!r}:\n    os.remove('/' + p)", "+"]
    mpremote(port, *(removal if stale else []), "reset")
    time.sleep(_RESET_DELAY_S)
    unchanged = answer.count("Up to date:")
    return FlashReport(len(wanted) - unchanged, unchanged, len(stale), time.monotonic() - begin)


def mpremote(port: str, *arguments: str, cwd: str | None = None) -> str:
    """Runs stock mpremote on a port and returns what it printed.

    Raises EnvironmentProblem, PeerSilent, PeerRefused as `flash` does.
    """
    command = [sys.executable, "-m", "mpremote", "connect", port, *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerSilent(
            f"board on {port}: mpremote {arguments[0]} had no end within {TIMEOUT_S:.0f} s.\n"
            f"  Reset the board, then try: mpremote connect {port} fs ls"
        ) from error
    if done.returncode:
        raise _failure(port, arguments[0], done.stdout + done.stderr)
    return done.stdout


def _failure(port: str, what: str, output: str) -> Exception:
    words = "\n  ".join(output.strip().splitlines()[-6:])
    if "failed to access" in output or "no device found" in output:
        return EnvironmentProblem(
            f"port {port} cannot be opened.\n  {words}\n"
            "  Is the board plugged in, and does no other program hold the port?"
        )
    if "could not enter raw repl" in output:
        return PeerSilent(
            f"board on {port} does not give its REPL.\n  {words}\n"
            "  Does MicroPython run on it? Reset it and try again."
        )
    return PeerRefused(f"board on {port} refused mpremote {what}:\n  {words}")


def _lay_out(stage: Path, files: Sequence[tuple[str, bytes]]) -> None:
    for path, content in files:
        if path.startswith("/") or ".." in path.split("/"):
            raise BadInput(f"path on the device '{path}': must be relative to its root")
        target = stage / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _verify(port: str, wanted: dict[str, str], present: dict[str, str]) -> None:
    bad = [path for path, digest in wanted.items() if present.get(path) != digest]
    if not bad:
        return
    missing = [path for path in bad if path not in present]
    raise PeerRefused(
        f"board on {port}: {len(bad)} of {len(wanted)} files did not arrive whole"
        f" ({len(missing)} missing), first {bad[0]}.\n"
        "  Is its file system full or damaged? See: mpremote df"
    )


def _stale(wanted: dict[str, str], present: dict[str, str]) -> list[str]:
    """Files of an older firmware; none where the list brings no firmware."""
    if not any(path.startswith(OWN_FOLDER) for path in wanted):
        return []
    return sorted(path for path in present.keys() - wanted if path.startswith(OWN_FOLDER))
