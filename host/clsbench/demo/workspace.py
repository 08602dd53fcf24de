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
        return self.out / "work"

    @classmethod
    def prepare(cls, out: Path) -> "Workspace":
        """Empties and marks the folder. Raises BadInput when it holds anything but a demo."""
        try:
            if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
                raise BadInput(
                    f"--out {out}: the folder is not empty and no demo made it; name another"
                )
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            (out / _MARK).write_text("made by clsbench demo; its content is replaced\n")
            space = cls(out.resolve())
            space.work.mkdir(mode=0o700)
        except (OSError, NotADirectoryError) as error:
            raise EnvironmentProblem(f"--out {out}: cannot be written: {error}") from error
        os.chmod(space.work, 0o700)
        return space
