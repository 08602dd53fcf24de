"""One run of the interpreter, from start to death, with its two terminals.

Knows the process: how it is started, what it is doing, how it ends. What its bytes mean
is the business of `console` and `pin_lines`.
"""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

from clsbench.hil.ptys import Pty

PROMPT = "prompt"  # waits for a line: Ctrl-C is a byte to it
IDLE = "idle"  # runs a program that sleeps in the kernel: Ctrl-C is safe
BUSY = "busy"  # runs a program that computes
BETWEEN = "between"  # neither: Ctrl-C would kill it

_LAUNCH = Path(__file__).with_name("launch.py")
_HAS_PROC = Path("/proc/self/status").exists()


class BoardProcess:
    """The interpreter as a process that leads a session of its own on `console`.

    program: the interpreter; script: its first script; env: its whole environment but the
    path of `gpio`, the tty of its pin lines.
    """

    def __init__(self, program: Path, script: Path, heap: str, env: dict[str, str]):
        self.console = Pty(interrupts=True)
        self.gpio = Pty()
        command = [str(program), "-X", f"heapsize={heap}", "-i", str(script)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCH), *command],
                stdin=self.console.slave,
                stdout=self.console.slave,
                stderr=self.console.slave,
                env={**env, "HIL_GPIO": self.gpio.path},
                start_new_session=True,
                umask=0o077,  # its flash holds keys
            )
        except OSError:
            self.close()
            raise
        self.console.release()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Ends it between two instructions, and waits for that. Its terminals stay readable."""
        self._process.kill()
        self._process.wait()

    def reap(self) -> int:
        """The exit code of a process whose terminal has closed (negative: the signal)."""
        try:
            return self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:  # it closed its terminal and lives: no board does
            self.kill()
            return 0

    def close(self) -> None:
        """Gives the terminals back; the process must have ended."""
        self.console.close()
        self.gpio.close()

    def doing(self) -> str:
        """PROMPT, IDLE, BUSY or BETWEEN, at this instant."""
        program_mode = self.console.takes_interrupts()
        caught, asleep = self._signal_state() if _HAS_PROC else (program_mode, True)
        if caught:
            return IDLE if asleep else BUSY
        return BETWEEN if program_mode else PROMPT

    def interrupt(self) -> None:
        """Ctrl-C to a running program."""
        if self.console.takes_interrupts():
            os.write(self.console.master, b"\x03")
        else:  # code sent by raw paste runs with the terminal in the prompt's mode
            os.killpg(self.pid, signal.SIGINT)

    def _signal_state(self) -> tuple[bool, bool]:
        """Whether SIGINT has a handler, and whether the process sleeps in the kernel."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return False, True
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        caught = int(fields.get("SigCgt", "0"), 16)
        asleep = fields.get("State", "S").strip()[:1] in "SD"
        return bool(caught >> (signal.SIGINT - 1) & 1), asleep


def board_environment(home: Path, workdir: Path, speed: int) -> dict[str, str]:
    """The variables every start of the board gets; the images in `workdir` are its flash.

    home: the board's folder, with board.toml and shim/.
    """
    with (home / "board.toml").open("rb") as file:
        facts = tomllib.load(file)
    return {
        "PATH": os.defpath,
        "HIL_FLASH": str(workdir / "flash.littlefs"),
        "HIL_FLASH_BLOCKS": str(facts["littlefs"]["blocks"]),
        "HIL_NOR": str(workdir / "record.nor"),
        "HIL_SHIM": str(home / "shim"),
        "HIL_SPEED": str(speed),
    }
