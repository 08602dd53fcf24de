"""Updates of a board whose power is cut at a random instant of each.

    python tools/updates.py [--updates N] [--seed N]

Three in five versions are sound; the others do not start, hang, read no meter or never learn the
time. After each the board must run a whole version: the new one if it is sound, else the one
before; every record must be there. Ends with one line; exit code 1 with findings.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from clsbench.bench.updates import BROKEN, SOUND, Course, UpdateBench


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
            told = f"{turn + 1}/{updates} {kind}: {bench.course.findings or 'as it must'}"
            print(f"updates: {told}", file=sys.stderr, flush=True)
    finally:
        bench.close()
    return bench.course


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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clsbench-updates-") as folder:
        course = asyncio.run(run_updates(Path(folder), options.updates, options.seed))
    for finding in course.findings:
        print(finding)
    print(figures(course))
    return 1 if course.findings else 0


if __name__ == "__main__":
    sys.exit(main())
