"""The output folder of the demo: made new on each run, but never over somebody else's files."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from clsbench.errors import BadInput, EnvironmentProblem

_MARK = ".clsbench-demo"


@dataclass(frozen=True)
class Workspace:
    """out: the folder; events: the event log; work: keys, state and logs of the parts (0700)."""

    out: Path

    @property
    def events(self) -> Path:
        """The one event log."""
        return self.out / "events.jsonl"

    @property
    def work(self) -> Path:
        """What the parts keep for themselves."""
        return self.out / "parts"

    @classmethod
    def prepare(cls, out: Path) -> "Workspace":
        """Empties and marks the folder. Raises BadInput when it holds anything but a demo."""
        try:
            if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
                raise BadInput(
                    f"--out {out}: the folder is not empty and no demo made it; name another"
                )
            out.mkdir(parents=True, exist_ok=True)
            (out / _MARK).write_text("made by clsbench demo; its content is replaced\n")
            _empty(out)
            space = cls(out.resolve())
            space.work.mkdir(mode=0o700)
            os.chmod(space.work, 0o700)
        except OSError as error:
            raise EnvironmentProblem(f"--out {out}: cannot be written: {error}") from error
        return space


def _empty(folder: Path) -> None:
    """Removes everything but the mark; the folder itself may be a link or a mount and stays."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _MARK:
            entry.unlink()
