"""Memory and processor time of another process, as the system tells them. Linux only."""

import os
from dataclasses import dataclass
from pathlib import Path

from clsbench.errors import EnvironmentProblem

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True)
class Reading:
    """resident_kib: memory in use; cpu_ns: processor time of all threads since its start."""

    resident_kib: int
    cpu_ns: int


def read(pid: int) -> Reading:
    """The process `pid` now. Raises EnvironmentProblem where the system does not tell."""
    home = Path("/proc") / str(pid)
    try:
        pages = int((home / "statm").read_text().split()[1])
        tasks = [int((task / "schedstat").read_text().split()[0]) for task in _tasks(home)]
    except (OSError, ValueError, IndexError) as error:
        raise EnvironmentProblem(
            f"memory and processor time of process {pid} cannot be read ({error}). "
            "This needs Linux with /proc/PID/schedstat"
        ) from error
    return Reading(pages * _PAGE_KIB, sum(tasks))


def _tasks(home: Path) -> list[Path]:
    return list((home / "task").iterdir())
