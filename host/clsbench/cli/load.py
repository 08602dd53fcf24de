"""`clsbench load`: thousands of control boxes with mutual TLS on one gateway."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from clsbench.load.bench import LoadBench, Plan
from clsbench.load.result import Result, table


@click.command()
@click.option("--boxes", default=3000, type=click.IntRange(2, 20_000), show_default=True)
@click.option(
    "--events",
    type=click.IntRange(1, 1_000_000),
    help="TAF16 events in all, taken in turn. Default: one for each box.",
)
@click.option(
    "--at-once", default=64, type=click.IntRange(1, 1000), show_default=True, help="In flight."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def load(boxes: int, events: int | None, at_once: int, as_json: bool) -> int:
    """Holds thousands of TLS sessions on one gateway, and sends events through it.

    Starts a gateway and an aEMT of its own. Every box has its own certificate and its own
    session; every event becomes a signed record and is followed until the aEMT has it. Exit
    code 1 when a session fell, or a record is missing, doubled or wrong.
    """
    plan = Plan(boxes, boxes if events is None else events, at_once)
    with tempfile.TemporaryDirectory(prefix="clsbench-load-") as folder, _Bars() as progress:
        result = asyncio.run(_run(Path(folder), plan, progress))
    if as_json:
        print(json.dumps(result.document()))
    else:
        Console().print(table(result))
        print(f"{result.held} of {result.boxes} sessions stood to the end")
        for finding in result.findings:
            print(f"finding: {finding}")
    return 0 if result.ok else 1


async def _run(folder: Path, plan: Plan, progress: "_Bars") -> Result:
    bench = LoadBench(folder, plan, progress)
    try:
        return await bench.run()
    finally:
        await bench.close()


class _Bars:
    """Bars on standard error."""

    def __init__(self) -> None:
        self._bars = Bars(
            TextColumn("{task.description:>14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
        )
        self._now = None

    def __enter__(self) -> "_Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def phase(self, name: str, steps: int) -> None:
        """A new bar."""
        self._now = self._bars.add_task(name, total=steps)

    def step(self, number: int = 1) -> None:
        """So many done."""
        if self._now is not None:
            self._bars.advance(self._now, number)
