"""`clsbench decode mbus` and `wmbus`: readings as JSON or as a table."""

import json
from collections.abc import Callable
from typing import Any

import click

from clsbench.cli.captures import on_micropython, read_lines
from clsbench.errors import BadInput
from clsbench.meters import mbus_document, mbus_text, wmbus_document

Plain = dict[str, Any]

_KEY_SIZE = 16
_FILE_WIDTH = 110  # of the table where no terminal tells its own


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Arguments that both commands have."""
    for decorate in (
        click.option(
            "--on",
            "interpreter",
            type=click.Choice(["cpython", "micropython"]),
            default="cpython",
            show_default=True,
            help="Interpreter the decoder runs in.",
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
        click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    ):
        command = decorate(command)
    return command


@click.command()
@_options
def mbus(files: tuple[str, ...], as_json: bool, interpreter: str) -> None:
    """Decode wired M-Bus frames in FILEs: raw bytes or hex text; - is stdin.

    With --json one FILE gives its document, several give a list of documents with "file".
    """

    def read(pieces: list[bytes]) -> Plain:
        data = b"".join(pieces)
        if interpreter == "micropython":
            return mbus_text.readable(on_micropython(data, mbus_document.__file__))
        return mbus_text.readable(mbus_document.document(data))

    _decode(files, as_json, read)


@click.command()
@_options
@click.option(
    "--key",
    "key_text",
    metavar="HEX",
    envvar="CLSBENCH_WMBUS_KEY",
    help="Key of the meter, 32 hex digits; in the variable it stays out of the process list.",
)
def wmbus(files: tuple[str, ...], as_json: bool, interpreter: str, key_text: str | None) -> None:
    """Decode wireless M-Bus telegrams in FILEs: raw bytes, or hex text, a telegram per line.

    Link layer formats A and B and telegrams without checksums are told apart by themselves.
    """
    key = _key(key_text)

    def read(lines: list[bytes]) -> Plain:
        whole = all(line[0] < len(line) for line in lines if line)
        pieces = lines if whole else [b"".join(lines)]  # lines may also break one telegram
        if interpreter == "micropython":
            packed = wmbus_document.packed(pieces, key)
            return mbus_text.readable_wireless(on_micropython(packed, wmbus_document.__file__))
        return mbus_text.readable_wireless(wmbus_document.document(pieces, key or None))

    _decode(files, as_json, read)


def _key(text: str | None) -> bytes:
    if not text:
        return b""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_SIZE:
        raise BadInput("--key: expected the 16 bytes of an AES-128 key as 32 hex digits")
    return key


def _decode(files: tuple[str, ...], as_json: bool, read: Callable[[list[bytes]], Plain]) -> None:
    documents = [{"file": name, **read(read_lines(name))} for name in files]
    if as_json:
        plain = [{key: doc[key] for key in doc if key != "file"} for doc in documents]
        print(json.dumps(documents if len(documents) > 1 else plain[0], sort_keys=True))
        return
    for doc in documents:
        _show(doc)


def _show(doc: Plain) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console = Console(soft_wrap=True, width=_FILE_WIDTH)
    for frame in doc["frames"]:
        where = f"{doc['file']} at {frame['offset']}, {frame['length']} bytes"
        console.print(f"{where}: {_headline(frame)}", markup=False, highlight=False)
        table = Table()
        for title in ("quantity", "value", "unit", "function", "register", ""):
            table.add_column(
                title, overflow="fold", justify="right" if title == "value" else "left"
            )
        for record in frame["records"]:
            table.add_row(*_row(record))
        if frame["records"]:
            console.print(table)
        for record in frame["records"]:
            if record.get("profile"):
                text = f"{record['quantity']} {_register(record)} {_profile(record['profile'])}"
                console.print(text, markup=False, highlight=False)
    good = sum(frame["valid"] for frame in doc["frames"])
    thrown = ", ".join(f"{reason} {count}" for reason, count in sorted(doc["discarded"].items()))
    console.print(f"{doc['file']}: {good} good; discarded: {thrown or 'nothing'}", markup=False)


_FUNCTIONS = {
    "Instantaneous value": "",
    "Actual value": "",
    "Maximum value": "maximum",
    "Minimum value": "minimum",
    "Value during error state": "in error",
}


def _headline(frame: Plain) -> str:
    header = frame["header"]
    told = [] if frame["valid"] else [f"refused, {frame['error']}"]
    if frame.get("application_error"):
        told.append(frame["application_error"])
    if header is None:
        return ", ".join(told or [str(frame.get("kind") or "no header")])
    if "Id" in header:
        told.append(f"meter {header.get('Manufacturer', '')} {header['Id']}".replace("  ", " "))
    told += [f"{name} {header[key]}" for name, key in _HEADLINE if header.get(key) is not None]
    return ", ".join(told + frame.get("quirks", []))


_HEADLINE = (
    ("medium", "Medium"),
    ("version", "Version"),
    ("status", "Status"),
    ("mode", "mode"),
    ("counter", "counter"),
)


def _row(record: Plain) -> list[str]:
    remarks = [*record.get("modifiers", []), *record.get("quirks", [])]
    return [
        record["quantity"] or "",
        "" if record.get("profile") else _short(record["value"]),
        str(record["unit"]),
        _FUNCTIONS.get(record["function"], str(record["function"])),
        _register(record),
        "; ".join(remarks),
    ]


def _register(record: Plain) -> str:
    """Storage, and where they were sent tariff and device: "1" or "1/2/0"."""
    return "/".join(record[key] for key in ("storage", "tariff", "device") if record[key])


def _short(value: str | None) -> str:
    """A number without the zeros at its end."""
    if value is None:
        return "?"
    whole, point, decimals = value.partition(".")
    if point and decimals.isdigit() and whole.lstrip("-").isdigit():
        return f"{whole}.{decimals.rstrip('0')}".rstrip(".")
    return value


def _profile(profile: Plain) -> str:
    values = " ".join(_short(value) for value in profile["values"])
    return f"every {profile['spacing']} {profile['spacing_unit']} {profile['direction']}: {values}"
