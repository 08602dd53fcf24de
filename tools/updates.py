"""Updates of a board whose power is cut at a random instant of each.

    python tools/updates.py [--updates N] [--seed N] [--board unix|rp2040] [--uf2 FILE]

Three in five versions are sound; the others do not start, hang, read no meter or never learn the
time. On an emulated Pico the cut tears the flash it falls into. After each the board must run a
whole version: the new one if it is sound, else the one before; every record must be there. Ends
with one line; exit code 1 with findings.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

from clsbench.bench.updates import BROKEN, SOUND, Course, UpdateBench
from clsbench.hil.benching import Bench
from clsbench.hil.update_campaign import TRIAL_S, UpdateCampaign


async def run_updates(work: Path, updates: int, seed: int) -> Course:
    """The course of all updates."""
    chance = random.Random(seed)
    bench = UpdateBench(work, chance)
    kinds = [SOUND] * 6 + list(BROKEN)
    try:
        await bench.start()
        for turn in range(updates):
            await bench.switch()
            kind = chance.choice(kinds)
            await bench.update(kind)
            await bench.look_at_records()
            _say(f"{turn + 1}/{updates} {kind}: {bench.course.findings or 'as it must'}")
    finally:
        bench.close()
    return bench.course


def run_on_pico(work: Path, image: Path, updates: int, seed: int) -> Course:
    """The same on an emulated Pico, in its own time."""
    from clsbench.hil.rp2040.board import Rp2040Board  # noqa: PLC0415 - an extra

    board = Rp2040Board(work, image)
    bench = Bench(board, work)
    try:
        bench.start(trial_s=TRIAL_S)
        return UpdateCampaign(bench, board, work, random.Random(seed)).run(updates, _say)
    finally:
        board.close()


def _say(text: str) -> None:
    print(f"updates: {text}", file=sys.stderr, flush=True)


def figures(course: Course) -> str:
    """One line."""
    ends = ", ".join(f"{number} {name}" for name, number in sorted(course.ends.items()))
    return (
        f"{course.updates} updates, {course.cuts} power cuts, {course.begun_again} begun again; "
        f"{ends}; {course.records} records; {len(course.findings)} findings"
    )


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Updates with power cuts.")
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--board", choices=["unix", "rp2040"], default="unix")
    parser.add_argument("--uf2", type=Path, default=os.environ.get("CLSBENCH_UF2"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clsbench-updates-") as folder:
        if options.board == "unix":
            course = asyncio.run(run_updates(Path(folder), options.updates, options.seed))
        elif options.uf2 is None:
            parser.error("--uf2 FILE, or CLSBENCH_UF2, is needed")
        else:
            course = run_on_pico(Path(folder), options.uf2, options.updates, options.seed)
    for finding in course.findings:
        print(finding)
    print(figures(course))
    return 1 if course.findings else 0


if __name__ == "__main__":
    sys.exit(main())
