"""`clsbench decode`: captured bytes through the device's own decoders."""

import json
from typing import Any

import click

from clsbench.cli.captures import on_micropython, read_capture
from clsbench.cli.decode_mbus import mbus, wmbus
from clsbench.cli.decode_modbus import modbus
from clsbench.meters import sml_document
from clsbench.meters.device_id import device_id

_UNITS = {8: "°", 27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh"}
_UNITS |= {33: "A", 35: "V", 44: "Hz", 0: "", None: ""}  # DLMS unit codes, IEC 62056-6-2


@click.group()
def decode() -> None:
    """Decode captured bytes with the device's decoder."""


decode.add_command(modbus)
decode.add_command(mbus)
decode.add_command(wmbus)


@decode.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option(
    "--on",
    "interpreter",
    type=click.Choice(["cpython", "micropython"]),
    default="cpython",
    show_default=True,
    help="Interpreter the decoder runs in.",
)
def sml(files: tuple[str, ...], as_json: bool, interpreter: str) -> None:
    """Decode meter telegrams (SML) in FILEs: raw bytes or hex text; - is stdin.

    With --json one FILE gives its document, several give a list of documents with "file".
    """
    run = _sml_on_micropython if interpreter == "micropython" else sml_document.document
    documents = [{"file": name, **run(read_capture(name))} for name in files]
    if as_json:
        plain = [{key: doc[key] for key in doc if key != "file"} for doc in documents]
        print(json.dumps(documents if len(documents) > 1 else plain[0], sort_keys=True))
        return
    for doc in documents:
        _show(doc)


def _sml_on_micropython(data: bytes) -> dict[str, Any]:
    return on_micropython(data, sml_document.__file__)


def _show(doc: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    for frame in doc["frames"]:
        where = f"{doc['file']} at {frame['offset']}, {frame['length']} bytes"
        console.print(f"{where}: {_headline(frame)}", markup=False)
        table = Table()
        for title in ("OBIS", "value", "unit", "status", "quirks"):
            table.add_column(
                title, overflow="fold", justify="right" if title == "value" else "left"
            )
        for entry in frame["entries"]:
            table.add_row(*_row(entry))
        if frame["entries"]:
            console.print(table)
    console.print(f"{doc['file']}: {_summary(doc)}", markup=False)


def _headline(frame: dict[str, Any]) -> str:
    if not frame["valid"]:
        return f"discarded, {frame['reason']}"
    server = frame["server_id"]
    meter = device_id(bytes.fromhex(server)) if server else "unknown"
    return ", ".join([f"meter {meter}", f"CRC {frame['crc']}", *frame["quirks"]])


def _row(entry: dict[str, Any]) -> list[str]:
    shown = [entry[key] for key in ("value", "text", "raw") if entry[key] is not None]
    status = "" if entry["status"] is None else f"{entry['status']:x}"
    unit = _UNITS.get(entry["unit"], str(entry["unit"]))
    return [entry["obis"], str(shown[0]) if shown else "", unit, status, " ".join(entry["quirks"])]


def _summary(doc: dict[str, Any]) -> str:
    good = sum(frame["valid"] for frame in doc["frames"])
    thrown = ", ".join(f"{reason} {count}" for reason, count in sorted(doc["discarded"].items()))
    return f"{good} good; discarded: {thrown or 'nothing'}"
