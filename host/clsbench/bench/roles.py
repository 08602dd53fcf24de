"""A role of the chain (SMGW, GWA, aEMT) as a process that can be killed and started again."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from clsbench.errors import EnvironmentProblem

_READY_S = 30.0
_STOP_S = 5.0


class RoleProcess:
    """`clsbench <role> serve --config FILE`. Standard error goes to `log_file`.

    before: what stands before the command, as `nice`; it must become the command itself.
    ports: what the role said it listens on, after `start`.
    """

    def __init__(self, role: str, config: Path, log_file: Path, before: Sequence[str] = ()):
        self.role = role
        self.config = config
        self.log_file = log_file
        self.ports: dict[str, int] = {}
        self._before = before
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process's number. Raises EnvironmentProblem before `start`."""
        if self._process is None:
            raise EnvironmentProblem(f"{self.role} was not started")
        return self._process.pid

    async def start(self) -> dict[str, int]:
        """Starts the process and returns its ports when it is ready. Raises EnvironmentProblem."""
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._before,
                sys.executable,
                "-m",
                "clsbench",
                self.role,
                "serve",
                "--config",
                str(self.config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _READY_S)
            ready = json.loads(line)
        except (TimeoutError, ValueError) as error:
            await self.kill()
            raise EnvironmentProblem(
                f"{self.role} did not get ready within {_READY_S:g} s. Its last words "
                f"({self.log_file}):\n{self._last_words()}"
            ) from error
        self.ports = ready["ports"]
        return self.ports

    async def stop(self) -> int:
        """Asks the process to end (SIGTERM) and returns its exit code; kills it after a while."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_S)
            except TimeoutError:
                self._process.kill()
        return await self._process.wait()

    async def kill(self) -> None:
        """Kills the process as a power cut would (SIGKILL)."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def _last_words(self) -> str:
        text = self.log_file.read_text(errors="replace").strip()
        return "\n".join("  " + line for line in text.splitlines()[-12:]) or "  (none)"
