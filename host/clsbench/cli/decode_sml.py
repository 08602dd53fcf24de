"""`clsbench decode sml`: meter telegrams from files or a port, and what is wrong with them."""

import json
from typing import TYPE_CHECKING, Any

import click

from clsbench.cli.captures import on_micropython, read_capture
from clsbench.cli.decoding import interpreter_option, print_documents
from clsbench.errors import BadInput
from clsbench.meters import sml_document
from clsbench.meters.device_id import device_id
from clsbench.meters.sml_advice import advice
from clsbench.meters.sml_quirk_words import words

if TYPE_CHECKING:
    from rich.console import Console

Plain = dict[str, Any]

_UNITS = {8: "°", 27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh"}
_UNITS |= {33: "A", 35: "V", 44: "Hz", 0: "", None: ""}  # DLMS unit codes, IEC 62056-6-2


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; --port: one a line.")
@interpreter_option
@click.option("--port", help="Listen to a serial port instead of reading FILEs.")
@click.option("--baud", type=click.IntRange(300), default=9600, show_default=True)
@click.option("--seconds", type=click.FloatRange(0), help="Listen so long; default: until Ctrl-C.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many telegrams.")
def sml(
    files: tuple[str, ...],
    as_json: bool,
    interpreter: str,
    port: str | None,
    baud: int,
    seconds: float | None,
    count: int | None,
) -> None:
    """Decode meter telegrams (SML) in FILEs: raw bytes or hex text; - is stdin.

    With --json one FILE gives its document, several give a list of documents with "file". What
    is wrong on the line (no bytes, text instead of SML, bad checksums, a missing PIN) is told
    behind the telegrams. With --port the last line counts what came and what was discarded; exit
    code 1: no good telegram came.
    """
    if bool(files) == bool(port):
        raise BadInput("decode sml: name FILEs, or a port with --port, and not both")
    if port and interpreter != "cpython":
        raise BadInput("decode sml: --on micropython decodes FILEs; a port is listened to here")
    if port:
        _listen(port, baud, seconds, count, as_json)
        return
    run = _on_micropython if interpreter == "micropython" else sml_document.document
    documents = [{"file": name, **run(read_capture(name))} for name in files]
    if as_json:
        print_documents(documents)
        return
    console = _console()
    for doc in documents:
        for frame in doc["frames"]:
            _show_frame(console, doc["file"], frame)
        _show_readouts(console, doc.get("readouts", []))
        _show_quirks(console, doc["frames"])
        console.print(f"{doc['file']}: {_summary(doc)}", markup=False)
        _show_findings(console, doc.get("diagnosis", []))


def _on_micropython(data: bytes) -> Plain:
    return on_micropython(data, sml_document.__file__)


def _listen(port: str, baud: int, seconds: float | None, count: int | None, as_json: bool) -> None:
    from clsbench.meters.sml_listener import SmlListener

    console = _console()
    listener = SmlListener(port, baud)
    for item in listener.run(seconds, count):
        if as_json:
            print(json.dumps(item, sort_keys=True), flush=True)
        elif "finding" in item:
            _show_findings(console, [item])
        elif "crc" in item:
            _show_frame(console, port, item)
        else:
            _show_readouts(console, [item])
    summary = {"good": listener.good, "discarded": listener.discarded}
    if as_json:
        print(json.dumps(summary, sort_keys=True))
    else:
        console.print(f"{port}: {_counts(**summary)}", markup=False)
    if not listener.good:
        raise click.exceptions.Exit(1)


def _console() -> "Console":
    from rich.console import Console

    return Console(soft_wrap=True)


def _show_frame(console: "Console", source: str, frame: Plain) -> None:
    where = f"{source} at {frame['offset']}, {frame['length']} bytes"
    console.print(f"{where}: {_headline(frame)}", markup=False)
    for body in frame.get("bodies", []):
        console.print(f"  {json.dumps(body, sort_keys=True)}", markup=False, highlight=False)
    rows = [_row(entry) for entry in frame["entries"]]
    _show_table(console, ("OBIS", "value", "unit", "status", "quirks"), rows)


def _show_readouts(console: "Console", readouts: list[Plain]) -> None:
    for readout in readouts:
        checked = "block check good" if readout["checked"] else "no block check"
        title = f"text readout of {readout['manufacturer']} {readout['identification']}"
        console.print(f"{title}, {checked}", markup=False)
        rows = [
            [entry["name"], entry["value"] or entry["text"], _UNITS.get(entry["unit"], "")]
            for entry in readout["entries"]
        ]
        _show_table(console, ("name", "value", "unit"), rows)


def _show_table(console: "Console", titles: tuple[str, ...], rows: list[list[str]]) -> None:
    from rich.table import Table

    table = Table()
    for title in titles:
        table.add_column(title, overflow="fold", justify="right" if title == "value" else "left")
    for row in rows:
        table.add_row(*row)
    if rows:
        console.print(table)


def _show_quirks(console: "Console", frames: list[Plain]) -> None:
    shown = [part for frame in frames for part in (frame, *frame["entries"])]
    for name in sorted({quirk for part in shown for quirk in part["quirks"]}):
        console.print(f"quirk {words(name)}", markup=False, highlight=False)


def _show_findings(console: "Console", findings: list[Plain]) -> None:
    for finding in findings:
        text = advice(finding["finding"], finding["number"])
        console.print(f"finding: {text}", markup=False, highlight=False)


def _headline(frame: Plain) -> str:
    if not frame["valid"]:
        return f"discarded, {frame['reason']}"
    server = frame["server_id"]
    meter = device_id(bytes.fromhex(server)) if server else "unknown"
    return ", ".join([f"meter {meter}", f"CRC {frame['crc']}", *frame["quirks"]])


def _row(entry: Plain) -> list[str]:
    shown = [entry[key] for key in ("value", "text", "raw") if entry[key] is not None]
    status = "" if entry["status"] is None else f"{entry['status']:x}"
    unit = _UNITS.get(entry["unit"], str(entry["unit"]))
    return [entry["obis"], str(shown[0]) if shown else "", unit, status, " ".join(entry["quirks"])]


def _summary(doc: Plain) -> str:
    return _counts(sum(frame["valid"] for frame in doc["frames"]), doc["discarded"])


def _counts(good: int, discarded: dict[str, int]) -> str:
    thrown = ", ".join(f"{reason} {count}" for reason, count in sorted(discarded.items()))
    return f"{good} good; discarded: {thrown or 'nothing'}"
