"""Times of switching over the CLS channel, through the whole chain.

    python tools/channel_latency.py [--pairs N] [--opened-by cls|emt|smgw|none]

Real firmware on the unix board, SMGW, GWA and aEMT as processes; "none": through the gateway, for
comparison. Prints p50 and p99 in milliseconds of real time, from the aEMT's command on.
"""

import argparse
import asyncio
import sys
import tempfile
import uuid as uuidlib
from pathlib import Path
from typing import Any

from clsbench.bench.chain import Chain, ChainOptions
from clsbench.bench.observer import DeviceObserver
from clsbench.eventlog import read_events

# event -> what it is a time of
STEPS = {
    "relay.closed": "relay",
    "relay.opened": "relay",
    "switch.answer": "answer",
    "record.device": "record",
}


async def run_pairs(work: Path, pairs: int, opened_by: str) -> tuple[list[dict[str, Any]], int]:
    """The event log of a chain that switched so often, and the board's free heap after it."""
    chain = Chain(work / "work", work / "events.jsonl", ChainOptions(channel=opened_by))
    observer = DeviceObserver(chain.board.path, b"", chain.events)
    try:
        await chain.start()
        observer.key = chain.key_file.read_bytes()
        await observer.start()
        await observer.wait_ready()
        for _ in range(pairs):
            uuid = str(uuidlib.uuid4())
            for action in ("begin", "end"):
                answer = await chain.operator.switch(chain.names.cls, action, uuid=uuid)
                if answer["code"]:
                    raise SystemExit(f"channel_latency: {action} refused: {answer}")
                await asyncio.sleep(0.15)
        await asyncio.sleep(1)
        free = (await observer.link.status())["heap"]["free"]
    finally:
        await observer.stop()
        await chain.close()
    return list(read_events(work / "events.jsonl")), free


def times_ms(events: list[dict[str, Any]]) -> dict[str, list[float]]:
    """For each step: milliseconds since the command, of every command."""
    found: dict[str, list[float]] = {step: [] for step in STEPS.values()}
    begun: dict[str, int] = {}
    for event in sorted(events, key=lambda event: event["t_ns"]):
        if event["name"] == "switch.command":
            begun = dict.fromkeys(STEPS.values(), int(event["t_ns"]))
        step = STEPS.get(event["name"], "")
        if step in begun:
            found[step].append((event["t_ns"] - begun.pop(step)) / 1e6)
    return found


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Times of switching over the CLS channel.")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--opened-by", choices=("cls", "emt", "smgw", "none"), default="cls")
    given = parser.parse_args()
    opened_by = "" if given.opened_by == "none" else given.opened_by
    with tempfile.TemporaryDirectory(prefix="channel-") as folder:
        events, free = asyncio.run(run_pairs(Path(folder), given.pairs, opened_by))
    for step, values in times_ms(events).items():
        if len(values) < given.pairs:
            print(f"channel_latency: only {len(values)} times of {step}", file=sys.stderr)
            return 1
        p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
        print(f"command to {step:6} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  n {len(values)}")
    print(f"board: {free // 1024} KB of heap free")
    return 0


if __name__ == "__main__":
    sys.exit(main())
