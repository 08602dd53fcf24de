"""A month of a device in minutes: TAF7 and twenty switchings a day through the real firmware.

    python tools/month.py [--days N] [--out DIR]

31 days in two legs, around the change days of October and March, on a 256 KB heap. Ends with one
line of figures; exit code 1 when a quarter hour is in no record, a record does not verify, sums
are not exact or the heap has grown.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from clsbench.bench.month import PERIODS_A_DAY, Leg, figures, run_leg

DESCRIPTION = "A month of a device in minutes, through the real firmware."
LEGS = (("October", datetime(2026, 10, 17, 0, 0, tzinfo=UTC), 16),)
LEGS += (("March", datetime(2027, 3, 20, 0, 0, tzinfo=UTC), 15),)
HEAP_GROWTH = 512  # bytes; a byte for each record would be some 1,000


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--days", type=int, help="of one leg, around the change day of October")
    parser.add_argument("--out", type=Path, help="keep state and logs there")
    arguments = parser.parse_args()
    plan = LEGS if arguments.days is None else ((*LEGS[0][:2], arguments.days),)
    with tempfile.TemporaryDirectory(prefix="month-") as folder:
        work = arguments.out or Path(folder)
        legs = [_leg(work / name, name, at, days) for name, at, days in plan]
        details = [vars(leg) for leg in legs]
        (work / "legs.json").write_text(json.dumps(details, indent=2) + "\n")
    for leg in legs:
        earlier, later = leg.floors()
        if later - earlier > HEAP_GROWTH:
            leg.findings.append(f"heap grew from {earlier} to {later} bytes")
        for text in leg.findings[:20]:
            print(f"month: {leg.name}: {text}", file=sys.stderr)
    print(f"month: {figures(legs)}")
    return 0 if all(leg.ok for leg in legs) else 1


def _leg(work: Path, name: str, at: datetime, days: int) -> Leg:
    work.mkdir(parents=True, exist_ok=True)
    first_ms = int(at.timestamp() * 1000)
    return asyncio.run(run_leg(work, name, first_ms, days * PERIODS_A_DAY))


if __name__ == "__main__":
    sys.exit(main())
