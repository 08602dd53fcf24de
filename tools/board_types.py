"""Checks each board.py against the stubs of its MicroPython port.

    python tools/board_types.py [BOARD…]      exit 0 sound, 1 findings, 3 the stubs cannot be had

The stubs of the ports contradict each other in one folder, so each goes into one of its own under
build/, from a lock with hashes (tools/stubs/<port>.txt), by pip. `unix` has stubs of our own.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from clsbench.device.boards import board_facts, board_names

ROOT = Path(__file__).resolve().parents[1]
STUBS = ROOT / "tools" / "stubs"
BUILD = ROOT / "build" / "stubs"
DRIVERS = {  # what boards of a port share
    "rp2": ("chip", "flash", "pico", "wifi"),
    "esp32": ("chip", "esp", "flash", "wifi"),
}
PORTS = tuple(DRIVERS)


def main(names: list[str]) -> int:
    """Checks the boards named, or all."""
    boards = names or [name for name in board_names() if board_facts(name).port in PORTS]
    outcome = 0
    for port in PORTS:
        mine = [name for name in boards if board_facts(name).port == port]
        if not mine:
            continue
        stubs = fetched(port)
        if stubs is None:
            return 3
        outcome |= check(port, mine, stubs)
    return outcome


def fetched(port: str) -> Path | None:
    """The folder of a port's stubs, filled when its lock changed; None when that fails."""
    lock = STUBS / f"{port}.txt"
    folder = BUILD / port
    mark = folder / ".lock"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    options = ["--no-deps", "--require-hashes", "--target", str(folder), "-r", str(lock)]
    failures = []
    for command in installers():
        done = subprocess.run([*command, *options], capture_output=True, text=True)
        if done.returncode == 0:
            mark.write_text(wanted)
            return folder
        failures.append((done.stderr.strip().splitlines() or ["no word"])[-1])
    print(
        f"board_types: the type stubs of {port} (tools/stubs/{port}.txt) cannot be installed:\n"
        f"  {failures[-1] if failures else 'neither pip nor uv is here'}\n"
        "  They come from the Python package index: is it within reach?",
        file=sys.stderr,
    )
    return None


def installers() -> list[list[str]]:
    """Commands that install into a folder: pip of this Python or of the one below it, and uv."""
    found = []
    for python in (sys.executable, getattr(sys, "_base_executable", sys.executable)):
        has_pip = subprocess.run([python, "-m", "pip", "--version"], capture_output=True)
        if has_pip.returncode == 0:
            quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
            found.append([python, "-m", "pip", "install", *quiet])
    if uv := shutil.which("uv"):
        found.append([uv, "pip", "install", "--quiet", "--python", sys.executable])
    return found


def check(port: str, boards: list[str], stubs: Path) -> int:
    """Runs the type checker over the boards of one port; its exit code."""
    project = BUILD / f"{port}.json"
    files = [f"../../boards/{name}/board.py" for name in boards]
    files += [f"../../firmware/dicamm/drivers/{name}.py" for name in DRIVERS[port]]
    settings = {
        "include": files,
        "pythonVersion": "3.11",
        "extraPaths": [port, "../../firmware"],
        "stubPath": port,
        "typeCheckingMode": "standard",
        "reportMissingModuleSource": False,
        "reportOptionalMemberAccess": False,
        "reportAttributeAccessIssue": "error",
    }
    project.write_text(json.dumps(settings, indent=2))
    command = [sys.executable, "-m", "basedpyright", "--level", "error", "-p", str(project)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(f"board_types: {port}, {', '.join(boards)}: {done.stdout.strip()}")
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
