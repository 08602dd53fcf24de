"""Whole-system chaos: 1,000 transactions through the demo's chain while it is being broken.

    python tools/chaos.py [--seed N] [--transactions N] [--out DIR]

Firmware, gateway and aEMT are killed at random instants, the line between board and gateway and
the board's console are cut, delayed, doubled, reordered and corrupted, the gateway's clock is
stepped, the meter falls silent. Ends with one line of figures; exit code 1 when a transaction is
lost, doubled or unexplained, or a record does not verify. SIGTERM ends it early: what was
commanded until then is judged.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
from pathlib import Path

from clsbench.bench.chaos import Chaos, ChaosChain, Course
from clsbench.bench.chaos_verdict import Verdict, figures, judge, settle
from clsbench.bench.observer import DeviceObserver

DESCRIPTION = "Whole-system chaos: transactions through the demo's chain while it is being broken."
GAP_S = (0.3, 1.6)  # between two faults


async def run_chaos(
    work: Path,
    seed: int,
    transactions: int,
    gap_s: tuple[float, float] = GAP_S,
    roles: bool = True,
) -> tuple[Course, Verdict]:
    """A chain in `work`, broken and mended; what was commanded, and what came of it."""
    chance = random.Random(seed)
    chain = ChaosChain(work / "work", work / "events.jsonl", chance)
    try:
        await chain.start()
        await _ready(chain)
        chaos = Chaos(chain, chance, gap_s, roles)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, chaos.stop)
        course = await chaos.run(transactions, _say)
        await settle(chain)
        verdict = judge(chain, course, chain.key_file.read_bytes())
    finally:
        await chain.close()
    return course, verdict


async def _ready(chain: ChaosChain) -> None:
    observer = DeviceObserver(chain.board.path, chain.key_file.read_bytes(), chain.events)
    await observer.start()
    await observer.wait_ready()
    await observer.stop()


def _say(text: str) -> None:
    print(f"chaos: {text}", file=sys.stderr, flush=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--transactions", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="keep state, logs and events there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        work = arguments.out or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        course, verdict = asyncio.run(run_chaos(work, arguments.seed, arguments.transactions))
        details = {"lost": verdict.lost, "duplicated": verdict.duplicated}
        details |= {"unexplained": verdict.unexplained, "findings": verdict.findings}
        (work / "verdict.json").write_text(json.dumps(details, indent=2) + "\n")
    for name, found in details.items():
        for text in found[:20]:
            print(f"chaos: {name}: {text}", file=sys.stderr)
    print(f"chaos: seed {arguments.seed}: {figures(course, verdict)}")
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
