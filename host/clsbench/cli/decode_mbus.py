"""`clsbench decode mbus` and `wmbus`: readings as JSON or as a table."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from clsbench.cli.captures import on_micropython, read_capture, read_lines
from clsbench.cli.decoding import interpreter_option, print_documents
from clsbench.errors import BadInput
from clsbench.meters import mbus_document, mbus_text, wmbus_document

if TYPE_CHECKING:
    from rich.console import Console

Plain = dict[str, Any]

_KEY_SIZE = 16
_SECONDARY_DIGITS = 16
_LAST_ADDRESS = 250
_FILE_WIDTH = 110  # of the table where no terminal tells its own


def _options(baud: int) -> Callable[..., Any]:
    """Arguments that both commands have; baud: of the port where none is told."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option(
                "--count", type=click.IntRange(1), help="Stop after so many good frames."
            ),
            click.option(
                "--seconds",
                type=click.FloatRange(0),
                help="Listen so long; default: until Ctrl-C.",
            ),
            click.option("--baud", type=click.IntRange(300), default=baud, show_default=True),
            click.option("--port", help="Listen to a serial port instead of reading FILEs."),
            interpreter_option,
            click.option("--json", "as_json", is_flag=True, help="JSON; --port: one a line."),
            click.argument("files", nargs=-1, metavar="FILE..."),
        ):
            command = option(command)
        return command

    return decorate


@click.command()
@click.option(
    "--ask",
    metavar="ADDRESS",
    help="With --port: ask the meter, 0 to 250 or the 16 hex digits of a secondary address.",
)
@_options(2400)
def mbus(
    files: tuple[str, ...],
    as_json: bool,
    interpreter: str,
    port: str | None,
    baud: int,
    seconds: float | None,
    count: int | None,
    ask: str | None,
) -> None:
    """Decode wired M-Bus frames in FILEs: raw bytes or hex text; - is stdin.

    With --json one FILE gives its document, several give a list of documents with "file". With
    --port the line is heard as it is, 8 data bits and even parity; meters only talk when
    somebody asks, which --ask does. Exit code 1: no good frame came.
    """
    _one_source(files, port, ask)
    if port:
        from clsbench.meters.mbus_listener import WiredLine

        with WiredLine(port, baud) as line:
            frames = line.ask(_address(ask)) if ask else line.run(seconds)
            _listen(line, frames, mbus_text.frame_text, count, as_json)
        return

    def read(name: str) -> Plain:
        data = read_capture(name)
        if interpreter == "micropython":
            return mbus_text.readable(on_micropython(data, mbus_document.__file__))
        return mbus_text.readable(mbus_document.document(data))

    _decode(files, as_json, read)


@click.command()
@click.option(
    "--key",
    "key_text",
    metavar="HEX",
    envvar="CLSBENCH_WMBUS_KEY",
    help="Key of the meter, 32 hex digits; in the variable it stays out of the process list.",
)
@_options(9600)
def wmbus(
    files: tuple[str, ...],
    as_json: bool,
    interpreter: str,
    port: str | None,
    baud: int,
    seconds: float | None,
    count: int | None,
    key_text: str | None,
) -> None:
    """Decode wireless M-Bus telegrams in FILEs: raw bytes, or hex text, a telegram per line.

    Link layer formats A and B and telegrams without checksums are told apart by themselves.
    With --port: what a receiver module sends, telegrams with a silence between them.
    """
    _one_source(files, port, None)
    key = _key(key_text)
    if port:
        from clsbench.meters.mbus_listener import WirelessLine

        with WirelessLine(port, baud, key or None) as line:
            _listen(line, line.run(seconds), mbus_text.wireless_text, count, as_json)
        return

    def read(name: str) -> Plain:
        lines = read_lines(name)
        whole = all(line[0] < len(line) for line in lines if line)
        pieces = lines if whole else [b"".join(lines)]  # lines may also break one telegram
        if interpreter == "micropython":
            packed = wmbus_document.packed(pieces, key)
            return mbus_text.readable_wireless(on_micropython(packed, wmbus_document.__file__))
        return mbus_text.readable_wireless(wmbus_document.document(pieces, key or None))

    _decode(files, as_json, read)


def _one_source(files: tuple[str, ...], port: str | None, ask: str | None) -> None:
    if bool(files) == bool(port):
        raise BadInput("decode: name FILEs, or a port with --port, and not both")
    if ask and not port:
        raise BadInput("decode mbus: --ask needs the --port of the line")


def _address(text: str) -> int | bytes:
    """What --ask names: a primary address, or a secondary one as eight bytes, as sent.

    Of the digits the first eight are the identification as the meter shows it.
    """
    try:
        if len(text) == _SECONDARY_DIGITS:
            data = bytes.fromhex(text)
            return data[3::-1] + data[4:]
        if 0 <= int(text) <= _LAST_ADDRESS:
            return int(text)
    except ValueError:
        pass
    raise BadInput(
        f"--ask {text}: expected 0 to {_LAST_ADDRESS}, or 16 hex digits: identification, "
        "manufacturer (two bytes as sent), version, medium; F and FF stand for any"
    )


def _listen(
    line: Any, frames: Any, words: Callable[[Plain], Plain], count: int | None, as_json: bool
) -> None:
    good = 0
    for frame in frames:
        said = words(frame)
        good += said["valid"]
        if as_json:
            print(json.dumps(said, sort_keys=True), flush=True)
        else:
            _show_frame(_console(), line.port, said)
        if count and good >= count:
            break
    thrown = ", ".join(f"{why} {number}" for why, number in sorted(line.discarded.items()))
    click.echo(f"{line.port}: {good} good; discarded: {thrown or 'nothing'}", err=True)
    if not good:
        raise click.exceptions.Exit(1)


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


def _decode(files: tuple[str, ...], as_json: bool, read: Callable[[str], Plain]) -> None:
    documents = [{"file": name, **read(name)} for name in files]
    if as_json:
        print_documents(documents)
        return
    for doc in documents:
        _show(doc)


def _console() -> "Console":
    from rich.console import Console

    console = Console(soft_wrap=True)
    return console if console.is_terminal else Console(soft_wrap=True, width=_FILE_WIDTH)


def _show(doc: Plain) -> None:
    console = _console()
    for frame in doc["frames"]:
        _show_frame(console, doc["file"], frame)
    good = sum(frame["valid"] for frame in doc["frames"])
    thrown = ", ".join(f"{reason} {count}" for reason, count in sorted(doc["discarded"].items()))
    console.print(f"{doc['file']}: {good} good; discarded: {thrown or 'nothing'}", markup=False)


def _show_frame(console: "Console", source: str, frame: Plain) -> None:
    from rich.table import Table

    where = f"{source} at {frame['offset']}, {frame['length']} bytes"
    console.print(f"{where}: {_headline(frame)}", markup=False, highlight=False)
    table = Table()
    for title in ("quantity", "value", "unit", "function", "register", ""):
        table.add_column(title, overflow="fold", justify="right" if title == "value" else "left")
    for record in frame["records"]:
        table.add_row(*_row(record))
    if frame["records"]:
        console.print(table)
    for record in frame["records"]:
        if record.get("profile"):
            text = f"{record['quantity']} {_register(record)} {_profile(record['profile'])}"
            console.print(text, markup=False, highlight=False)


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
