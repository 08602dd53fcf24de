"""10,000 commands through the whole chain while SMGW, aEMT and lines are killed 50 times.

    python tools/commands.py [--commands N] [--kills N] [--boxes N] [--seed N] [--out DIR]
                             [--via smgw|channel]

Boards run the real firmware; GWA, aEMT and SMGW are processes of their own. Ends with counts and
times; exit code 1 when a command is lost without a refusal, executed twice, or lacks the record
of one of the two witnesses. SIGTERM ends it early: what was given until then is judged.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
from pathlib import Path

from clsbench.bench.commands_run import Course, Storm, settle
from clsbench.bench.commands_verdict import Verdict, figures, judge
from clsbench.bench.fleet import CHANNEL, SMGW, Fleet


async def run_commands(
    work: Path, seed: int, commands: int, kills: int, boxes: int, via: str = SMGW
) -> tuple[Course, Verdict]:
    """A fleet in `work`, commanded and broken; what was given, and what came of it."""
    chance = random.Random(seed)
    fleet = Fleet(work, boxes, chance, via)
    storm = Storm(fleet, chance, commands, kills)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, storm.stop)
    try:
        await fleet.start()
        course = await storm.run(_say)
        await settle(fleet)
        verdict = judge(fleet, course)
    finally:
        await fleet.close()
    return course, verdict


def _say(text: str) -> None:
    print(f"commands: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Commands through the chain, parts being killed.")
    parser.add_argument("--commands", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--boxes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--via", choices=(SMGW, CHANNEL), default=SMGW, help="way of the commands")
    parser.add_argument("--out", type=Path, help="keep state and logs there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="commands-") as folder:
        work = given.out or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        course, verdict = asyncio.run(
            run_commands(work, given.seed, given.commands, given.kills, given.boxes, given.via)
        )
        details = {"lost": verdict.lost, "executed twice": verdict.twice}
        details |= {"incomplete": verdict.incomplete, "findings": verdict.findings}
        (work / "verdict.json").write_text(json.dumps(details, indent=2) + "\n")
    for name, found in details.items():
        for text in found[:20]:
            print(f"commands: {name}: {text}", file=sys.stderr)
    print(f"commands: via {given.via}, seed {given.seed}: {figures(course, verdict)}")
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
