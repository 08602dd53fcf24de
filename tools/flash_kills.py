"""`clsbench flash` killed at random instants, and repeated: it must always end well.

    python tools/flash_kills.py [--board unix|rp2040] [--kills 20] [--seed 1] [--uf2 FILE]

A blank board for each kill; the command is killed, then run again to its end, which is the passed
self-test. Ends with one line of figures; exit 1 when a repeat failed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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


@contextmanager
def rp2040_board(folder: Path, image: Path) -> Iterator[str]:
    """A blank emulated Pico; its port."""
    with blank_pico(folder, image) as port:
        yield port.path


def campaign(rig: KillRig, kills: int, blank: Callable[[Path], Any]) -> None:
    """A blank board for each kill. blank: makes one in a folder, and gives its port."""
    with blank(rig.folder / "first") as port:
        rig.failed += not rig.flash(port)  # fills the cache
    with blank(rig.folder / "second") as port:
        begin = time.monotonic()
        rig.failed += not rig.flash(port)
        longest_s = time.monotonic() - begin
    while rig.killed < kills and not rig.failed:
        number = rig.killed + rig.ended_before
        with blank(rig.folder / f"board{number}") as port:
            longest_s = rig.trial(port, longest_s)  # the machine's load changes
            print(f"{rig.killed} of {kills} killed, repeat {longest_s:.1f} s", file=sys.stderr)


def main() -> int:
    """Runs the rig; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", choices=["unix", "rp2040"], default="unix")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--uf2", type=Path, default=os.environ.get("CLSBENCH_UF2"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clsbench-kills-") as folder:
        rig = KillRig(Path(folder), options.seed)
        begin = time.monotonic()
        if options.board == "unix":
            campaign(rig, options.kills, unix_board)
        elif options.uf2 is None:
            parser.error("--uf2 FILE, or CLSBENCH_UF2, is needed")
        else:
            campaign(rig, options.kills, partial(rp2040_board, image=options.uf2))
        print(
            f"flash_kills {options.board} seed {options.seed}: {rig.killed} killed, "
            f"{rig.ended_before} had ended before, {rig.failed} repeats failed, "
            f"{time.monotonic() - begin:.0f} s"
        )
    return 1 if rig.failed else 0


if __name__ == "__main__":
    sys.exit(main())
