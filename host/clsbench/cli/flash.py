"""`clsbench flash` and `clsbench unflash`: MicroPython and the firmware onto a board, and off."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from clsbench.cli import flash_text
from clsbench.device import dicamm_config, flashing, image, selftest, unflashing
from clsbench.device.boards import KIB, board_names
from clsbench.device.copying import Progress as Advance
from clsbench.device.dicamm_config import DicammConfig
from clsbench.device.flashing import Outlook, Prepared
from clsbench.device.modules import slices
from clsbench.device.repl import RawRepl
from clsbench.errors import BadInput

_board = click.option(
    "--board",
    metavar="BOARD",
    help=f"What it is, where it does not say so itself: {', '.join(board_names())}.",
)


@click.command()
@click.option("--port", metavar="PORT", help="Serial port, pty, rfc2217:// or socket:// URL.")
@_board
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"What the device is to be (docs/flash.md). Without: {dicamm_config.FILE} here; "
    "else the settings the board has; else those of a bench.",
)
@click.option(
    "--with",
    "asked",
    multiple=True,
    metavar="PART",
    help=f"A part of the firmware besides: {', '.join(sorted(slices()))}.",
)
@click.option("--dry-run", is_flag=True, help="Look and tell; change nothing.")
@click.option(
    "--format", "may_format", is_flag=True, help="Files of yours on the board may be lost."
)
@click.option(
    "--wait",
    "start_s",
    envvar="CLSBENCH_START_S",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    metavar="S",
    help="How long its start may take, in s.",
)
@click.option("--expect-meter", is_flag=True, help="The self-test fails without its meter.")
@click.option(
    "--image",
    "image_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Put MicroPython itself on: .uf2 by the board's drive, .bin by esptool.",
)
@click.option(
    "--drive",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="With --image: where the drive RPI-RP2 (Pico 2: RP2350) is mounted.",
)
@click.option("--erase", is_flag=True, help="With --image of an ESP32: all may be erased.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def flash(
    port: str | None,
    board: str | None,
    config_file: Path | None,
    asked: tuple[str, ...],
    dry_run: bool,
    may_format: bool,
    start_s: int,
    expect_meter: bool,
    image_file: Path | None,
    drive: Path | None,
    erase: bool,
    as_json: bool,
) -> int:
    """Makes a board a DICAMM: firmware, keys, settings, time, self-test.

    Run again it copies only what differs, and mends what an interruption left. Exit code 1 when
    the self-test fails.
    """
    if image_file is not None:
        told = image.put(image_file, port, board, drive, erase, dry_run)
        print(json.dumps(told) if as_json else "\n".join(flash_text.image_lines(told)))
        return 0
    if port is None:
        raise click.UsageError("--port PORT is needed (see: clsbench doctor)")
    document = _flash(port, board, config_file, asked, dry_run, may_format)
    if not dry_run:
        expected = selftest.Expectation(**document.pop("expected"), meter_there=expect_meter)
        checks = asyncio.run(selftest.run(port, expected, start_s))
        document["checks"] = [vars(check) for check in checks]
        document["ok"] = selftest.passed(checks)
    print(json.dumps(document) if as_json else "\n".join(flash_text.lines(document)))
    return 0 if document["ok"] else 1


def _flash(
    port: str,
    board: str | None,
    config_file: Path | None,
    asked: tuple[str, ...],
    dry_run: bool,
    may_format: bool,
) -> dict[str, Any]:
    """Everything up to the restart; what was done as a document."""
    repl, found = flashing.open_board(port, board)
    with repl:
        config = _config(repl, config_file)
        _tell(f"{found.facts.title}, MicroPython {found.micropython}: compiling")
        prepared = flashing.prepare(found, config, asked, _cache(), writes=not dry_run)
        outlook = flashing.look(repl, prepared)
        if outlook.foreign and not may_format and not dry_run:
            raise BadInput(
                f"board on {port} holds files of yours: {', '.join(outlook.foreign)}.\n"
                "  Room for records beside the file system means making it anew. Save them "
                "(mpremote fs cp), then agree: --format"
            )
        document = _document(port, prepared, config, outlook)
        if dry_run:
            return document | {"dry_run": True}
        with _progress() as advance:
            report = flashing.write(repl, prepared, outlook, advance)
        flashing.restart(repl)
    _tell("restarted; waiting for the device")
    document["copied"] = {
        "files": report.written, "bytes": outlook.plan.size, "unchanged": report.unchanged,
        "removed": report.removed, "seconds": round(report.seconds, 1),
    }  # fmt: skip
    return document | {"expected": _expected(prepared, config)}


def _config(repl: RawRepl, config_file: Path | None) -> DicammConfig | None:
    if config_file is not None:
        return dicamm_config.read(config_file)
    here = Path(dicamm_config.FILE)
    if here.is_file():
        return dicamm_config.read(here)
    return None if flashing.holds_settings(repl) else DicammConfig()


def _document(
    port: str, prepared: Prepared, config: DicammConfig | None, outlook: Outlook
) -> dict[str, Any]:
    facts = prepared.found.facts
    return {
        "ok": True,
        "port": port,
        "board": facts.name,
        "title": facts.title,
        "micropython": prepared.found.micropython,
        "bytecode": prepared.bytecode,
        "limit": facts.mpy_kib * 1024,
        "slices": prepared.slices,
        "laid_out": outlook.fresh,
        "foreign": outlook.foreign,
        "records": {
            "first": facts.record_start,
            "sectors": facts.record_sectors,
            "kib": facts.record_sectors * facts.block_size // KIB,
            "fs_kib": facts.fs_blocks * facts.block_size // KIB,
        },
        "to_copy": [path for path, _ in outlook.plan.changed],
        "to_remove": outlook.plan.stale,
        "to_make": prepared.to_make,
        "unchanged": outlook.plan.unchanged,
        "device": None if config is None else _identity(config),
        "notes": prepared.notes,
    }


def _identity(config: DicammConfig) -> dict[str, Any]:
    device = config.device()
    return {
        "device_id": device.device_id,
        "cls_id": device.cls_id,
        "meter_id": device.meter_id,
        "model": device.model,
        "gateway": f"{device.gateway_host}:{device.gateway_port}" if config.gateway else None,
        "key_file": str(config.key_file),
    }


def _expected(prepared: Prepared, config: DicammConfig | None) -> dict[str, Any]:
    return {
        "facts": prepared.found.facts,
        "device_id": config.device_id if config else "",
        "meter_id": config.meter_id if config else "",
        "gateway": bool(config and config.gateway),
    }


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "clsbench" / "firmware"


def _tell(words: str) -> None:
    print(f"clsbench: {words}", file=sys.stderr, flush=True)


@contextmanager
def _progress() -> Iterator[Advance]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:38}"), BarColumn(), DownloadColumn())
    quiet = not console.is_terminal  # a CI job's log takes no bar
    elapsed = TimeElapsedColumn()
    with Progress(*columns, elapsed, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, total: int, path: str) -> None:
            bar.update(task, completed=done, total=total, description=path)

        yield advance


@click.command()
@click.option("--port", required=True, metavar="PORT", help="As for flash.")
@_board
@click.option("--all", "everything", is_flag=True, help="Records too, and the storage as it was.")
@click.option("--lose-records", is_flag=True, help="With --all: also undelivered ones.")
def unflash(port: str, board: str | None, everything: bool, lose_records: bool) -> None:
    """Takes firmware, settings and keys off a board; MicroPython stays, and so do records."""
    if everything and not lose_records and (count := asyncio.run(unflashing.undelivered(port))):
        raise BadInput(
            f"device on {port} holds {count} records that nobody has acknowledged.\n"
            f"  Fetch them: clsbench records --port {port} --key FILE --out DIR --ack; "
            "or give them up: --lose-records"
        )
    repl, found = flashing.open_board(port, board)
    with repl:
        unflashing.take_off(repl, found.facts, everything)
        flashing.restart(repl)
    kept = "" if everything else "; its records are still in its flash"
    print(f"{found.facts.title} on {port}: firmware, settings and keys are off{kept}.")
