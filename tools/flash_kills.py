"""`clsbench flash` killed at random instants, and repeated: it must always end well.

    python tools/flash_kills.py [--board unix|rp2040] [--kills 20] [--seed 1] [--uf2 FILE]

unix: a blank board for each kill; the command is killed, then run again to its end. rp2040: one
blank emulated Pico; killed so often in a row, then run to its end: each run goes on where the one
before was killed, since a whole run takes minutes there. Ends with one line of figures; exit 1
when a repeat failed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from clsbench.hil.ptys import Pty
from clsbench.hil.unix_board import UnixBoard

STORAGE = 352 * 4096  # of a Pico: blank
WAIT_S = "900"  # for the start of an emulated board on a busy machine


class KillRig:
    """Runs the command in `folder`, where its keys are."""

    def __init__(self, folder: Path, seed: int):
        self.folder = folder
        self.random = random.Random(seed)
        self.killed = self.ended_before = self.failed = 0

    def flash(self, port: str, kill_after_s: float | None = None) -> bool:
        """One run; whether it ended well. kill_after_s: when it is killed, None for never."""
        command = [sys.executable, "-m", "clsbench", "flash", "--port", port, "--json"]
        process = subprocess.Popen(
            [*command, "--wait", WAIT_S],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, XDG_CACHE_HOME=str(self.folder / "cache")),
        )  # fmt: skip
        try:
            out, errors = process.communicate(timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.killed += 1
            return False
        self.ended_before += kill_after_s is not None
        if process.returncode or not json.loads(out)["ok"]:
            print(f"flash failed ({process.returncode}):\n{out}{errors}", file=sys.stderr)
            return False
        return True

    def trial(self, port: str, longest_s: float) -> float:
        """Kills one run, repeats it to its end; returns how long the repeat took."""
        self.flash(port, self.random.uniform(0.0, longest_s))
        begin = time.monotonic()
        self.failed += not self.flash(port)
        return time.monotonic() - begin


@contextmanager
def unix_board(folder: Path) -> Iterator[str]:
    """A blank unix board, its bus without a meter; its port."""
    bus = Pty()
    try:
        with UnixBoard(folder, uarts={0: bus.path}) as board:
            board.wait_for_boot()
            yield board.path
    finally:
        bus.close()


def on_unix(rig: KillRig, kills: int) -> None:
    """A blank board for each kill."""
    with unix_board(rig.folder / "first") as port:
        rig.failed += not rig.flash(port)  # fills the cache
    with unix_board(rig.folder / "second") as port:
        begin = time.monotonic()
        rig.failed += not rig.flash(port)
        longest_s = time.monotonic() - begin
    while rig.killed < kills and not rig.failed:
        number = rig.killed + rig.ended_before
        with unix_board(rig.folder / f"board{number}") as port:
            longest_s = rig.trial(port, longest_s)  # the machine's load changes


@contextmanager
def blank_pico(folder: Path, image: Path) -> Iterator[Any]:
    """An emulated Pico whose storage is blank, behind a pty; `.path`: its port."""
    kind = import_module("clsbench.hil.rp2040.board").Rp2040Board  # an extra
    pty_port = import_module("clsbench.hil.rp2040.pty_port").PtyPort
    board = kind(folder, image)
    board.load(b"\xff" * STORAGE)
    with pty_port(board) as port:
        yield port
    board.close()


def on_rp2040(rig: KillRig, kills: int, image: Path, longest_s: float) -> None:
    """One blank board, killed again and again."""
    with blank_pico(rig.folder, image) as port:
        for _ in range(kills):
            rig.flash(port.path, rig.random.uniform(0.0, longest_s))
        rig.failed += not rig.flash(port.path)


def main() -> int:
    """Runs the rig; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", choices=["unix", "rp2040"], default="unix")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=60.0, help="s until a kill, at most")
    parser.add_argument("--uf2", type=Path, default=os.environ.get("CLSBENCH_UF2"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clsbench-kills-") as folder:
        rig = KillRig(Path(folder), options.seed)
        begin = time.monotonic()
        if options.board == "unix":
            on_unix(rig, options.kills)
        elif options.uf2 is None:
            parser.error("--uf2 FILE, or CLSBENCH_UF2, is needed")
        else:
            on_rp2040(rig, options.kills, options.uf2, options.longest)
        print(
            f"flash_kills {options.board} seed {options.seed}: {rig.killed} killed, "
            f"{rig.ended_before} had ended before, {rig.failed} repeats failed, "
            f"{time.monotonic() - begin:.0f} s"
        )
    return 1 if rig.failed else 0


if __name__ == "__main__":
    sys.exit(main())
