"""`clsbench report`: the report of a run again, from its event log."""

import json
from pathlib import Path
from typing import Any

import click

from clsbench.errors import BadInput
from clsbench.eventlog import read_events
from clsbench.report.html import write_report

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("events", type=_FILE, metavar="EVENTS.jsonl")
@click.option("--result", type=_FILE, help="result.json of the run: checks, differences, bounds.")
@click.option("--out", type=_FILE, default=Path("report.html"), show_default=True)
def report(events: Path, result: Path | None, out: Path) -> None:
    """Draw the report of a run from its event log: one HTML file that needs nothing else."""
    document = None if result is None else _document(result)
    write_report(_events(events), document, out)
    print(out)


def _events(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise BadInput(f"event log {path}: no such file; a run writes it as events.jsonl")
    try:
        return list(read_events(path))
    except OSError as error:
        raise BadInput(f"event log {path}: cannot be read: {error.strerror}") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"result document {path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"result document {path}: is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadInput(f"result document {path}: is no JSON object; give result.json of a run")
    return document
