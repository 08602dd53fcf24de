"""Puts files on a board and starts it; runs stock mpremote for those who want that.

Knows ports, and nothing of what the files mean.
"""

import subprocess
import sys
from collections.abc import Sequence

from clsbench.device.copying import DeviceFile, FlashReport, Progress, copy, plan, present
from clsbench.device.repl import RawRepl
from clsbench.errors import EnvironmentProblem, PeerRefused, PeerSilent

TIMEOUT_S = 180.0  # whole firmware over 115200 baud takes about 40 s
RESET = "import machine\nmachine.reset()"


def flash(
    port: str, files: Sequence[DeviceFile], progress: Progress = lambda *_: None
) -> FlashReport:
    """Writes (path, content) pairs to the board on `port`, checks SHA-256, starts main.py.

    Files that are there already are left alone; files of an older firmware are removed.
    Raises EnvironmentProblem when the port cannot be opened, PeerSilent when the board does
    not answer, PeerRefused when it refuses or a file did not arrive whole, BadInput for a
    path that is not relative.
    """
    plan(files, {})
    with RawRepl(port) as repl:
        repl.enter()
        there = present(repl, files)
        report = copy(repl, plan(files, there), there, progress)
        repl.start(RESET)
    return report


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
