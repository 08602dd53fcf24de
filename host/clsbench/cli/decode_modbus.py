"""`clsbench decode modbus`: captured bytes of a Modbus line, explained frame by frame."""

from typing import TYPE_CHECKING, Any

import click

from clsbench.cli.decoding import interpreter_option, print_documents
from clsbench.meters import modbus_document

if TYPE_CHECKING:
    from clsbench.meters.catalogue import MeterModel


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--model", help="Also tell the values: name from `meter list`, or a .toml file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@interpreter_option
def modbus(files: tuple[str, ...], model: str | None, as_json: bool, interpreter: str) -> None:
    """Explain Modbus RTU frames in FILEs: raw bytes or hex text; - is stdin.

    Requests, replies, exceptions, frames with a wrong CRC, broken off ones, and noise; beside
    each request, what the device's own client makes of the bytes that follow. With --json one
    FILE gives its document, several give a list of documents with "file".
    """
    from clsbench.cli.captures import on_micropython, read_capture
    from clsbench.meters.catalogue import load

    found = load(model) if model else None
    documents = []
    for name in files:
        data = read_capture(name)
        if interpreter == "micropython":
            document = on_micropython(data, modbus_document.__file__)
        else:
            document = modbus_document.document(data)
        if found is not None:
            _add_values(document, found)
        documents.append(document)
    if as_json:
        print_documents([{"file": name, **each} for name, each in zip(files, documents)])
        return
    for name, document in zip(files, documents):
        _show(name, document)


def _add_values(document: dict[str, Any], model: "MeterModel") -> None:
    """Adds `values` to every reply whose request is known: [obis, raw, scaler, unit, value]."""
    from clsbench.meters.catalogue import compact
    from clsbench.meters.sml_document import decimal_text
    from dicamm.metering.meter import MeterProfile
    from dicamm.proto import obis

    profile = MeterProfile(compact(model))
    for frame in document["frames"]:
        known = frame["kind"] == "reply" and frame["registers"] and frame["address"] is not None
        if not known or frame["function"] not in (3, 4):
            continue
        payload = bytes.fromhex(frame["registers"])
        frame["values"] = [
            {
                "obis": obis.text(code),
                "raw": raw,
                "scaler": scaler,
                "unit": unit,
                "value": decimal_text(raw, scaler),
            }
            for code, raw, scaler, unit in profile.decode(
                frame["function"], frame["address"], payload
            )
        ]


def _show(name: str, document: dict[str, Any]) -> None:
    for frame in document["frames"]:
        click.echo(f"{frame['offset']:6}  {frame['kind']:9}  {_told(frame)}")
        click.echo(f"{'':19}{frame['raw']}")
        for value in frame.get("values", ()):
            click.echo(f"{'':19}{value['obis']} = {value['value']} (DLMS unit {value['unit']})")
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(document["counts"].items()))
    click.echo(f"{name}: {counts or 'nothing'}")


def _told(frame: dict[str, Any]) -> str:
    parts = []
    if frame["unit"] is not None:
        parts.append(f"unit {frame['unit']}")
    if frame["function"] is not None:
        parts.append(f"{frame['function']} {frame['function_name'] or 'unknown'}")
    if frame["address"] is not None:
        count = f" x {frame['count']}" if frame["count"] is not None else ""
        parts.append(f"0x{frame['address']:04X}{count}")
    if "exception" in frame:
        parts.append(f"exception {frame['exception']} {frame['exception_name']}")
    if frame["crc"] == "bad":
        parts.append(f"CRC sent {frame['crc_sent']}, computed {frame['crc_computed']}")
    if frame["kind"] in ("noise", "truncated"):
        parts.append(f"{frame['length']} bytes")
    parts.extend(f"{number}: {text}" for number, text in frame.get("objects", ()))
    if frame["note"]:
        parts.append(frame["note"])
    if "device" in frame and frame["device"] != "none":
        parts.append(f"the device: {frame['device']}")
    return ", ".join(parts)
