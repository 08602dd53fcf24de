"""`clsbench demo`: the whole chain without hardware, and what came of it."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

import click

from clsbench.demo.result import summary, write_files
from clsbench.demo.run import DemoOptions, DemoResult, prepare, run_demo
from clsbench.demo.workspace import Workspace
from clsbench.errors import BadInput
from clsbench.eventlog import EventReader, read_events
from clsbench.report.html import write_report
from clsbench.report.timeline import Timeline


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder for records, event log and report.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@click.option("--board", default="unix", show_default=True, help="Board that runs the firmware.")
@click.option(
    "--speed",
    type=click.IntRange(20, 240),
    default=150,
    show_default=True,
    help="Seconds of the bench's clock per second.",
)
@click.option(
    "--scenario",
    type=click.Choice(["plant", "house"]),
    default="plant",
    show_default=True,
    help="What the base meter sees: the plant alone, or a house too.",
)
@click.option(
    "--lmn-capture",
    type=click.Path(path_type=Path),
    default=None,
    help="Captured SML bytes to be played as the base meter.",
)
@click.option(
    "--heap",
    default="384k",
    show_default=True,
    help="Heap of the interpreter; 64-bit objects are twice as large as a board's.",
)
def demo(
    out: Path,
    as_json: bool,
    board: str,
    speed: int,
    scenario: str,
    lmn_capture: Path | None,
    heap: str,
) -> int:
    """Runs the whole chain: GWA, aEMT, SMGW, meters and a DICAMM on real MicroPython."""
    if board != "unix":
        raise BadInput(f"--board {board}: the demo runs on the board 'unix'")
    options = DemoOptions(out, speed, scenario, lmn_capture, heap)
    space = prepare(options)
    result = asyncio.run(_with_timeline(options, space, quiet=as_json))
    content = write_files(result, out)
    write_report(read_events(out / "events.jsonl"), content, out / "report.html")
    if as_json:
        print(json.dumps(content))
    else:
        print("\n".join(summary(content, result.checks, out)))
    return 0 if content["ok"] else 1


async def _with_timeline(options: DemoOptions, space: Workspace, quiet: bool) -> DemoResult:
    """Runs the demo with the live timeline: on stdout, or on stderr beside `--json`."""
    stream = sys.stderr if quiet else sys.stdout

    def write(line: str) -> None:
        print(line, file=stream, flush=True)

    timeline = Timeline(EventReader(options.out / "events.jsonl"), write, colour=stream.isatty())
    stop = asyncio.Event()
    watching = asyncio.create_task(timeline.run(stop))
    try:
        return await run_demo(options, space, write)
    finally:
        stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
